// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <coroutine>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// What a function returns that has not run yet: the coroutine is awaited, or resumed, by its caller.
template <class T>
concept awaitable = requires { typename std::remove_cvref_t<T>::promise_type; } ||
                    requires(std::remove_reference_t<T>& value) { value.await_ready(); } ||
                    requires(T&& value) { std::forward<T>(value).operator co_await(); } ||
                    requires(T&& value) { operator co_await(std::forward<T>(value)); };

// Of these types a function can be a coroutine that awaits another one.
template <class T>
concept coroutine = requires { typename std::coroutine_traits<T>::promise_type; };

// What `co_await` asks of an expression, and what comes of it.
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
