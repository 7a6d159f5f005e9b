// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/spans/capture.hpp>
#include <mlflow/trace/spans/tracer.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The span of a tracer that is off at compile time. It has every function of `basic_span`, with the same checks, and
/// compiles to nothing. Arguments with side effects are still evaluated; give a callable for a value that takes long
/// to make.
template <class Context>
class unrecorded_span : public span_interface<unrecorded_span<Context>, Context> {
public:
    /// Records nothing.
    constexpr unrecorded_span() noexcept = default;
    /// Moves nothing.
    constexpr unrecorded_span(unrecorded_span&&) noexcept = default;
    /// Moves nothing.
    constexpr unrecorded_span& operator=(unrecorded_span&&) noexcept = default;
    constexpr ~unrecorded_span() {} // user-provided, so that compilers do not warn about an unused variable

    /// Always false.
    [[nodiscard]] static constexpr bool recording() noexcept { return false; }
    /// Never valid.
    [[nodiscard]] static constexpr span_id id() noexcept { return {}; }
    /// Never valid.
    [[nodiscard]] static constexpr mlflow::trace::trace_id trace_id() noexcept { return {}; }
    /// Always empty.
    [[nodiscard]] static owned_text url() { return {}; }
    /// Never valid.
    [[nodiscard]] static constexpr remote_span remote() noexcept { return {}; }
    /// Another span that records nothing.
    [[nodiscard]] static constexpr unrecorded_span start_span(std::string_view,
                                                              span_type = span_type::unknown) noexcept {
        return {};
    }
    /// Does nothing.
    static constexpr void end() noexcept {}

private:
    friend class span_interface<unrecorded_span, Context>;

    static constexpr bool is_recorded = false;
    static constexpr std::uint64_t now() noexcept { return 0; }
};

/// The trace of a tracer that is off at compile time. Values that its schema rejects do not compile.
template <class Schema, class Context>
class unrecorded_trace : public unrecorded_span<Context> {
public:
    /// Checks the types of the values; always true.
    template <class... Values>
    static constexpr bool set(const Values&...) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        return true;
    }
    /// Does nothing.
    static constexpr void previews(std::string_view, std::string_view) noexcept {}
    /// Does nothing; always true.
    static constexpr bool metadata(std::string_view, std::string_view) noexcept
        requires Schema::is_open
    {
        return true;
    }
};

/// The scope of a tracer that is off at compile time.
class unrecorded_scope {
public:
    /// Sets nothing.
    constexpr unrecorded_scope() noexcept = default;
    constexpr ~unrecorded_scope() {}
    unrecorded_scope(const unrecorded_scope&) = delete;
    unrecorded_scope& operator=(const unrecorded_scope&) = delete;
};

namespace detail {

template <class Schema, class T>
constexpr void require_allowed_at_start() noexcept {
    if constexpr (!describes_root<T>) require_allowed<Schema, T>();
}

} // namespace detail

/// A tracer that is off at compile time: `mt::tracer<schema, context, exporter, mt::record_nothing>`. Code that
/// records compiles unchanged, with the same checks, to the instructions that it would have without recording. No
/// exporter is made.
template <class Schema, class Context, class Exporter, class Platform>
class tracer<Schema, Context, Exporter, record_nothing, Platform> {
    static_assert(detail::has_policies<Schema, Context, Exporter, record_nothing, Platform>());

public:
    using schema_type = Schema;                               ///< the schema
    using context_type = Context;                             ///< the context policy
    using exporter_type = Exporter;                           ///< the exporter, which is not made
    using platform_type = Platform;                           ///< the platform
    using trace = unrecorded_trace<Schema, Context>;          ///< a trace that records nothing
    using span = unrecorded_span<Context>;                    ///< a span that records nothing
    using options = tracer_options<Exporter, record_nothing>; ///< the same options as of a tracer that records

    /// Makes a tracer that records nothing.
    constexpr tracer() noexcept = default;
    /// Ignores the options.
    explicit tracer(const options&) noexcept {}
    /// Checks the types of the options, and ignores them.
    template <class Part, class... Parts>
        requires(!std::is_same_v<std::remove_cvref_t<Part>, tracer>)
    explicit tracer(const Part&, const Parts&...) noexcept {
        detail::require_options<options, Part, Parts...>();
    }
    tracer(const tracer&) = delete;
    tracer& operator=(const tracer&) = delete;

    /// Checks the types of the values; the trace records nothing.
    template <class... Values>
    [[nodiscard]] trace start_trace(std::string_view, const Values&...) noexcept {
        detail::require_start_arguments<Schema, Values...>();
        (detail::require_allowed_at_start<Schema, Values>(), ...);
        return {};
    }
    /// A span that records nothing.
    [[nodiscard]] span start_span(std::string_view, span_type = span_type::unknown) noexcept { return {}; }
    /// Checks the types of the values; the scope sets nothing.
    template <class... Values>
    [[nodiscard]] unrecorded_scope scope(const Values&...) noexcept {
        detail::require_ambient_context<Context>();
        (detail::require_allowed_in_scope<Schema, Values>(), ...);
        return unrecorded_scope{};
    }
    /// A span that records nothing.
    [[nodiscard]] span untraced() noexcept { return {}; }
    /// Checks the types of the values; always true.
    template <class... Values>
    bool update_current_trace(const Values&...) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        return true;
    }

    /// A context in which nothing is current.
    [[nodiscard]] captured_context<Context> capture() const noexcept { return {}; }
    /// Returns a function that calls `function`.
    template <class Function>
    [[nodiscard]] auto bind(Function&& function) const {
        return [bound = std::forward<Function>(function)]<class... Args>(Args&&... args) mutable -> decltype(auto) {
            detail::require_whole_call<decltype(bound(std::forward<Args>(args)...))>();
            return bound(std::forward<Args>(args)...);
        };
    }
    /// Never valid.
    [[nodiscard]] static constexpr trace_id current_trace_id() noexcept { return {}; }
    /// Always empty.
    [[nodiscard]] static owned_text trace_url(const trace_id&) { return {}; }

    /// Always true.
    static bool flush(std::chrono::milliseconds) noexcept { return true; }
    /// Always true.
    static bool shutdown(std::chrono::milliseconds) noexcept { return true; }
    /// All counts are 0.
    [[nodiscard]] static span_account account() noexcept { return {}; }
    /// Always 0.
    [[nodiscard]] static std::uint64_t refused_values() noexcept { return 0; }
    /// Always 0.
    [[nodiscard]] static std::uint64_t late_sessions() noexcept { return 0; }
    /// Always empty.
    [[nodiscard]] static error last_error() { return {}; }

private:
    template <class, class, fixed_string, fixed_string...>
    friend class traced_function;

    template <class... Args>
    span start_span_of(std::string_view, span_type, const Args&...) noexcept {
        return {};
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
