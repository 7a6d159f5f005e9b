// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// SQL's LIKE as MLflow's server evaluates it: `%` matches any text, `_` one code point; there are no escapes.
inline bool is_like(std::string_view text, std::string_view pattern) noexcept {
    std::size_t at = 0;
    std::size_t in_pattern = 0;
    std::size_t after_percent =
        std::string_view::npos; // where to continue if the text after the last % did not match
    std::size_t taken = 0;
    while (at < text.size()) {
        const char wanted = in_pattern < pattern.size() ? pattern[in_pattern] : '\0';
        if (wanted == '%') {
            after_percent = ++in_pattern;
            taken = at;
        } else if (in_pattern < pattern.size() && wanted == '_') {
            at += decode_utf8(text.substr(at)).length;
            ++in_pattern;
        } else if (in_pattern < pattern.size() && wanted == text[at]) {
            ++at;
            ++in_pattern;
        } else if (after_percent != std::string_view::npos) {
            taken += decode_utf8(text.substr(taken)).length;
            at = taken;
            in_pattern = after_percent;
        } else {
            return false;
        }
    }
    return pattern.find_first_not_of('%', in_pattern) == std::string_view::npos;
}

// As in SQLite: ASCII only.
inline std::string lower_ascii(std::string_view text) {
    std::string lower(text);
    for (char& c : lower)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    return lower;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
