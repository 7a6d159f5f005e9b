// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/options_of.hpp>
#include <mlflow/trace/core/traceparent.hpp>
#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/running.hpp>

#include <cstdint>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

template <class Sampler>
constexpr bool ask_sampler(const Sampler& sampler, const trace_id& id, [[maybe_unused]] const remote_span* caller) {
    if constexpr (requires { sampler.sample(id, caller); }) return sampler.sample(id, caller);
    else return sampler.sample(id);
}

// The library's own samplers run no code of the application.
template <class Sampler>
inline constexpr bool is_own_sampler = false;

// The answer of a sampler for a new trace. One that throws loses no trace, and a trace that it starts itself is
// recorded: it would be asked without end.
template <class Sampler>
bool sample(const Sampler& sampler, const trace_id& id, const remote_span* caller) noexcept {
    if constexpr (is_own_sampler<Sampler>) return ask_sampler(sampler, id, caller);
    else {
        using sampling = running<Sampler>;
        if (sampling::is(&sampler)) return true;
        const sampling here(&sampler);
        const without_cancellation whole;
        return guarded([&] { return ask_sampler(sampler, id, caller); }, [] { return true; });
    }
}

// Says what is recorded of values, and not only which traces are.
template <class T>
concept rules_values = requires(const T& recording) { recording.limits(); } ||
                       requires(const T& recording) { recording.redact("", ""); };

} // namespace detail

/// Records every trace.
struct record_all {
    struct options {};
    constexpr explicit record_all(options = {}) noexcept {}
    [[nodiscard]] static constexpr bool sample(const trace_id&) noexcept { return true; }
};

namespace detail {
template <>
inline constexpr bool is_own_sampler<record_all> = true;
} // namespace detail

/// Follows the process that asks: records a trace that was started with the `remote_span` of a caller as that caller
/// is recorded, and any other as `Root` says. OpenTelemetry's ParentBased; what starts inside a trace always follows
/// it.
template <class Root = record_all>
class parent_based {
    static_assert(
        !detail::rules_values<Root>,
        "parent_based is a sampler, and what it is given one too: put the redactor and the limits around it, "
        "mt::recording_policy<mt::parent_based<sampler>, redactor>");

public:
    using options = detail::options_of<Root>;
    constexpr explicit parent_based(options chosen) : root_(std::move(chosen)) {}

    [[nodiscard]] constexpr bool sample(const trace_id& id, const remote_span* caller = nullptr) const {
        return caller ? caller->is_sampled : root_.sample(id);
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
    [[nodiscard]] static constexpr bool sample(const trace_id&) noexcept { return false; }
};

/// Records a share of the traces, chosen by trace ID as OpenTelemetry's TraceIdRatioBased does, so that every process
/// with the same share records the same traces.
class record_ratio {
public:
    struct options {
        double ratio = 1.0; ///< 0 records nothing, 1 everything
    };
    constexpr explicit record_ratio(options chosen) noexcept
        : below_(chosen.ratio >= 1.0  ? ~std::uint64_t{0}
                 : chosen.ratio > 0.0 ? static_cast<std::uint64_t>(chosen.ratio * 18446744073709551616.0)
                                      : 0) {}
    [[nodiscard]] constexpr bool sample(const trace_id& id) const noexcept {
        return below_ == ~std::uint64_t{0} || id.low < below_;
    }

private:
    std::uint64_t below_;
};

namespace detail {
template <>
inline constexpr bool is_own_sampler<record_ratio> = true;
} // namespace detail

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
