// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/options_of.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A function that receives the error of each rejected value, on the thread that gave the value. Values that are
/// rejected while the function runs are only counted.
using error_handler = void (*)(void* context, const error& error) noexcept;

/// The options of a `tracer`.
template <class Exporter, class Recording>
struct tracer_options {
    detail::options_of<Exporter> exporter{};   ///< options of the exporter
    detail::options_of<Recording> recording{}; ///< options of the recording policy
    /// Whether anything is recorded. Set it to false to switch recording off by a setting of the application.
    bool enabled = true;
    /// The longest time that the destructor waits for the exporter. Raise it if the queue may be long when the
    /// program ends; lower it to end within a container's grace period.
    std::chrono::milliseconds shutdown_timeout{5'000};
    /// Receives the errors of rejected values. Null: the platform receives them (`hosted_platform` logs a line to
    /// standard error). Set it to send these errors to the application's log.
    error_handler on_error = nullptr;
    void* error_context = nullptr; ///< passed to `on_error`
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
