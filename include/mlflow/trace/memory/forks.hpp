// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#if MLFLOW_TRACE_HOSTED

#include <cstdint>
#include <pthread.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline atomic<std::uint32_t>& fork_counter() noexcept {
    static constinit atomic<std::uint32_t> count{1};
    return count;
}

// Registered before main, or as a plugin is loaded: a thread in the midst of a first use would leave the child of a
// fork waiting for it.
template <class = void>
inline const int counts_forks =
    pthread_atfork(nullptr, nullptr, [] { fork_counter().fetch_add(1, memory_order_relaxed); });

// How many forks lie between this process and its first ancestor that asked, plus one: what remembers another number
// was made by a parent. Cheaper than getpid(), which is a system call.
inline std::uint32_t fork_count() noexcept {
    static_cast<void>(&counts_forks<>);
    return fork_counter().load(memory_order_relaxed);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
