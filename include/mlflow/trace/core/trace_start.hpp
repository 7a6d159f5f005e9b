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

/// A share: 0 is nothing, 1 is everything, what is outside counts as the nearer of the two, and NaN as nothing.
///
/// Given to `start_trace`, it decides whether this trace is recorded, in place of the sampler's own ratio: MLflow's
/// `sampling_ratio_override`.
class sample_ratio {
public:
    constexpr explicit sample_ratio(double ratio) noexcept
        : below_(ratio >= 1.0  ? everything
                 : ratio > 0.0 ? static_cast<std::uint64_t>(ratio * 18446744073709551616.0)
                               : 0) {}

    /// Is a number in it that is spread evenly over all 64 bits?
    [[nodiscard]] constexpr bool holds(std::uint64_t number) const noexcept {
        return below_ == everything || number < below_;
    }

private:
    static constexpr std::uint64_t everything = ~std::uint64_t{0};
    std::uint64_t below_;
};

/// What is known of a trace as it starts: by this a sampler decides whether it is recorded. Valid during the call.
class trace_start {
public:
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

    const mlflow::trace::trace_id& id;
    std::string_view name;               ///< of the root span
    span_type type;                      ///< of the root span
    const remote_span* caller = nullptr; ///< the span of another process that it was started with, or null
    const sample_ratio* ratio = nullptr; ///< what this call of `start_trace` asks for, or null

    /// A metadata value that is known now: given to the call that starts the trace, or by a scope around it. A view
    /// whose `data()` is null where there is none.
    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept { return find_(values_, key); }
    [[nodiscard]] std::string_view user() const noexcept { return metadata(detail::mlflow_names::trace_user); }
    [[nodiscard]] std::string_view session() const noexcept {
        return session_ ? *session_ : metadata(detail::mlflow_names::trace_session);
    }

private:
    const std::string_view* session_; // null: to be looked for
    const void* values_;
    std::string_view (*find_)(const void* values, std::string_view key) noexcept;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
