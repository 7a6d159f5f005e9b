// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/core/build.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/layers.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/spans/scope.hpp>
#include <mlflow/trace/spans/start_arguments.hpp>
#include <mlflow/trace/spans/trace.hpp>
#include <mlflow/trace/spans/tracer_core.hpp>
#include <mlflow/trace/spans/tracer_options.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class Context, class Function>
auto bind_captured(captured_context<Context> context, Function&& function);

template <class Schema, class Context, class Exporter, class Recording, class Platform>
constexpr bool has_policies() noexcept {
    static_assert(has_whole_concepts<Exporter>());
    static_assert(exporter<Exporter>,
                  "the exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(context<Context>, "the context policy lacks a member: static mlflow::trace::context_slot* slot(); "
                                    "the order is tracer<schema, context, exporter>");
    static_assert(detail::has_whole_context<Context>());
    static_assert(recording<Recording>,
                  "the recording policy lacks a member: bool sample(const mlflow::trace::trace_start&) const");
    static_assert(platform<Platform>, "the platform lacks one of: wall_nano(), monotonic_nano(), new_trace_id(), "
                                      "new_span_id(), report(), mutex; see mlflow/trace/concepts.hpp");
    static_assert(sizeof(Schema) > 0); // an invalid schema must not compile, even before it is used
    return true;
}

template <class Context>
constexpr void require_ambient_context() noexcept {
    static_assert(is_ambient<Context>,
                  "this context policy has no current trace: pass the values to start_trace, and skip the calls that "
                  "must not be recorded; or use mt::thread_local_context");
}

} // namespace detail

/// Records the traces of an application and passes them to an exporter. The policies:
/// - Schema: the metadata that a trace must and may have (`schema`, `open_schema`).
/// - Context: where the current span is stored (`thread_local_context`, `explicit_context`).
/// - Exporter: receives ended traces; it is made from `options::exporter`.
/// - Recording: which traces are recorded (`record_all`, `record_nothing`, `record_ratio`).
/// - Platform: clocks, IDs, locks and default error handling (`hosted_platform`, `bare_metal_platform`).
///
/// A part of the program that is loaded at run time may use a tracer of another part. They share what is current for
/// that tracer, but functions without a tracer (`mt::capture`, `mt::update_current_trace`) use the context of their
/// own part. A part built with another version or build of the library records nothing, which is reported once.
///
/// Thread-safety: all functions may be called from any thread. Recording does not throw, and does not block unless
/// the exporter does (wrap it in `batch`). Errors are reported to `options::on_error`. A span may outlive its tracer,
/// and is then dropped; on a freestanding target it must not.
template <class Schema, class Context, class Exporter, class Recording, class Platform>
class tracer {
    static_assert(detail::has_policies<Schema, Context, Exporter, Recording, Platform>());

    using core_type = detail::tracer_core<Schema, Exporter, Recording, Platform>;

public:
    using schema_type = Schema;                           ///< the schema
    using context_type = Context;                         ///< the context policy
    using exporter_type = Exporter;                       ///< the exporter
    using platform_type = Platform;                       ///< the platform
    using trace = basic_trace<Schema, Context, Platform>; ///< a trace of this tracer
    using span = basic_span<Context, Platform>;           ///< a span of this tracer

    using options = tracer_options<Exporter, Recording>; ///< what a tracer is made from

    /// Makes a tracer with default options.
    tracer() : tracer(options{}) {}
    /// Makes a tracer. Throws `std::bad_alloc`, and what the constructors of the exporter and the policies throw.
    explicit tracer(options chosen)
        : stamp_(install_platform() && chosen.enabled), shutdown_timeout_(chosen.shutdown_timeout),
          core_(std::move(chosen.exporter), std::move(chosen.recording), chosen.on_error, chosen.error_context,
                &detail::slot_of<Context>, &detail::holds<Context>) {}
    /// Makes a tracer from options of single layers of the exporter and of policies, found by type, in any order:
    /// `tracer traces(mlflow_server::options{.tracking_uri = uri});`. Options that are not given have their defaults.
    template <class Part, class... Parts>
        requires(!std::is_same_v<std::remove_cvref_t<Part>, tracer>)
    explicit tracer(Part part, Parts... parts)
        : tracer(detail::options_from<options>(std::move(part), std::move(parts)...)) {}
    tracer(const tracer&) = delete;
    tracer& operator=(const tracer&) = delete;
    /// Shuts down, waiting at most `options::shutdown_timeout`.
    ~tracer() { shutdown(shutdown_timeout_); }

