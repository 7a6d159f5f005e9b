// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdlib>
#include <exception>
#include <new>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

[[noreturn]] inline void throw_bad_alloc() {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    throw std::bad_alloc();
#else
    std::abort(); // as `new` does without exceptions
#endif
}

// Returns the result of `run`, or the result of `rescue` if `run` throws.
template <class Run, class Rescue>
decltype(auto) guarded(Run&& run, [[maybe_unused]] Rescue&& rescue) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    try {
        return run();
    } catch (...) {
        return rescue();
    }
#else
    return run();
#endif
}

// The same, but passes the text of the exception to `rescue`, or null if it is not a std::exception.
template <class Run, class Rescue>
decltype(auto) guarded_by_reason(Run&& run, [[maybe_unused]] Rescue&& rescue) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    try {
        return run();
    } catch (const std::exception& thrown) {
        return rescue(thrown.what());
    } catch (...) {
        return rescue(nullptr);
    }
#else
    return run();
#endif
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
