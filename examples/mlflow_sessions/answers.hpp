// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client.hpp>

#include <algorithm>
#include <string_view>

// Traces that ended well and answered nothing.
namespace answers {

namespace mt = mlflow::trace;

inline bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// A message or a reply of a model without a text and without a call of a tool.
inline bool says_nothing(const mt::detail::json& said) {
    if (said.is_null()) return true;
    if (said.is_string()) return is_blank(said.get_ref<const std::string&>());
    if (said.is_array())
        return std::all_of(said.begin(), said.end(), [](const auto& one) { return says_nothing(one); });
    if (!said.is_object()) return false;
    if (const auto& calls = mt::detail::member(said, "tool_calls"); calls.is_array() && !calls.empty()) return false;
    for (const char* const key : {"choices", "message", "content", "text", "output"})
        if (said.contains(key)) return says_nothing(said[key]);
    return said.empty();
}

inline bool is_blank_answer(std::string_view preview) {
    if (is_blank(preview)) return true;
    if (std::string_view("[{\"n").find(preview.front()) == std::string_view::npos) return false;
    const auto said = mt::detail::parse_json(preview);
    return said && says_nothing(*said);
}

/// Is it one that has ended, not in an error, and whose output is empty? Where no trace has an output, none is
/// recorded.
inline bool is_missing(const mt::trace_info& trace) {
    return trace.status != mt::trace_status::error && trace.status != mt::trace_status::in_progress &&
           is_blank_answer(trace.response_preview);
}

} // namespace answers
