// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/memory/running.hpp>

#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The library's own samplers run no code of the application.
template <class Sampler>
inline constexpr bool is_own_sampler = false;

// Asks the sampler about a new trace. When the sampler throws, the trace is recorded. So is a trace that the sampler
// itself starts, because asking the sampler about it would recurse without end.
template <class Sampler>
bool sample(const Sampler& sampler, const trace_start& start) noexcept {
    if constexpr (is_own_sampler<Sampler>) return sampler.sample(start);
    else {
        using sampling = running<Sampler>;
        if (sampling::is(&sampler)) return true;
        const sampling here(&sampler);
        const without_cancellation whole;
        return guarded([&] { return bool{sampler.sample(start)}; }, [] { return true; });
    }
}

// A recording policy that also decides how values are recorded.
template <class T>
concept rules_values = requires(const T& recording) { recording.limits(); } ||
                       requires(const T& recording) { recording.redact("", ""); };

// Whether a sampler records a session as a whole. Its decision is then wrong for a trace whose session becomes known
// after the start.
template <class T>
inline constexpr bool decides_by_session = false;
template <class T>
    requires requires { requires T::decides_by_session; }
inline constexpr bool decides_by_session<T> = true;

} // namespace detail

/// Records every trace, except that a call of `start_trace` may ask for a smaller share (`sample_ratio`).
struct record_all {
    struct options {}; ///< none
    /// Made by the tracer.
    constexpr explicit record_all(options = {}) noexcept {}
    /// Whether the trace is recorded.
    [[nodiscard]] static constexpr bool sample(const trace_start& start) noexcept {
        return !start.ratio || start.ratio->holds(start.id.low);
    }
};

namespace detail {
template <>
inline constexpr bool is_own_sampler<record_all> = true;
} // namespace detail

/// Follows the decision of the calling process: a trace that was started with the `remote_span` of a caller is
/// recorded if the caller is recorded. `Root` decides about any other trace. This is OpenTelemetry's ParentBased.
/// Spans inside a trace always follow their trace.
template <class Root>
class parent_based {
    static_assert(!detail::rules_values<Root>, "parent_based wraps a sampler, not a recording policy: write "
                                               "mt::recording_policy<mt::parent_based<sampler>, redactor>");

public:
    /// The options of `Root`.
    using options = detail::options_of<Root>;
    /// Made by the tracer.
    constexpr explicit parent_based(options chosen) : root_(std::move(chosen)) {}

    /// Whether `Root` records sessions as a whole.
    static constexpr bool decides_by_session = detail::decides_by_session<Root>;

    /// Whether the trace is recorded.
    [[nodiscard]] constexpr bool sample(const trace_start& start) const {
        return start.caller ? start.caller->is_sampled : root_.sample(start);
    }

private:
    [[no_unique_address]] Root root_;
};

namespace detail {
template <class Root>
inline constexpr bool is_own_sampler<parent_based<Root>> = is_own_sampler<Root>;
} // namespace detail

/// Records no trace. The tracer is off at compile time, and calls of it compile to nothing (`tracer_off.hpp`).
struct record_nothing {
    struct options {}; ///< none
    /// Made by the tracer.
    constexpr explicit record_nothing(options = {}) noexcept {}
    /// Always false.
    [[nodiscard]] static constexpr bool sample(const trace_start&) noexcept { return false; }
};

/// Records a share of the traces. The trace ID decides, as in OpenTelemetry's TraceIdRatioBased, so that all
/// processes with the same share record the same traces. A call of `start_trace` may ask for another share
/// (`sample_ratio`).
class record_ratio {
public:
    /// The share of the traces.
    struct options {
        double ratio = 1.0; ///< 0 records nothing, 1 everything
    };
    /// Made by the tracer.
    constexpr explicit record_ratio(options chosen) noexcept : ratio_(chosen.ratio) {}
    /// Whether the trace is recorded.
    [[nodiscard]] constexpr bool sample(const trace_start& start) const noexcept {
        return (start.ratio ? *start.ratio : ratio_).holds(start.id.low);
    }

private:
    sample_ratio ratio_;
};

namespace detail {
template <>
inline constexpr bool is_own_sampler<record_ratio> = true;
} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
