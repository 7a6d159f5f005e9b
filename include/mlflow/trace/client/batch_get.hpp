// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/rest.hpp>
#include <mlflow/trace/client/trace_json.hpp>

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

template <class Transport>
result<std::vector<stored_trace>> get_batch(rest<Transport>& server, std::span<const std::string> trace_ids) {
    constexpr const char* path = "/api/3.0/mlflow/traces/batchGet";
    std::string target = path;
    for (const std::string& id : trace_ids)
        target += (&id == trace_ids.data() ? "?trace_ids=" : "&trace_ids=") + percent_encoded(id);
    const auto told = server.call(http_method::get, target);
    if (!told) return failure{told.error()};
    std::vector<stored_trace> found;
    for (const auto& one : member(*told, "traces")) {
        auto read = read_trace(one);
        if (!read) return malformed(server.uri(), path, "a trace without its ID or times");
        found.push_back(std::move(*read));
    }
    return found;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
