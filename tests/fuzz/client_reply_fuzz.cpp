// SPDX-License-Identifier: Apache-2.0
// Any reply to the client: never a part for the whole, and errors and exports are clean. A libFuzzer target.
//
// The input: a byte of status, one that chooses the call, and the body.
#include "properties.hpp"
#include "replying_transport.hpp"
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/client/analysis.hpp>
#include <mlflow/trace/client/export.hpp>

#include <chrono>
#include <vector>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;
using client = mt::client<fuzz::replying_transport>;

bool succeeded(const auto& answer) {
    if (answer) return true;
    fuzz::require_clean(answer.error().message());
    require(!answer.error().message().empty() && answer.error().message().size() < 2000);
    return false;
}

void check_trace(const mt::trace_info& trace) {
    require(!trace.trace_id.empty());
    static_cast<void>(trace.end_time());
    const auto row = mt::trace_row(trace);
    const std::string line = mt::json_line(row);
    require(line.ends_with('\n'));
    fuzz::require_clean(std::string_view(line).substr(0, line.size() - 1));
    const auto again = json::parse(line, nullptr, false);
    require(again.is_object() && again.size() == row.size());
    require(mt::detail::parse_time(again["timestamp"].get<std::string>()) == trace.request_time);
    const std::string csv = mt::csv_line(row);
    require(csv.ends_with("\r\n"));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr int statuses[] = {200, 200, 200, 200, 200, 201, 302, 400, 401, 404, 500, 503};
    fuzz::input in(data, size);
    mt::http_response reply;
    reply.status = statuses[in.take_byte() % std::size(statuses)];
    const unsigned call = in.take_byte() % 8;
    reply.headers.emplace_back("Content-Type", "application/json");
    reply.body = in.rest();
    client server({.experiment_id = "1", .transport = {&reply}});
    const bool is_success = reply.status / 100 == 2;
    switch (call) {
    case 0: {
        const auto found = mt::find_all(server, {.max_results = 1000});
        if (!succeeded(found)) break;
        require(is_success);
        for (const auto& trace : *found) check_trace(trace);
        break;
    }
    case 1: {
        const auto found = server.get("tr-1");
        if (!succeeded(found)) break;
        require(is_success);
        check_trace(found->info);
        break;
    }
    case 2: {
        const std::string ids[] = {"tr-1", "tr-2"};
        const auto found = server.get_all(ids);
        if (succeeded(found))
            for (const auto& trace : *found) check_trace(trace.info);
        break;
    }
    case 3: {
        const auto found = server.experiments();
        if (succeeded(found))
            for (const auto& one : *found) require(!one.id.empty());
        break;
    }
    case 4: {
        const auto logged = server.log_feedback("tr-1", {.name = "helpful", .value = true});
        if (succeeded(logged)) require(is_success && !logged->id.empty());
        break;
    }
    case 5: {
        const auto points = server.metrics({});
        if (succeeded(points)) require(is_success);
        break;
    }
    case 6: {
        const std::string ids[] = {"tr-1", "tr-2"};
        const auto deleted = server.delete_traces(ids);
        if (succeeded(deleted)) require(is_success && *deleted <= 2);
        break;
    }
    default: {
        const auto known = server.experiment_by_name("chat");
        if (succeeded(known)) require(is_success && !known->id.empty());
        const auto made = server.create_experiment("chat");
        if (succeeded(made)) require(is_success && !made->id.empty());
    }
    }
    return 0;
}
