// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <initializer_list>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Makes a session within other sessions, given outermost first, such as a trip and an episode of the trip:
///
///     const auto session = mt::session_path({"trip-2", "episode-1"}); // ["trip-2","episode-1"]
///
/// The value is what MLflow 3.18 makes of a list of session IDs (`serialize_session_id`): a compact JSON array, at
/// most 250 characters long like any session. MLflow's scorers group by a level, and `client::set_session_levels`
/// names the levels. Older servers treat the value as one session. Errors: `empty` for an empty list or an empty
/// level, and those of `session`. Thread-safe. Not part of `mlflow/trace.hpp`.
inline result<session> session_path(std::initializer_list<std::string_view> levels) {
    std::string path;
    for (const std::string_view level : levels) {
        if (auto fault = session::check(level); fault.kind() != error_kind::none) return failure{std::move(fault)};
        path += path.empty() ? "[\"" : ",\"";
        for (const char c : level) {
            if (c == '"' || c == '\\') path += '\\';
            path += c;
        }
        path += '"';
    }
    if (path.empty()) return failure{error(error_kind::empty, session::name)};
    return session::parse(path + ']');
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
