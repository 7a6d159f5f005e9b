// SPDX-License-Identifier: Apache-2.0
#pragma once

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

/// The span of a tracer that is off at compile time: every function of `basic_span` is there, with the same checks,
/// and compiles to nothing. Arguments are evaluated all the same, where they have side effects; give a callable for a
/// value that takes long to make.
template <class Context>
class unrecorded_span : public span_interface<unrecorded_span<Context>, Context> {
public:
    constexpr unrecorded_span() noexcept = default;
    constexpr unrecorded_span(unrecorded_span&&) noexcept = default;
    constexpr unrecorded_span& operator=(unrecorded_span&&) noexcept = default;
    constexpr ~unrecorded_span() {} // its own, so that no compiler warns of a variable that is not used

    [[nodiscard]] static constexpr bool recording() noexcept { return false; }
    [[nodiscard]] static constexpr span_id id() noexcept { return {}; }
    [[nodiscard]] static constexpr mlflow::trace::trace_id trace_id() noexcept { return {}; }
    [[nodiscard]] static owned_text url() { return {}; }
    [[nodiscard]] static constexpr remote_span remote() noexcept { return {}; }
    [[nodiscard]] static constexpr unrecorded_span start_span(std::string_view,
                                                              span_type = span_type::unknown) noexcept {
        return {};
    }
    static constexpr void end() noexcept {}

private:
    friend class span_interface<unrecorded_span, Context>;

    static constexpr bool is_recorded = false;
    static constexpr std::uint64_t now() noexcept { return 0; }
};

/// The trace of a tracer that is off at compile time. What its schema rejects does not compile either.
template <class Schema, class Context>
class unrecorded_trace : public unrecorded_span<Context> {
public:
    template <class... Values>
    static constexpr bool set(const Values&...) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        return true;
    }
    static constexpr void previews(std::string_view, std::string_view) noexcept {}
    static constexpr bool metadata(std::string_view, std::string_view) noexcept
        requires Schema::is_open
    {
        return true;
    }
};

/// The scope of a tracer that is off at compile time.
class unrecorded_scope {
public:
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
/// records compiles unchanged, with the same checks, to the instructions that it would have without recording. It has
/// no exporter.
template <class Schema, class Context, class Exporter, class Platform>
class tracer<Schema, Context, Exporter, record_nothing, Platform> {
    static_assert(detail::has_policies<Schema, Context, Exporter, record_nothing, Platform>());

public:
    using schema_type = Schema;
    using context_type = Context;
    using exporter_type = Exporter;
    using platform_type = Platform;
    using trace = unrecorded_trace<Schema, Context>;
    using span = unrecorded_span<Context>;
    using options = tracer_options<Exporter, record_nothing>;

    constexpr tracer() noexcept = default;
    explicit tracer(const options&) noexcept {}
    template <class Part, class... Parts>
        requires(!std::is_same_v<std::remove_cvref_t<Part>, tracer>)
    explicit tracer(const Part&, const Parts&...) noexcept {
        detail::require_options<options, Part, Parts...>();
    }
    tracer(const tracer&) = delete;
    tracer& operator=(const tracer&) = delete;

    template <class... Values>
    [[nodiscard]] trace start_trace(std::string_view, const Values&...) noexcept {
        detail::require_start_arguments<Schema, Values...>();
        (detail::require_allowed_at_start<Schema, Values>(), ...);
        return {};
    }
    [[nodiscard]] span start_span(std::string_view, span_type = span_type::unknown) noexcept { return {}; }
    template <class... Values>
    [[nodiscard]] unrecorded_scope scope(const Values&...) noexcept {
        detail::require_ambient_context<Context>();
        (detail::require_allowed_in_scope<Schema, Values>(), ...);
        return unrecorded_scope{};
    }
    [[nodiscard]] span untraced() noexcept { return {}; }
    template <class... Values>
    bool update_current_trace(const Values&...) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        return true;
    }

    [[nodiscard]] captured_context<Context> capture() const noexcept { return {}; }
    template <class Function>
    [[nodiscard]] auto bind(Function&& function) const {
        return [bound = std::forward<Function>(function)]<class... Args>(Args&&... args) mutable -> decltype(auto) {
            detail::require_whole_call<decltype(bound(std::forward<Args>(args)...))>();
            return bound(std::forward<Args>(args)...);
        };
    }
    [[nodiscard]] static constexpr trace_id current_trace_id() noexcept { return {}; }
    [[nodiscard]] static owned_text trace_url(const trace_id&) { return {}; }

    static bool flush(std::chrono::milliseconds) noexcept { return true; }
    static bool shutdown(std::chrono::milliseconds) noexcept { return true; }
    [[nodiscard]] static span_account account() noexcept { return {}; }
    [[nodiscard]] static std::uint64_t refused_values() noexcept { return 0; }
    [[nodiscard]] static std::uint64_t late_sessions() noexcept { return 0; }
    [[nodiscard]] static owned_text last_error() { return {}; }

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
