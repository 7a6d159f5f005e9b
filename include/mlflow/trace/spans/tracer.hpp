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
    static_assert(exporter<Exporter>,
                  "the exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    has_whole_concepts<Exporter>();
    static_assert(context<Context>, "the context policy lacks a member: static mlflow::trace::context_slot* slot()");
    static_assert(detail::has_whole_context<Context>());
    static_assert(recording<Recording>,
                  "the recording policy lacks a member: bool sample(const mlflow::trace::trace_start&) const");
    static_assert(platform<Platform>, "the platform lacks one of: wall_nano(), monotonic_nano(), new_trace_id(), "
                                      "new_span_id(), report(), mutex; see mlflow/trace/concepts.hpp");
    static_assert(sizeof(Schema) > 0); // a schema with a mistake must not compile, even before it is used
    return true;
}

template <class Context>
constexpr void require_ambient_context() noexcept {
    static_assert(is_ambient<Context>,
                  "this context policy has no current trace: give the values to start_trace, and leave out the calls "
                  "that must not be recorded; or take mt::thread_local_context");
}

} // namespace detail

/// Records traces of one application and hands them to an exporter.
///
/// Schema: which metadata a trace may and must carry (`schema`, `open_schema`).
/// Context: where the current span lives (`thread_local_context`, `explicit_context`).
/// Exporter: what becomes of finished traces; it is made from `options::exporter`.
/// Recording: which traces are recorded (`record_all`, `record_nothing`, `record_ratio`).
/// Platform: clocks, IDs, locks and the default for errors (`hosted_platform`, `bare_metal_platform`).
///
/// Parts of the program that are loaded at run time may be given a tracer: what is current is one for all that use
/// it, while the functions without a tracer (`mt::capture`, `mt::update_current_trace`) see what is current in their
/// own part. A part with another version or build of the library records nothing, which is reported once.
///
/// Thread-safety: all functions, from any thread. Recording neither throws nor waits, unless the exporter does (put
/// `batch` around one that waits). Errors go to `options::on_error`. A span may outlive its tracer: it is then
/// counted as dropped (on a freestanding target it must not).
template <class Schema, class Context, class Exporter, class Recording, class Platform>
class tracer {
    static_assert(detail::has_policies<Schema, Context, Exporter, Recording, Platform>());

    using core_type = detail::tracer_core<Schema, Exporter, Recording, Platform>;

public:
    using schema_type = Schema;
    using context_type = Context;
    using exporter_type = Exporter;
    using platform_type = Platform;
    using trace = basic_trace<Schema, Context, Platform>;
    using span = basic_span<Context, Platform>;

    using options = tracer_options<Exporter, Recording>;

    tracer() : tracer(options{}) {}
    explicit tracer(options chosen)
        : stamp_(install_platform() && chosen.enabled), shutdown_timeout_(chosen.shutdown_timeout),
          core_(std::move(chosen.exporter), std::move(chosen.recording), chosen.on_error, chosen.error_context,
                &detail::slot_of<Context>, &detail::holds<Context>) {}
    /// From the options of single layers of the exporter and of policies, each by its type, in any order:
    /// `tracer traces(mlflow_server::options{.tracking_uri = uri});` What is not given has its defaults.
    template <class Part, class... Parts>
        requires(!std::is_same_v<std::remove_cvref_t<Part>, tracer>)
    explicit tracer(Part part, Parts... parts)
        : tracer(detail::options_from<options>(std::move(part), std::move(parts)...)) {}
    tracer(const tracer&) = delete;
    tracer& operator=(const tracer&) = delete;
    ~tracer() { shutdown(shutdown_timeout_); }

    /// Starts a trace of its own, whatever is open around it, and makes it current. Takes, in any order, the keys of
    /// the schema (`mt::user`, …, or `mt::anonymous`, `mt::no_session`, `mt::maybe`), `mt::client_request_id`,
    /// `mt::tag`, `mt::span_type`, the `mt::remote_span` of the caller, to which the trace links, the
    /// `mt::incoming_trace` that a `propagator` has found in a request, `mt::sample_ratio`, and `mt::nested` where a
    /// trace of this tracer is current already.
    ///
    /// With an `incoming_trace` from a sender that is trusted the trace is a part of the caller's: it has its ID, and
    /// the user, session and keys that came with it. A value that is given as well must be the same one, and is
    /// reported if it is another; that there is none is said without effect.
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

