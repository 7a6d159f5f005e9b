// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/options_of.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Told of every value that was refused, on the thread that gave it. What is refused while it runs is only counted.
using error_handler = void (*)(void* context, const error& error) noexcept;

/// Of a `tracer`.
template <class Exporter, class Recording>
struct tracer_options {
    detail::options_of<Exporter> exporter{};
    detail::options_of<Recording> recording{};
    bool enabled = true; ///< false: nothing is recorded
    /// The longest time that the destructor waits for the exporter.
    std::chrono::milliseconds shutdown_timeout{5'000};
    /// Told of refused values; null: the platform is (`hosted_platform` writes a line on standard error).
    error_handler on_error = nullptr;
    void* error_context = nullptr;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