    /// Starts a new trace, whatever trace is current, and makes it current. Takes in any order: keys of the schema
    /// (`mt::user` and so on, or `mt::anonymous`, `mt::no_session`, `mt::maybe`), `mt::client_request_id`, `mt::tag`,
    /// `mt::span_type`, `mt::remote_span` (a caller to link to), `mt::incoming_trace` (a request, as a `propagator`
    /// extracts it), `mt::sample_ratio`, and `mt::nested`, if a trace of this tracer is already current.
    ///
    /// With an `incoming_trace` of a trusted sender the new trace continues the caller's trace, with its ID, user,
    /// session and keys. A different value given for one of these keys is rejected and reported; the statement that
    /// there is none is ignored.
    template <class... Values>
    [[nodiscard]] trace start_trace(std::string_view name, const Values&... values) noexcept {
        detail::require_start_arguments<Schema, Values...>();
        detail::start_arguments given;
        (given.take(values), ...);
        trace started;
        if (!is_on()) return started;
        context_slot* const slot = this->slot();
        if (is_off(slot)) return started;
        if (given.incoming && given.incoming->rejected()) core_->report(*given.incoming->rejected());
        open_root(started, name, identity::stated, given, [&](std::string_view key) noexcept {
            return detail::find_at_start(holds(&started) ? slot : nullptr, *core_, given.incoming, key, values...);
        });
        const bool is_held = enter_root(started, slot, (std::is_same_v<Values, nested_trace> || ...));
        if (!started.recording()) return started;
        started.type(given.type);
        if (given.is_continued()) detail::apply_incoming(*started.span_->trace, given.incoming->entries());
        (describe(started, values, given.is_continued()), ...);
        if (is_held && started.recording()) detail::apply_scopes(*slot, *started.span_->trace);
        return started;
    }

    /// Starts a child of this tracer's current span, or a new trace with this span as its root span if none is
    /// current.
    [[nodiscard]] span start_span(std::string_view name, span_type type = span_type::unknown) noexcept {
        return start_span_of(name, type);
    }

    /// Sets values on every trace that starts while the returned object lives, and on the current trace:
    /// `const auto scope = tracer.scope(user, session);`
    template <class... Values>
    [[nodiscard]] basic_scope<Context> scope(const Values&... values) noexcept {
        detail::require_ambient_context<Context>();
        (detail::require_allowed_in_scope<Schema, Values>(), ...);
        return basic_scope<Context>(is_of_this_build() ? &*core_ : nullptr, values...);
    }

    /// Switches recording off for this tracer while the returned object lives: on this thread, or in this task if the
    /// context policy has tasks. Spans that are open stay open.
    [[nodiscard]] span untraced() noexcept {
        span off;
        context_slot* const slot = is_on() ? this->slot() : nullptr;
        if (!slot) return off;
        if (!holds(&off)) {
            core_->distrust(detail::trust::all, error_kind::not_on_stack);
            core_->tell_distrust();
        }
        hide(off);
        auto* const node =
            off.hidden_ ? detail::enter_span(*slot, nullptr, core_->identity(), *off.hidden_) : nullptr;
        if (node) node->everything_is_off = slot->may_be_off = true;
        else core_->report({error_kind::out_of_memory, "untraced"});
        return off;
    }

    /// Captures this tracer's current context, as `mt::capture` does, but also for a tracer of another part of the
    /// program.
    [[nodiscard]] captured_context<Context> capture() const {
        if (!is_of_this_build()) return {};
        return captured_context<Context>::of(core_->slot(), core_->holds());
    }
    /// Binds a function to this tracer's current context, as `mt::bind` does.
    template <class Function>
    [[nodiscard]] auto bind(Function&& function) const {
        return detail::bind_captured(capture(), std::forward<Function>(function));
    }
    /// The ID of this tracer's current trace, for logs; not valid when there is none.
    [[nodiscard]] trace_id current_trace_id() const noexcept {
        if (!is_on()) return {};
        const auto current = this->current();
        return current.trace() ? current.trace()->id : trace_id{};
    }

