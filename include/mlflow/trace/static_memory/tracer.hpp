// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/layers.hpp>
#include <mlflow/trace/metadata/borrowed.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/spans/start_arguments.hpp>
#include <mlflow/trace/spans/tracer.hpp>
#include <mlflow/trace/static_memory/span.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class Schema, class Context, class Exporter, class Recording>
constexpr bool fits_static_memory() noexcept {
    static_assert(std::is_same_v<Context, explicit_context> || std::is_same_v<Context, global_context>,
                  "static_memory_platform has one main loop: use mt::explicit_context or mt::global_context");
    static_assert(record_exporter<Exporter>,
                  "static_memory_platform passes records: the exporter lacks a member "
                  "bool export_record(const mlflow::trace::trace_record&) noexcept; use mt::framed_exporter");
    static_assert(recording<Recording>,
                  "the recording policy lacks a member: bool sample(const mlflow::trace::trace_start&) const");
    static_assert(
        !requires(const Recording& policy) { policy.limits(); },
        "static_memory_platform has no redactors and no recording_limits: the memory of a trace is its "
        "limit; use a sampler alone, or bare_metal_platform");
    static_assert(!decides_by_session<Recording>, "static_memory_platform does not sample by session");
    static_assert(sizeof(Schema) > 0);
    return true;
}

} // namespace detail

/// The tracer whose memory is fixed at compile time; see `static_memory_platform`. Recording is used as with every
/// other tracer. The tracer must outlive its spans.
///
/// Thread-safety: any code may start traces, also an interrupt handler. A trace is used by one thread of execution at
/// a time.
template <class Schema, class Context, class Exporter, class Recording, class Board, static_sizes Sizes>
    requires(!std::is_same_v<Recording, record_nothing>)
class tracer<Schema, Context, Exporter, Recording, static_memory_platform<Board, Sizes>> {
    static_assert(detail::fits_static_memory<Schema, Context, Exporter, Recording>());
    using core_type = detail::static_core<Schema, Context, Exporter, Recording, static_memory_platform<Board, Sizes>>;

public:
    using schema_type = Schema;                                    ///< the schema
    using context_type = Context;                                  ///< the context policy
    using exporter_type = Exporter;                                ///< the exporter
    using platform_type = static_memory_platform<Board, Sizes>;    ///< the platform
    using trace = static_memory_trace<Schema, Context, core_type>; ///< a trace of this tracer
    using span = static_memory_span<Context, core_type>;           ///< a span of this tracer

    using options = tracer_options<Exporter, Recording>; ///< what a tracer is made from

    /// Makes a tracer with default options.
    tracer() : tracer(options{}) {}
    /// Makes a tracer.
    explicit tracer(const options& chosen) noexcept : is_enabled_(chosen.enabled), core_(chosen) {}
    /// Makes a tracer from options of single layers, found by type, in any order.
    template <class Part, class... Parts>
        requires(!std::is_same_v<std::remove_cvref_t<Part>, tracer>)
    explicit tracer(Part part, Parts... parts)
        : tracer(detail::options_from<options>(std::move(part), std::move(parts)...)) {}
    tracer(const tracer&) = delete;
    tracer& operator=(const tracer&) = delete;

    /// Starts a new trace, whatever trace is current, and makes it current. Takes the same arguments as every tracer,
    /// except for `mt::incoming_trace`.
    template <class... Values>
    [[nodiscard]] trace start_trace(std::string_view name, const Values&... values) noexcept {
        detail::require_start_arguments<Schema, Values...>();
        static_assert(!(std::is_same_v<Values, incoming_trace> || ...),
                      "static_memory_platform continues no traces: pass the caller as an mt::remote_span");
        trace started;
        if (!is_enabled_) return started;
        span_type type = span_type::unknown;
        (
            [&] {
                if constexpr (std::is_same_v<Values, span_type>) type = values;
            }(),
            ...);
        const trace_id id = platform_type::new_trace_id();
        constexpr bool is_nested = (std::is_same_v<Values, nested_trace> || ...);
        if constexpr (!std::is_same_v<Recording, record_all> || (std::is_same_v<Values, sample_ratio> || ...))
            if (!is_sampled(id, name, values...)) {
                started.hide(core_, core_.open_hidden(), is_nested);
                return started;
            }
        started.adopt(core_, core_.open_root(id, name, type));
        if (!started.recording()) {
            started.hide(core_, core_type::nowhere, is_nested);
            return started;
        }
        core_.enter(started.place_, is_nested);
        (describe(started, values), ...);
        return started;
    }
    /// Starts a child of the current span, or a new trace with this span as its root span if none is current.
    [[nodiscard]] span start_span(std::string_view name, span_type type = span_type::unknown) noexcept {
        return start_span_of(name, type);
    }

