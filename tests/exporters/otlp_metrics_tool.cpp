// SPDX-License-Identifier: Apache-2.0
// Records what standard input says, by a clock of its own, and answers each flush by a line of JSON: the requests
// that the receiver was sent, in hexadecimal, and the account.  otlp_metrics_tool cumulative|delta
// MOST_ATTRIBUTE_SETS
//
// A line is a trace, {"user", "segment", "stage", "name", "late", "spans": [{"name", "type", "model", "provider",
// "nano", "chunk", "input", "output", "error", "attributes"}]}, of which all but name and spans may be missing, or a
// flush, {"reply": STATUS, "rejected": DATA_POINTS}.
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using json = nlohmann::json;

struct own_clock : mt::hosted_platform {
    static inline std::uint64_t now = 1'700'000'000'000'000'000;
    static std::uint64_t wall_nano() noexcept { return now; }
    static std::uint64_t monotonic_nano() noexcept { return now; }
};

using segment = mt::key<"app.segment">;
using metrics = mt::otlp_metrics<mt::memory_transport, mt::user, segment, mt::by_tag<"stage">>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, metrics, mt::record_all, own_clock>;

void fill(tracer_type::span& span, const json& said) {
    if (said.contains("model")) span.model(said["model"].get<std::string>());
    if (said.contains("provider")) span.provider(said["provider"].get<std::string>());
    if (said.contains("input"))
        span.usage({.input = said["input"].get<std::uint64_t>(), .output = said["output"].get<std::uint64_t>()});
    const json attributes = said.value("attributes", json::object());
    for (const auto& [key, value] : attributes.items())
        if (value.is_string()) span.attribute(key, value.get<std::string>());
        else span.attribute(key, value.get<std::uint64_t>());
    const std::uint64_t nano = said["nano"].get<std::uint64_t>();
    const std::uint64_t chunk = said.value("chunk", std::uint64_t{0});
    if (said.contains("chunk")) {
        own_clock::now += chunk;
        span.chunk("first");
        span.chunk("second");
    }
    if (said.contains("error")) {
        if (const std::string type = said["error"].get<std::string>(); !type.empty()) span.exception(type, "failed");
        else span.set_status(mt::status::error, "failed");
    }
    own_clock::now += nano - chunk;
}

void record(tracer_type& tracer, const json& said) {
    auto trace = tracer.start_trace(said["name"].get<std::string>());
    if (said.contains("user")) trace.set(*mt::user::parse(said["user"].get<std::string>()));
    if (said.contains("segment")) trace.set(*segment::parse(said["segment"].get<std::string>()));
    if (said.contains("stage")) trace.set(mt::tag{"stage", said["stage"].get<std::string>()});
    std::vector<tracer_type::span> late;
    for (const json& one : said["spans"]) {
        auto span = trace.start_span(one["name"].get<std::string>(), mt::span_type(one["type"].get<std::string>()));
        fill(span, one);
        if (said.value("late", false)) late.push_back(std::move(span));
    }
    trace.end();
}

std::string hexadecimal(std::string_view bytes) {
    std::string text;
    for (const char c : bytes)
        for (const int shift : {4, 0}) text += "0123456789abcdef"[(static_cast<unsigned char>(c) >> shift) & 15];
    return text;
}

} // namespace

int main(int, char** arguments) {
    auto receiver = std::make_shared<mt::memory_server>();
    std::size_t seen = 0;
    tracer_type tracer(
        {.exporter = {.temporality = std::string_view(arguments[1]) == "delta" ? mt::metric_temporality::delta
                                                                               : mt::metric_temporality::cumulative,
                      .interval = std::chrono::hours(24),
                      .most_attribute_sets = std::strtoull(arguments[2], nullptr, 10),
                      .on_notice = nullptr,
                      .transport = {receiver}}});
    for (std::string line; std::getline(std::cin, line);) {
        const json said = json::parse(line);
        if (!said.contains("reply")) {
            record(tracer, said);
            continue;
        }
        const int status = said["reply"].get<int>();
        const auto rejected = said.value("rejected", 0);
        receiver->answer_with([=](const mt::memory_server::request&) {
            const json body{{"partialSuccess", {{"rejectedDataPoints", rejected}, {"errorMessage", "no"}}}};
            return mt::http_response{
                status, {{"Content-Type", "application/json"}}, rejected != 0 ? body.dump() : std::string()};
        });
        const bool fails = status != 200 || rejected != 0; // which a flush would try again and again
        bool delivered = false;
        const auto flush = [&](std::chrono::milliseconds time) { return delivered = tracer.flush(time); };
        if (!fails) flush(std::chrono::seconds(30));
        else // once more after the first attempt, so that the answer to that one has been read
            while (!flush(std::chrono::milliseconds(20)) && receiver->request_count() < seen + 2) {
            }
        const auto account = tracer.account();
        json answer{{"requests", json::array()},    {"delivered", delivered},
                    {"exported", account.exported}, {"failed", account.failed},
                    {"queued", account.queued},     {"error", std::string(tracer.last_error().message())}};
        const auto all = receiver->requests();
        for (; seen < all.size(); ++seen) answer["requests"].push_back(hexadecimal(all[seen].body));
        std::cout << answer.dump() << std::endl;
    }
}
