// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/record/sampling.hpp>
#include <mlflow/trace/record/scope.hpp>
#include <mlflow/trace/record/trace.hpp>
#include <mlflow/trace/record/tracer_core.hpp>

#include <chrono>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

template <class T, class Schema>
concept identity_argument =
    std::is_same_v<T, client_request_id> ||
    (metadata_key<typename unwrapped<T>::type> && Schema::template has<typename unwrapped<T>::type>);

// What a trace is started with that does not describe it as a whole.
template <class T>
inline constexpr bool describes_root = std::is_same_v<T, span_type> || std::is_same_v<T, remote_span>;

// How often a value for this key stands among the arguments, counting the statement that there is none.
template <class Key, class... Args>
inline constexpr int times_given = (0 + ... + int{std::is_same_v<typename unwrapped<Args>::type, Key>});

template <class Schema, class... Args>
constexpr void require_start_arguments() noexcept {
    static_assert(((describes_root<Args> || checked_value<Args>) && ...),
                  "a trace starts with checked values: of a text make one by mt::user::parse(text), and pass *result "
                  "if there is one");
    if constexpr (!Schema::is_open) {
        Schema::for_each_required([]<class Key>() {
            if constexpr (std::is_same_v<Key, user>)
                static_assert(times_given<Key, Args...> != 0,
                              "this schema requires a user: pass an mt::user, or mt::anonymous");
            else if constexpr (std::is_same_v<Key, session>)
                static_assert(times_given<Key, Args...> != 0,
                              "this schema requires a session: pass an mt::session, or mt::no_session");
            else
                static_assert(times_given<Key, Args...> != 0,
                              "this schema requires a key that is not given: pass a value, or mt::absent<key>{}");
        });
    }
    static_assert(((std::is_same_v<Args, tag> || describes_root<Args> ||
                    times_given<typename unwrapped<Args>::type, Args...> == 1) &&
                   ...),
                  "a key is given twice at the start of a trace");
}

} // namespace detail

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

/// Records traces of one application and hands them to an exporter.
///
/// Schema: which metadata a trace may and must carry (`schema`, `open_schema`).
/// Context: where the current span lives (`thread_local_context`, `explicit_context`).
/// Exporter: what becomes of finished traces; it is made from `options::exporter`.
/// Recording: which traces are recorded (`record_all`, `record_nothing`, `record_ratio`).
/// Platform: clocks, IDs, locks and the default for errors (`hosted_platform`, `bare_metal_platform`).
///
/// Thread-safety: all functions, from any thread. Recording neither throws nor waits, unless the exporter does (put
/// `batch` around one that waits). Errors go to `options::on_error`. A span may outlive its tracer: it is then
/// counted as dropped (on a freestanding target it must not).
template <class Schema, class Context, class Exporter, class Recording, class Platform>
class tracer {
    static_assert(exporter<Exporter>,
                  "the exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(context<Context>, "the context policy lacks a member: static mlflow::trace::context_slot* slot()");
    static_assert(recording<Recording>,
                  "the recording policy lacks a member: bool sample(const mlflow::trace::trace_id&) const");
    static_assert(platform<Platform>, "the platform lacks one of: wall_nano(), monotonic_nano(), new_trace_id(), "
                                      "new_span_id(), report(), mutex; see mlflow/trace/concepts.hpp");
    static_assert(sizeof(Schema) > 0); // a schema with a mistake must not compile, even before it is used

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
        : enabled_(install_platform() && chosen.enabled), shutdown_timeout_(chosen.shutdown_timeout),
          core_(std::move(chosen.exporter), std::move(chosen.recording), chosen.on_error, chosen.error_context) {}
    tracer(const tracer&) = delete;
    tracer& operator=(const tracer&) = delete;
    ~tracer() { shutdown(shutdown_timeout_); }

    /// Starts a trace of its own, whatever is open around it, and makes it current. Takes, in any order, the keys of
    /// the schema (`mt::user`, …, or `mt::anonymous`, `mt::no_session`, `mt::maybe`), `mt::client_request_id`,
    /// `mt::tag`, `mt::span_type`, and the `mt::remote_span` of the caller, to which the trace links.
    template <class... Values>
    [[nodiscard]] trace start_trace(std::string_view name, const Values&... values) noexcept {
        detail::require_start_arguments<Schema, Values...>();
        const remote_span* caller = nullptr;
        (find_caller(caller, values), ...);
        trace started(start_root(name, identity::stated, caller));
        if (started.recording()) {
            if constexpr (!(std::is_same_v<Values, mlflow::trace::span_type> || ...))
                started.type(span_type::unknown);
            (describe(started, values), ...);
            apply_scopes(started);
        }
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
        require_ambient_context();
        (detail::require_allowed<Schema, Values>(), ...);
        return basic_scope<Context>(*core_, values...);
    }

    /// Nothing is recorded on this thread as long as the returned object lives; what is open already stays open.
    [[nodiscard]] span untraced() noexcept {
        require_ambient_context();
        return hide(true);
    }

    /// Sets checked values on the trace that is current here: keys of the schema, `mt::client_request_id`, `mt::tag`.
    /// False, and reported, when there is none or one was refused.
    template <class... Values>
    bool update_current_trace(const Values&... values) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        if constexpr ((detail::allowed_in_trace<Schema, Values> && ...)) {
            const auto current = this->current();
            if (!enabled_ || current.is_hidden()) return true; // not recorded, on purpose
            if (current) return detail::apply_all(*current.trace(), values...);
            core_->report({fault::no_open_trace, "update_current_trace"});
        }
        return false;
    }

