// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/text/json_writer.hpp>

#include <charconv>
#include <cstddef>
#include <limits>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// std::isfinite without <cmath>, which has 5,000 lines.
constexpr bool is_finite(double value) noexcept {
    constexpr double largest = std::numeric_limits<double>::max();
    return value >= -largest && value <= largest;
}

// Appends a number, or null for NaN and the infinities, which JSON lacks. A whole number gets a fraction, because
// readers would otherwise take it for an integer (and lose the sign of zero).
template <class Buffer>
bool append_json_double(Buffer& out, double value) noexcept {
    if (!is_finite(value)) return append_json_null(out);
    char digits[32]; // the shortest form has at most 24 characters
    const char* const end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    const std::string_view text(digits, static_cast<std::size_t>(end - digits));
    return append_bytes(out, text) && (text.find_first_of(".e") != std::string_view::npos || append_bytes(out, ".0"));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
