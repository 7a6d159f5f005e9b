// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A type whose value, when a function returns it, has not run yet: a coroutine that the caller awaits or resumes.
template <class T>
concept awaitable = requires { typename std::remove_cvref_t<T>::promise_type; } ||
                    requires(std::remove_reference_t<T>& value) { value.await_ready(); } ||
                    requires(T&& value) { std::forward<T>(value).operator co_await(); } ||
                    requires(T&& value) { operator co_await(std::forward<T>(value)); };

// A type that a coroutine which awaits another one can return.
template <class T>
concept coroutine = requires { typename std::coroutine_traits<T>::promise_type; };

// The awaiter that `co_await` obtains from an expression, and the type of its result.
template <class T>
decltype(auto) awaiter_of(T&& value) {
    if constexpr (requires { std::forward<T>(value).operator co_await(); })
        return std::forward<T>(value).operator co_await();
    else if constexpr (requires { operator co_await(std::forward<T>(value)); })
        return operator co_await(std::forward<T>(value));
    else return std::forward<T>(value);
}
template <class T>
using awaited_type = decltype(awaiter_of(std::declval<T>()).await_resume());

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