    /// Waits until all that has finished before is handed on; false at the time limit. `account()` tells what
    /// arrived.
    bool flush(std::chrono::milliseconds timeout) { return core_->flush(timeout); }
    /// A last flush; what finishes later is dropped and counted. Again: nothing.
    bool shutdown(std::chrono::milliseconds timeout) { return core_->shutdown(timeout); }

    /// Where all spans are that were started.
    [[nodiscard]] span_account account() const noexcept { return core_->account(); }
    /// How many values were refused and reported.
    [[nodiscard]] std::uint64_t refused_values() const noexcept { return core_->refused_values(); }
    /// Why the exporter last failed; empty when it never did.
    [[nodiscard]] owned_text last_error() const { return core_->last_error(); }

    [[nodiscard]] Exporter& exporter() noexcept { return core_->exporter(); }

private:
    template <class, class, fixed_string, fixed_string...>
    friend class traced_function;

    template <class Value>
    static void find_caller([[maybe_unused]] const remote_span*& caller,
                            [[maybe_unused]] const Value& value) noexcept {
        if constexpr (std::is_same_v<Value, remote_span>) caller = &value;
    }

    template <class Value>
    static void describe(trace& started, const Value& value) noexcept {
        if constexpr (std::is_same_v<Value, mlflow::trace::span_type>) started.type(value);
        else if constexpr (std::is_same_v<Value, remote_span>) started.link(value.trace_id, value.id);
        else started.set(value);
    }

    // Who says whose trace it is: the arguments of its start, or whatever is set until it ends.
    enum class identity : bool { stated, checked_at_the_end };

    // A span whose call has these arguments: those that say whose trace it is describe it before any scope does.
    template <class... Args>
    span start_span_of(std::string_view name, span_type type, const Args&... args) noexcept {
        if (!enabled_) return {};
        auto current = this->current();
        if (current.is_hidden()) return hide(current.everything_is_off());
        const bool is_child = static_cast<bool>(current);
        span started = is_child ? span::start_child(*current.take(), current.span(), name)
                                : start_root(name, identity::checked_at_the_end);
        if (!started.recording()) return started;
        started.type(type);
        (identify(started, args), ...);
        if (!is_child) apply_scopes(started);
        return started;
    }
    template <class Argument>
    static void identify(span& started, const Argument& argument) noexcept {
        if constexpr (detail::identity_argument<Argument, Schema>) detail::apply(*started.span_->trace, argument);
    }
    static void apply_scopes(span& started) noexcept {
        if (const context_slot* const slot = Context::slot()) detail::apply_scopes(*slot, *started.span_->trace);
    }

    static constexpr void require_ambient_context() noexcept {
        static_assert(detail::is_ambient<Context>,
                      "this context policy has no current trace: give the values to start_trace, and leave out the "
                      "calls that must not be recorded; or take mt::thread_local_context");
    }

    static bool install_platform() {
        if constexpr (requires { Platform::install(); }) Platform::install();
        return true;
    }

    detail::held_context current() const noexcept { return detail::held_context(Context::slot(), core_->identity()); }

    // A span that is not recorded, but keeps what starts inside it from being recorded: with `everything` also traces
    // of their own.
    span hide(bool everything) const noexcept {
        context_slot* const slot = Context::slot();
        span_data* const hidden = slot ? detail::pool<span_data>::instance().take() : nullptr;
        if (!hidden) return {};
        detail::next_generation(*hidden);
        if (auto* const node = detail::enter(*slot, nullptr, core_->identity(), {}, hidden))
            node->everything_is_off = everything;
        return span(typename span::hidden{hidden});
    }

    span start_root(std::string_view name, identity given, const remote_span* caller = nullptr) noexcept {
        if (!enabled_) return {};
        if (current().everything_is_off()) return hide(true);
        const trace_id id = Platform::new_trace_id();
        if (!detail::sample(core_->recording(), id, caller)) return hide(false);
        return span::start_root(*core_, id, name, given == identity::checked_at_the_end);
    }

    bool enabled_;
    std::chrono::milliseconds shutdown_timeout_;
    detail::core_holder<core_type> core_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