    /// Sets checked values on the current trace: keys of the schema, `mt::client_request_id`, `mt::tag`. Returns
    /// false, and reports the error, when no trace is current or a value was rejected.
    template <class... Values>
    bool update_current_trace(const Values&... values) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        if constexpr ((detail::allowed_in_trace<Schema, Values> && ...)) {
            if (!is_of_this_build()) return false;
            if (!is_on() || is_off(slot())) return true;
            const auto current = this->current();
            if (current.is_hidden()) return true; // not recorded, on purpose
            if (current) return detail::apply_all(*current.trace(), values...);
            core_->report({error_kind::no_open_trace, "update_current_trace"});
        }
        return false;
    }

    /// Waits until all spans that have ended are delivered or given up; false at the time limit. `account()` has the
    /// result.
    bool flush(std::chrono::milliseconds timeout) { return is_of_this_build() && core_->flush(timeout); }
    /// Flushes, and drops spans that end later. Has no effect when called again.
    bool shutdown(std::chrono::milliseconds timeout) { return is_of_this_build() && core_->shutdown(timeout); }

    /// The counts of this tracer's spans.
    [[nodiscard]] span_account account() const noexcept {
        return is_of_this_build() ? core_->account() : span_account{};
    }
    /// The number of values that were rejected and reported.
    [[nodiscard]] std::uint64_t refused_values() const noexcept {
        return is_of_this_build() ? core_->refused_values() : 0;
    }
    /// The number of recorded traces whose session became known after the start, if the sampler samples by session.
    /// Traces that are not recorded are not counted.
    [[nodiscard]] std::uint64_t late_sessions() const noexcept {
        return is_of_this_build() ? core_->late_sessions() : 0;
    }
    /// The present problem, such as why spans wait in the queue, or otherwise the reason why spans were last lost; no
    /// error if there is neither.
    [[nodiscard]] error last_error() const {
        return is_of_this_build() ? core_->last_error() : error(error_kind::abi_mismatch, {}, stamp_.difference());
    }

    /// The exporter.
    [[nodiscard]] Exporter& exporter() noexcept { return core_->exporter(); }
    /// The URL of a trace in MLflow's page, also after the trace has ended; empty while it is not available.
    [[nodiscard]] owned_text trace_url(const trace_id& id) const { return core_->trace_url(id); }
    /// The layer of the exporter that has this type: `traces.get<mt::mlflow_exporter<mt::beast_transport>>()`.
    template <class Layer>
    [[nodiscard]] Layer& get() {
        return detail::layer_of<Layer>(core_->exporter());
    }

