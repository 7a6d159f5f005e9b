// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/plain_pool.hpp>
#include <mlflow/trace/memory/threaded_pool.hpp>

#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Free objects of one type. The pool keeps as many as a steady load needs, and frees the rest after a burst.
//
// T has `T* next` and `T* next_chain`, which the pool uses, and `recycle()`. This returns false for an object that
// did not come from the pool; the pool then calls the object's `leave()`. If `T::has_blocks`, T also has
// `std::size_t chain_bytes`, which the pool uses, `kept_bytes()`, the size of the object with its blocks, and
// `strip()`, which frees the blocks. If `T::is_looked_at`, the pool never frees an object, so that a stale pointer
// still points to an object of that type (a context may read a span that ended on another thread). Such objects are
// allocated together, apart from the blocks that are freed.
//
// Objects are given and taken in chains. The spans of a trace come back as one chain, and the thread that takes the
// chain next uses its objects one by one without a lock.
template <class T>
using pool = std::conditional_t<machine::has_threads, threaded_pool<T>, plain_pool<T>>;

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
