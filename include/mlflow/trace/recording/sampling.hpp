// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/detail/running.hpp>

#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The library's own samplers run no code of the application.
template <class Sampler>
inline constexpr bool is_own_sampler = false;

// The answer of a sampler for a new trace. One that throws loses no trace, and a trace that it starts itself is
// recorded: it would be asked without end.
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

// Says what is recorded of values, and not only which traces are.
template <class T>
concept rules_values = requires(const T& recording) { recording.limits(); } ||
                       requires(const T& recording) { recording.redact("", ""); };

// Is a session recorded as a whole? Then a session that becomes known after the start comes too late.
template <class T>
inline constexpr bool decides_by_session = false;
template <class T>
    requires requires { requires T::decides_by_session; }
inline constexpr bool decides_by_session<T> = true;

} // namespace detail

/// Records every trace, but for those whose call asks for less (`sample_ratio`).
struct record_all {
    struct options {};
    constexpr explicit record_all(options = {}) noexcept {}
    [[nodiscard]] static constexpr bool sample(const trace_start& start) noexcept {
        return !start.ratio || start.ratio->holds(start.id.low);
    }
};

namespace detail {
template <>
inline constexpr bool is_own_sampler<record_all> = true;
} // namespace detail

/// Follows the process that asks: records a trace that was started with the `remote_span` of a caller as that caller
/// is recorded, and any other as `Root` says. OpenTelemetry's ParentBased; what starts inside a trace always follows
/// it.
template <class Root>
class parent_based {
    static_assert(
        !detail::rules_values<Root>,
        "parent_based is a sampler, and what it is given one too: put the redactor and the limits around it, "
        "mt::recording_policy<mt::parent_based<sampler>, redactor>");

public:
    using options = detail::options_of<Root>;
    constexpr explicit parent_based(options chosen) : root_(std::move(chosen)) {}

    static constexpr bool decides_by_session = detail::decides_by_session<Root>;

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

/// Records no trace: the tracer is off at compile time, and calls of it compile to nothing (see `tracer_off.hpp`).
struct record_nothing {
    struct options {};
    constexpr explicit record_nothing(options = {}) noexcept {}
    [[nodiscard]] static constexpr bool sample(const trace_start&) noexcept { return false; }
};

/// Records a share of the traces, chosen by trace ID as OpenTelemetry's TraceIdRatioBased does, so that every process
/// with the same share records the same traces. A call may ask for another share (`sample_ratio`).
class record_ratio {
public:
    struct options {
        double ratio = 1.0; ///< 0 records nothing, 1 everything
    };
    constexpr explicit record_ratio(options chosen) noexcept : ratio_(chosen.ratio) {}
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
