// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// RFC 9110, 5.5: whitespace around a value is not part of the value. Without `substr`, which throws on devices too.
constexpr std::string_view without_outer_space(std::string_view text) noexcept {
    const auto is_space = [](char character) { return character == ' ' || character == '\t'; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    return text;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
