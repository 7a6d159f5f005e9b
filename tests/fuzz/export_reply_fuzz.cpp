// SPDX-License-Identifier: Apache-2.0
// Any reply to exported spans: only what proves success counts as delivered, all spans are accounted for, and what is
// said of a reply is clean. A libFuzzer target.
//
// The input: two bytes of status, the media type, Retry-After, and the body.
#include "properties.hpp"
#include "replying_transport.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp.hpp>

#include <nlohmann/json.hpp>

#include <optional>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;

// As protobuf's own parser reads a message of these two levels.
std::optional<std::uint64_t> rejected_by_protobuf(std::string_view body) {
    std::uint64_t rejected = 0;
    mt::detail::protobuf_reader at(body);
    while (at.next()) {
        if (at.field() != 1 || at.type() != mt::detail::wire_type::length_delimited) return std::nullopt;
        mt::detail::protobuf_reader part(at.bytes());
        while (part.next())
            if (part.field() == 1) rejected = part.number();
        if (part.failed()) return std::nullopt;
    }
    if (at.failed()) return std::nullopt;
    return rejected;
}

// As nlohmann's parser reads it. Of equal keys it keeps the last one: then it cannot tell.
bool may_be_success(std::string_view body) {
    const auto told = json::parse(body, nullptr, false);
    if (told.is_discarded()) // what Python reads besides, and invalid UTF-8
        return body.find("NaN") != body.npos || body.find("Infinity") != body.npos ||
               !mt::detail::is_valid_utf8(body) || body.find("\\u") != body.npos || body.find('e') != body.npos ||
               body.find('E') != body.npos;
    if (!told.is_object()) return false;
    for (const auto& [name, value] : told.items())
        if ((name != "partialSuccess" && name != "partial_success") || !(value.is_null() || value.is_object()))
            return false;
    return true;
}

class one_trace {
public:
    one_trace() {
        mt::tracer<mt::open_schema, mt::thread_local_context, keeper> tracer({.exporter = {&batch}});
        tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"}).outputs("x");
        auto second = tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"});
        tracer.start_span("inner").outputs("y");
    }
    mt::trace_batch batch;

private:
    struct keeper {
        struct options {
            mt::trace_batch* into = nullptr;
        };
        explicit keeper(options chosen) : into(chosen.into) {}
        mt::export_result export_traces(mt::trace_batch& given) const {
            const std::size_t spans = given.span_count();
            while (mt::trace_data* const one = given.pop_front()) into->push_back(one);
            return {.exported_spans = spans};
        }
        mt::trace_batch* into;
    };
};

void check_export(mt::trace_batch& batch, const mt::http_response& reply, bool is_delivered) {
    mt::otlp_exporter<fuzz::replying_transport> exporter({.transport = {&reply}});
    const std::size_t spans = batch.span_count();
    const mt::export_result told = exporter.export_traces(batch);
    require(told.exported_spans + told.failed_spans == spans && batch.span_count() == spans);
    require(told.is_final == is_delivered && (is_delivered || told.exported_spans == 0));
    require((outcome_of(told) == mt::outcome::delivered) == is_delivered);
    const std::string why = told.error.message();
    require(told.ok() != static_cast<bool>(told.error) && why.size() < 2000);
    fuzz::require_clean(why);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static one_trace traces;
    fuzz::input in(data, size);
    mt::http_response reply;
    reply.status = 100 + static_cast<int>(in.take_byte()) % 5 * 100 + static_cast<int>(in.take_byte() % 40);
    if (const auto type = in.take_text(); !type.empty()) reply.headers.emplace_back("content-type", type);
    if (const auto after = in.take_text(); !after.empty()) reply.headers.emplace_back("Retry-After", after);
    reply.body = in.rest();

    const auto what = outcome_of(reply);
    const bool is_delivered = what == mt::outcome::delivered;
    if (is_delivered) {
        require(reply.status / 100 == 2);
        if (!reply.body.empty()) {
            const auto type = mt::detail::media_type(reply);
            const bool is_json =
                mt::detail::same_name(type, "application/json") || (type.empty() && reply.body[0] == '{');
            require(is_json || type.empty() || mt::detail::is_protobuf(reply));
            require(is_json ? may_be_success(reply.body) : rejected_by_protobuf(reply.body).has_value());
        }
    }
    require(what != mt::outcome::put_aside || reply.status == 400 || reply.status == 413 || reply.status == 422);
    check_export(traces.batch, reply, is_delivered);
    return 0;
}
