// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/span_kinds.hpp>
#include <mlflow/trace/core/traceparent.hpp>

#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A share of traces: 0 is none, 1 is all. Values outside this range are clamped, and NaN is 0.
///
/// Given to `start_trace`, it replaces the sampler's own ratio for this trace, as MLflow's `sampling_ratio_override`
/// does.
class sample_ratio {
public:
    /// A ratio from 0 to 1.
    constexpr explicit sample_ratio(double ratio) noexcept
        : below_(ratio >= 1.0  ? everything
                 : ratio > 0.0 ? static_cast<std::uint64_t>(ratio * 18446744073709551616.0)
                               : 0) {}

    /// Whether `number`, which is uniformly distributed over 64 bits, is within the share.
    [[nodiscard]] constexpr bool holds(std::uint64_t number) const noexcept {
        return below_ == everything || number < below_;
    }

private:
    static constexpr std::uint64_t everything = ~std::uint64_t{0};
    std::uint64_t below_;
};

/// What is known about a trace when it starts. A sampler decides by it whether the trace is recorded. Valid during
/// the call.
class trace_start {
public:
    /// Made by the tracer.
    template <class Find>
    trace_start(const mlflow::trace::trace_id& trace, std::string_view root_name, span_type root_type,
                const remote_span* from, const sample_ratio* of_call, const std::string_view* of_session,
                const Find& find) noexcept
        : id(trace), name(root_name), type(root_type), caller(from), ratio(of_call), session_(of_session),
          values_(&find), find_([](const void* values, std::string_view key) noexcept {
              return (*static_cast<const Find*>(values))(key);
          }) {}
    trace_start(const trace_start&) = delete;
    trace_start& operator=(const trace_start&) = delete;

    const mlflow::trace::trace_id& id;   ///< the ID of the trace
    std::string_view name;               ///< name of the root span
    span_type type;                      ///< type of the root span
    const remote_span* caller = nullptr; ///< the calling span in another process, or null
    const sample_ratio* ratio = nullptr; ///< the ratio that was given to `start_trace`, or null

    /// A metadata value that is known at the start: one given to the call that starts the trace, or by an enclosing
    /// scope. A view whose `data()` is null when there is none.
    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept { return find_(values_, key); }
    /// The user, as `metadata` returns it.
    [[nodiscard]] std::string_view user() const noexcept { return metadata(detail::mlflow_names::trace_user); }
    /// The session, as `metadata` returns it.
    [[nodiscard]] std::string_view session() const noexcept {
        return session_ ? *session_ : metadata(detail::mlflow_names::trace_session);
    }

private:
    const std::string_view* session_; // null: look the session up
    const void* values_;
    std::string_view (*find_)(const void* values, std::string_view key) noexcept;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
