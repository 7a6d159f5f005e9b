// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/spans/tracer.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A function that records each call as a span. Made by `traced`. Thread-safety: that of the function.
template <class Tracer, class Function, fixed_string Name, fixed_string... ArgumentNames>
class traced_function {
public:
    /// Made by `traced`.
    traced_function(Tracer& tracer, Function function, span_type type)
        : tracer_(&tracer), function_(std::move(function)), type_(type) {}

    /// Calls the function inside a span. Throws what the function throws.
    template <class... Args>
    decltype(auto) operator()(Args&&... args) {
        static_assert(sizeof...(Args) == sizeof...(ArgumentNames),
                      "traced: the number of names must match the number of arguments: traced<\"span\", \"first\", "
                      "\"second\">(tracer, function)");
        static_assert(std::is_invocable_v<Function&, Args...>,
                      "traced: the function cannot be called with these arguments");
        if constexpr (std::is_empty_v<typename Tracer::span>) { // off at compile time
            require_recordable<Args...>();
            return invoke(function_, std::forward<Args>(args)...);
        } else if constexpr (detail::awaitable<std::invoke_result_t<Function&, Args...>>) {
            using result = std::invoke_result_t<Function&, Args...>;
            detail::require_coroutine<typename Tracer::context_type, result>();
            if constexpr (std::is_invocable_v<Function&, std::decay_t<Args>...> &&
                          (std::is_constructible_v<std::decay_t<Args>, Args> && ...))
                return call_coroutine<result, std::decay_t<Args>...>(*this, std::forward<Args>(args)...);
            else return call_coroutine<result, Args...>(*this, std::forward<Args>(args)...);
        } else if constexpr (sizeof...(Args) == sizeof...(ArgumentNames) && std::is_invocable_v<Function&, Args...>) {
            auto span = tracer_->start_span_of(Name.view(), type_, args...);
            if (span.recording()) describe(span, args...); // before the call, which may change or move the arguments
            using result_type = std::invoke_result_t<Function&, Args...>;
            const auto call = [&]() -> decltype(auto) { return invoke(function_, std::forward<Args>(args)...); };
            if constexpr (std::is_void_v<result_type>) {
                span.run(call);
            } else if constexpr (std::is_reference_v<result_type>) {
                result_type result = span.run(call);
                span.outputs(result);
                return static_cast<result_type>(result);
            } else {
                auto result = span.run(call);
                span.outputs(result);
                return result;
            }
        }
    }

private:
    // The checks of a call that is recorded.
    template <class... Args>
    static constexpr void require_recordable() noexcept {
        using result = std::invoke_result_t<Function&, Args...>;
        if constexpr (detail::awaitable<result>) detail::require_coroutine<typename Tracer::context_type, result>();
        else if constexpr (!std::is_void_v<result>)
            static_cast<void>([](typename Tracer::span& span, const std::remove_cvref_t<result>& returned) {
                span.outputs(returned);
            });
        static_cast<void>([](traced_function& self, typename Tracer::span& span,
                             const std::remove_cvref_t<Args>&... args) { self.describe(span, args...); });
    }

    // A coroutine whose frame holds the function and its arguments. The span starts when its body starts.
    template <class Result, class... Args>
    static Result call_coroutine(traced_function self, Args... args) {
        auto span = self.tracer_->start_span_of(Name.view(), self.type_, args...);
        if (span.recording()) self.describe(span, args...);
        const auto call = [&]() -> Result { return invoke(self.function_, std::forward<Args>(args)...); };
        using value = detail::awaited_type<Result>;
        if constexpr (std::is_void_v<value>) {
            co_await span.run(call);
        } else if constexpr (std::is_reference_v<value>) {
            value returned = co_await span.run(call);
            span.outputs(returned);
            co_return static_cast<value>(returned);
        } else {
            auto returned = co_await span.run(call);
            span.outputs(returned);
            co_return returned;
        }
    }

    // Calls a pointer to a member function on its first argument.
    template <class First, class... Rest>
    static decltype(auto) invoke(Function& function, First&& first, Rest&&... rest) {
        if constexpr (std::is_member_function_pointer_v<Function>) {
            if constexpr (std::is_pointer_v<std::remove_cvref_t<First>>)
                return (first->*function)(std::forward<Rest>(rest)...);
            else return (std::forward<First>(first).*function)(std::forward<Rest>(rest)...);
        } else {
            return function(std::forward<First>(first), std::forward<Rest>(rest)...);
        }
    }
    static decltype(auto) invoke(Function& function) { return function(); }

    template <class Span, class... Args>
    void describe(Span& span, const Args&... args) noexcept {
        span.attribute(detail::mlflow_names::span_function_name, Name.view());
        if constexpr (sizeof...(Args) > 0) {
            write_inputs(span, std::index_sequence_for<Args...>{}, args...);
        }
    }
    template <class Span, std::size_t... Index, class... Args>
    static void write_inputs(Span& span, std::index_sequence<Index...>, const Args&... args) noexcept {
        span.inputs(named_value<Args>{names[Index], args}...);
    }
    // An array, because clang does not expand names and arguments in one pattern.
    static constexpr std::array<std::string_view, sizeof...(ArgumentNames)> names{ArgumentNames.view()...};

    Tracer* tracer_;
    Function function_;
    span_type type_;
};

/// Wraps a function so that each call is recorded as a span: its duration, its inputs by name, its output, and an
/// exception that leaves it. If no trace is current, the call is recorded as a trace. Arguments of type `mt::user`,
/// `mt::session`, `mt::client_request_id` or another key of the schema are also set on the trace. An input or output
/// of a type that cannot be written as JSON does not compile (see `json_encoder`).
///
/// A function that returns a coroutine is wrapped into a coroutine of the same type. The span lasts from the start of
/// the body to its end, and the result of `co_return` is the output. Arguments are copied or moved into the
/// coroutine; an argument that the function takes by non-const reference is kept as a reference.
///
///     auto answer = mt::traced<"answer", "user", "message">(tracer, [](mt::user, std::string message) { … });
///     answer(user, "hello");
template <fixed_string Name, fixed_string... ArgumentNames, class Tracer, class Function>
[[nodiscard]] auto traced(Tracer& tracer, Function&& function, span_type type = span_type::unknown) {
    return traced_function<Tracer, std::decay_t<Function>, Name, ArgumentNames...>(
        tracer, std::forward<Function>(function), type);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
