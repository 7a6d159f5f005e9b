// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A string literal as a template argument: `key<"app.segment">`.
template <std::size_t N>
struct fixed_string {
    /// The characters, including the terminating null.
    char text[N]{};

    /// Copies a string literal.
    consteval fixed_string(const char (&literal)[N]) {
        for (std::size_t i = 0; i < N; ++i) text[i] = literal[i];
    }
    /// The text without the terminating null.
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {text, N - 1}; }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