    /// Not available: pass the values to `start_trace`.
    template <class... Values>
    void scope(const Values&...) noexcept {
        static_assert(sizeof...(Values) > 1000, "static_memory_platform has no scopes: pass the values to "
                                                "start_trace, or use bare_metal_platform");
    }

    /// Not available: skip the calls that must not be recorded.
    template <class... Values>
    void untraced(const Values&...) noexcept {
        static_assert(sizeof...(Values) > 1000,
                      "static_memory_platform has no untraced(): skip the calls that must not "
                      "be recorded, or use bare_metal_platform");
    }

    /// The ID of the current trace; not valid when there is none.
    [[nodiscard]] trace_id current_trace_id() noexcept {
        const detail::span_place current = core_.current();
        const bool is_there = current.trace < Sizes.traces && !core_.is_hidden(current);
        return is_there ? core_.trace_of(current).id : trace_id{};
    }
    /// Sets checked values on the current trace. Returns false, and reports the error, when no trace is current or a
    /// value was rejected.
    template <class... Values>
    bool update_current_trace(const Values&... values) noexcept {
        if (!is_enabled_) return true;
        const detail::span_place current = core_.current();
        if (core_.is_hidden(current)) return true; // not recorded, on purpose
        if (current.trace >= Sizes.traces)
            return core_.report(error_kind::no_open_trace, "update_current_trace"), false;
        trace same;
        same.adopt(core_, current);
        const bool is_set = same.set(values...);
        same.core_ = nullptr; // `same` does not own the span
        return is_set;
    }

    /// Always true: the exporter has every trace that has ended.
    static bool flush(std::chrono::milliseconds) noexcept { return true; }
    /// Drops spans that end later.
    bool shutdown(std::chrono::milliseconds) noexcept { return core_.shutdown(); }

    /// The counts of this tracer's spans.
    [[nodiscard]] span_account account() noexcept { return core_.account(); }
    /// The number of values that were rejected and reported.
    [[nodiscard]] std::uint64_t refused_values() const noexcept { return core_.refused_values(); }

    /// Always 0: no sampler samples by session.
    [[nodiscard]] static std::uint64_t late_sessions() noexcept { return 0; }
    /// Always no error: what the exporter has no room for is counted.
    [[nodiscard]] static error last_error() noexcept { return {}; }

    /// The exporter.
    [[nodiscard]] Exporter& exporter() noexcept { return core_.exporter(); }
    /// Always empty.
    [[nodiscard]] static owned_text trace_url(const trace_id&) { return {}; }

private:
    template <class, class, fixed_string, fixed_string...>
    friend class traced_function;

    template <class... Args>
    span start_span_of(std::string_view name, span_type type, const Args&... args) noexcept {
        trace started;
        if (!is_enabled_) return static_cast<span&&>(started);
        const detail::span_place current = core_.current();
        if (core_.is_hidden(current)) return static_cast<span&&>(started);
        if (current.trace < Sizes.traces) {
            static_cast<span&>(started) = span::child_of(core_, current, name, type);
        } else {
            const trace_id id = platform_type::new_trace_id();
            if constexpr (!std::is_same_v<Recording, record_all>)
                if (!is_sampled(id, name, type, args...)) {
                    started.hide(core_, core_.open_hidden(), true);
                    return static_cast<span&&>(started);
                }
            const bool is_of_anybody = core_.is_mixed();
            started.adopt(core_,
                          core_.open_root(id, name, type, is_of_anybody ? nullptr : &core_type::check_required));
            if (started.recording()) core_.enter(started.place_, true);
            else started.hide(core_, core_type::nowhere, true);
        }
        (identify(started, args), ...);
        return static_cast<span&&>(started); // its span
    }
    template <class Argument>
    static void identify(trace& started, const Argument& argument) noexcept {
        if constexpr (detail::identity_argument<Argument, Schema>)
            if (started.recording()) started.set(argument);
    }

    template <class Value>
    static void describe(trace& started, const Value& value) noexcept {
        if constexpr (std::is_same_v<Value, remote_span>) started.link(value.trace_id, value.id);
        else if constexpr (!detail::describes_root<Value>) started.set(value);
    }

    template <class... Values>
    bool is_sampled(const trace_id& id, std::string_view name, const Values&... values) const noexcept {
        detail::start_arguments given;
        (given.take(values), ...);
        const auto find = [&]([[maybe_unused]] std::string_view key) noexcept {
            std::string_view found;
            [[maybe_unused]] const auto look = [&](entry_kind kind, std::string_view about, std::string_view text) {
                if (kind == entry_kind::metadata && about == key) found = text;
                return error{};
            };
            (
                [&] {
                    if constexpr (detail::identity_argument<Values, Schema>)
                        static_cast<void>(detail::set_value(values, look));
                }(),
                ...);
            return found;
        };
        return detail::sample(core_.recording(), trace_start(id, name, given.type, given.caller, given.ratio,
                                                             given.tells_session ? &given.session : nullptr, find));
    }

    bool is_enabled_;
    core_type core_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
