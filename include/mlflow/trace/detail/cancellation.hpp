// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#if MLFLOW_TRACE_HOSTED
#include <pthread.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Defers `pthread_cancel` of this thread while the object lives. A cancellation would unwind through `noexcept`
// functions, which ends the program.
class without_cancellation {
public:
#ifdef PTHREAD_CANCEL_DISABLE
    without_cancellation() noexcept { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
    ~without_cancellation() { pthread_setcancelstate(before_, nullptr); }

private:
    int before_ = PTHREAD_CANCEL_ENABLE;

public:
#else
    without_cancellation() noexcept {}
    ~without_cancellation() {}
#endif
    without_cancellation(const without_cancellation&) = delete;
    without_cancellation& operator=(const without_cancellation&) = delete;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
