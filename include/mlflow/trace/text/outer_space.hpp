// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// RFC 9110, 5.5: white space around a value is not part of it.
constexpr std::string_view without_outer_space(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return text.substr(0, 0);
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