    /// Starts a span inside the current one of this tracer; where there is none, a trace with this span as its root.
    [[nodiscard]] span start_span(std::string_view name, span_type type = span_type::unknown) noexcept {
        return start_span_of(name, type);
    }

    /// Gives these values to every trace inside the scope, also to one that is open already:
    /// `const auto scope = tracer.scope(user, session);`
    template <class... Values>
    [[nodiscard]] basic_scope<Context> scope(const Values&... values) noexcept {
        detail::require_ambient_context<Context>();
        (detail::require_allowed_in_scope<Schema, Values>(), ...);
        return basic_scope<Context>(is_of_this_build() ? &*core_ : nullptr, values...);
    }

    /// Nothing is recorded by this tracer as long as the returned object lives, whatever is open around it: on this
    /// thread, or in this task where the policy has tasks. What is open already stays open.
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

    /// What is current here for this tracer, to be attached elsewhere: as `mt::capture`, also from a part of the
    /// program that is loaded at run time.
    [[nodiscard]] captured_context<Context> capture() const {
        if (!is_of_this_build()) return {};
        return captured_context<Context>::of(core_->slot(), core_->holds());
    }
    /// A function that runs in the context of this place: as `mt::bind`.
    template <class Function>
    [[nodiscard]] auto bind(Function&& function) const {
        return detail::bind_captured(capture(), std::forward<Function>(function));
    }
    /// The ID of this tracer's trace that is current here, for logs; not valid when there is none.
    [[nodiscard]] trace_id current_trace_id() const noexcept {
        if (!is_on()) return {};
        const auto current = this->current();
        return current.trace() ? current.trace()->id : trace_id{};
    }

    /// Sets checked values on the trace that is current here: keys of the schema, `mt::client_request_id`, `mt::tag`.
    /// False, and reported, when there is none or one was refused.
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

    /// Waits until all that has finished before is handed on; false at the time limit. `account()` tells what
    /// arrived.
    bool flush(std::chrono::milliseconds timeout) { return is_of_this_build() && core_->flush(timeout); }
    /// A last flush; what finishes later is dropped and counted. Again: nothing.
    bool shutdown(std::chrono::milliseconds timeout) { return is_of_this_build() && core_->shutdown(timeout); }

    /// Where all spans are that were started.
    [[nodiscard]] span_account account() const noexcept {
        return is_of_this_build() ? core_->account() : span_account{};
    }
    /// How many values were refused and reported.
    [[nodiscard]] std::uint64_t refused_values() const noexcept {
        return is_of_this_build() ? core_->refused_values() : 0;
    }
    /// How many traces are recorded whose session became known after their start, with a sampler that keeps sessions
    /// whole. Of those that are not recorded it never becomes known.
    [[nodiscard]] std::uint64_t late_sessions() const noexcept {
        return is_of_this_build() ? core_->late_sessions() : 0;
    }
    /// What is wrong now, such as why spans wait; else why spans were last lost. Empty where neither is so.
    [[nodiscard]] owned_text last_error() const {
        return is_of_this_build() ? core_->last_error() : stamp_.difference();
    }

    [[nodiscard]] Exporter& exporter() noexcept { return core_->exporter(); }
    /// Where to look at a trace in MLflow's page, also when it has ended; empty when the exporter knows no page
    /// (yet).
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

    // Who says whose trace it is: the arguments of its start, or whatever is set until it ends.
    enum class identity : std::uint8_t { stated, checked_at_the_end, unknown };

    // A span whose call has these arguments: those that say whose trace it is describe it before any scope does.
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
        static_cast<void>(is_of_this_build()); // which reports it
        return false;
    }
    // False, and reported once, for a tracer of a part of the program with another version or build of the library.
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

    // Not recorded, nor is what starts inside it.
    void hide(span& started) const noexcept {
        span_data* const hidden = detail::pool<span_data>::instance().take();
        if (!hidden) return;
        hidden->trace = nullptr;
        hidden->slot = core_->slot();
        detail::next_generation(*hidden);
        started.hide(hidden);
    }

    // Asks the sampler, unless another process has decided already.
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
    // Of the arguments of a traced function, those that say whose trace it is.
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
            const span_data* const root = started.span_ ? started.span_ : started.hidden_;
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
