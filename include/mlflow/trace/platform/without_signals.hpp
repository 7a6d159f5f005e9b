// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#if MLFLOW_TRACE_HOSTED

#include <initializer_list>
#include <pthread.h>
#include <signal.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Threads started while this object exists do not handle the application's signals. Signals raised by faults of the
// thread itself, which would otherwise end the program in spite of a handler, and profilers' signals are not blocked.
class without_signals {
public:
    without_signals() noexcept {
        sigset_t blocked;
        sigfillset(&blocked);
        for (const int kept : {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGPROF})
            sigdelset(&blocked, kept);
        pthread_sigmask(SIG_BLOCK, &blocked, &before_);
    }
    without_signals(const without_signals&) = delete;
    without_signals& operator=(const without_signals&) = delete;
    ~without_signals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

private:
    sigset_t before_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