private:
    template <class, class, fixed_string, fixed_string...>
    friend class traced_function;

    template <class Value>
    static void describe(trace& started, const Value& value, bool is_continued) noexcept {
        if constexpr (std::is_same_v<Value, remote_span>) {
            started.link(value.trace_id, value.id);
        } else if constexpr (std::is_same_v<Value, incoming_trace>) {
            if (value.caller() && !is_continued) started.link(value.caller()->trace_id, value.caller()->id);
        } else if constexpr (!detail::describes_root<Value>) {
            if (!is_continued) started.set(value);
            else if (started.recording()) detail::apply_continued(*started.span_->trace, value);
        }
    }

    // How the identity of a trace is determined: by the arguments of its start, by what is set until it ends, or not
    // at all.
    enum class identity : std::uint8_t { stated, checked_at_the_end, unknown };

    // Starts a span for a call with these arguments. Identity among the arguments takes precedence over scopes.
    template <class... Args>
    span start_span_of(std::string_view name, span_type type, const Args&... args) noexcept {
        span started;
        if (!is_on()) return started;
        context_slot* const slot = this->slot();
        if (is_off(slot)) return started;
        const bool is_held = holds(&started);
        bool may_be_of_anybody = false;
        if constexpr (detail::is_ambient<Context>) {
            detail::held_context current(is_held ? slot : nullptr, core_->identity(), core_->trusted());
            started.is_unsampled_ = current.is_hidden();
            if (current.is_hidden()) return started;
            if (current) {
                started.adopt(detail::open_child<Platform>(*current.take(), current.span(), name));
                if (!started.recording()) return started;
                started.become_current(slot);
                started.type(type);
                (identify(started, args), ...);
                return started;
            }
            may_be_of_anybody = !is_held || current.is_displaced();
            if (may_be_of_anybody)
                core_->distrust(detail::trust::all,
                                slot && slot->is_of_task ? error_kind::interleaved : error_kind::not_on_stack);
        }
        may_be_of_anybody = may_be_of_anybody || core_->trusted() != detail::trust::all || (slot && slot->is_mixed);
        if (core_->is_distrusted()) core_->tell_distrust();
        detail::start_arguments given;
        given.type = type;
        open_root(
            started, name, may_be_of_anybody ? identity::unknown : identity::checked_at_the_end, given,
            [&](std::string_view key) noexcept { return find_identity(is_held ? slot : nullptr, key, args...); });
        if (is_held) enter_root(started, slot, true);
        if (!started.recording()) return started;
        started.type(type);
        (identify(started, args), ...);
        if (is_held && slot && started.recording()) detail::apply_scopes(*slot, *started.span_->trace);
        return started;
    }
    template <class Argument>
    static void identify(span& started, const Argument& argument) noexcept {
        if constexpr (detail::identity_argument<Argument, Schema>)
            if (started.recording()) detail::apply(*started.span_->trace, argument);
    }

    [[nodiscard]] bool is_on() const noexcept {
        if (stamp_.is_on()) [[likely]]
            return true;
        static_cast<void>(is_of_this_build()); // reports the mismatch
        return false;
    }
    // Returns false, and reports the mismatch once, for a tracer of another version or build.
    [[nodiscard]] bool is_of_this_build() const noexcept {
        if (stamp_.is_of_this_build()) [[likely]]
            return true;
        static constinit detail::atomic<bool> is_told{false};
        if (!is_told.exchange(true, detail::memory_order_relaxed))
            detail::guarded(
                [&] {
                    const auto difference = stamp_.difference();
                    Platform::report({error_kind::abi_mismatch, difference});
                },
                [] {});
        return false;
    }

    static bool install_platform() {
        if constexpr (requires { Platform::install(); }) Platform::install();
        return true;
    }

    context_slot* slot() const noexcept { return detail::slot_by<Context>(core_->slot()); }
    [[nodiscard]] bool holds(const void* object) const noexcept {
        return core_->slot() == &detail::slot_of<Context> ? detail::holds<Context>(object) : core_->holds()(object);
    }
    [[nodiscard]] bool is_off(context_slot* slot) const noexcept {
        return slot && detail::is_off(*slot, core_->identity());
    }
    detail::held_context current() const noexcept {
        if constexpr (detail::is_ambient<Context>)
            return detail::held_context(slot(), core_->identity(), core_->trusted());
        else return {};
    }

    // Marks a span as not recorded, and with it all spans inside it.
    void hide(span& started) const noexcept {
        span_data* const hidden = detail::pool<span_data>::instance().take();
        if (!hidden) return;
        hidden->trace = nullptr;
        hidden->slot = core_->slot();
        detail::next_generation(*hidden);
        started.hide(hidden);
    }

    // Opens a root span if the sampler, or the process whose trace is continued, decides to record.
    template <class Find>
    void open_root(span& started, std::string_view name, identity stated, const detail::start_arguments& given,
                   const Find& find) noexcept {
        const bool is_continued = given.is_continued();
        const trace_id id = is_continued ? given.caller->trace_id : Platform::new_trace_id();
        const bool is_sampled =
            is_continued ? given.caller->is_sampled
                         : detail::sample(core_->recording(),
                                          trace_start(id, name, given.type, given.caller, given.ratio,
                                                      given.tells_session ? &given.session : nullptr, find));
        if (!is_sampled) return hide(started);
        started.adopt(detail::open_root<Platform>(*core_, id, is_continued ? given.caller->id : span_id{}, name,
                                                  stated == identity::checked_at_the_end));
        if (started.recording())
            started.span_->trace->has_random_id =
                is_continued ? given.caller->has_random_id : detail::has_random_trace_ids<Platform>;
        if constexpr (detail::decides_by_session<Recording>)
            if (started.recording())
                started.span_->trace->data->is_session_late =
                    !is_continued && !(given.tells_session ? given.session : find(session::name)).data();
    }
    // Looks for identity in the arguments of a traced function, and then in the scopes.
    template <class... Args>
    std::string_view find_identity(context_slot* slot, std::string_view key, const Args&... args) const noexcept {
        std::string_view found;
        [[maybe_unused]] const auto look_at = [&](const auto& value) {
            if constexpr (detail::identity_argument<std::remove_cvref_t<decltype(value)>, Schema>)
                if (!found.data()) found = detail::find_at_start(nullptr, *core_, nullptr, key, value);
        };
        (look_at(args), ...);
        return found.data() ? found : detail::find_at_start(slot, *core_, nullptr, key);
    }

    bool enter_root(span& started, context_slot* slot, bool is_nested) noexcept {
        if constexpr (detail::is_ambient<Context>) {
            span_data* const root = started.span_ ? started.span_ : started.hidden_;
            return slot && detail::enter_root(*slot, *core_, root, holds(&started), is_nested);
        }
        return false;
    }

    detail::build_stamp<tracer> stamp_;
    std::chrono::milliseconds shutdown_timeout_;
    detail::core_holder<core_type> core_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
