// SPDX-License-Identifier: Apache-2.0
// Any bytes as the headers `baggage` and `tracestate`: from a network that is trusted, what is taken keeps the
// promises of its keys and survives the way to the next process; of what a stranger has changed behind a seal nothing
// is taken. A libFuzzer target.
//
// The input: two values of `baggage`, one of `tracestate`, and what is put into sealed baggage, behind a byte that
// says where.
#include "properties.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <utility>
#include <vector>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;

using tenant = mt::key<"app.tenant", mt::max_length<16>>;
using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::optional<mt::session>>,
                          mt::propagated<mt::optional<tenant>>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;
using header_list = std::vector<std::pair<std::string, std::string>>;

// Not a secret one: enough where nobody tries keys.
struct checksum_seal {
    std::string sign(std::string_view message) const {
        std::uint64_t sum = 0xcbf29ce484222325;
        for (const char c : message) sum = (sum ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        return std::to_string(sum);
    }
};
using trusting = mt::propagator<schema, mt::trust_network>;
using sealed = mt::propagator<schema, checksum_seal>;

void ignore(void*, const mt::error&) noexcept {}

template <class Key>
void check_kept(const mt::incoming_trace& request) {
    const std::string_view text = request.metadata(Key::name);
    if (text.data()) require(Key::check(text).kind() == mt::error_kind::none);
}

template <class Propagator, class Span>
header_list headers_of(const Propagator& propagator, const Span& span) {
    header_list headers;
    propagator.inject(span, "next", [&](std::string_view name, std::string_view value) {
        require(mt::detail::is_token(name) && mt::detail::is_field_value(value));
        headers.emplace_back(name, value);
    });
    return headers;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static tracer_type tracer({.on_error = &ignore});
    static const trusting open_wire({.hosts = {"*"}});
    static const sealed sealed_wire({.hosts = {"*"}});
    fuzz::input in(data, size);
    header_list headers{{"traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}};
    for (int i = 0; i < 2; ++i) headers.emplace_back("baggage", in.take_text());
    headers.emplace_back("tracestate", in.take_text());

    const auto request = open_wire.extract(headers);
    if (request.rejected()) fuzz::require_clean(request.rejected()->message());
    check_kept<mt::user>(request);
    check_kept<mt::session>(request);
    check_kept<tenant>(request);
    {
        auto trace = tracer.start_trace("turn", request, mt::user{"nobody"});
        const auto again = open_wire.extract(headers_of(open_wire, trace));
        require(again.is_trusted());
        for (const auto key : {mt::session::name, tenant::name})
            require(again.metadata(key) == request.metadata(key));
        const bool has_user = request.metadata(mt::user::name).data() != nullptr;
        require(again.metadata(mt::user::name) == (has_user ? request.metadata(mt::user::name) : "nobody"));
    }
    require(!sealed_wire.extract(headers).is_trusted());

    {
        auto trace = tracer.start_trace("turn", mt::user{"user 1"}, mt::session{"s,=;%"}, tenant{"t"});
        header_list sent = headers_of(sealed_wire, trace);
        require(sealed_wire.extract(sent).is_trusted());
        const std::size_t where = in.take_byte();
        for (auto& [name, value] : sent)
            if (name == "baggage") value.insert(where % (value.size() + 1), in.rest());
        const auto changed = sealed_wire.extract(sent);
        if (changed.is_trusted()) {
            require(changed.metadata(mt::user::name) == "user 1" && changed.metadata(mt::session::name) == "s,=;%");
            require(changed.metadata(tenant::name) == "t");
        }
    }
    static_cast<void>(tracer.exporter().take());
    return 0;
}
