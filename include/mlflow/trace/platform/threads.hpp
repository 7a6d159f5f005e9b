// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/owner.hpp>
#include <mlflow/trace/platform/condition.hpp>

#include <cstdlib>
#include <exception>
#include <pthread.h>
#include <system_error>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

[[noreturn]] inline void throw_system_error(int code, [[maybe_unused]] const char* what) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    throw std::system_error(code, std::generic_category(), what);
#else
    static_cast<void>(code);
    std::abort();
#endif
}

// The part of std::thread that the library needs, for POSIX. <thread> would add 6,000 preprocessed lines. A thread
// must be joined or detached before this object is destroyed; otherwise the program terminates.
class thread {
public:
    thread() noexcept = default;
    // Throws std::system_error if no thread can be started.
    template <class Run>
    explicit thread(Run run) {
        owner<Run> passed(new Run(std::move(run)));
        if (const int code = pthread_create(&handle_, nullptr, &enter<Run>, passed.get()); code != 0)
            throw_system_error(code, "cannot start a thread");
        static_cast<void>(passed.release()); // the thread owns it now
        is_joinable_ = true;
    }
    thread(thread&& other) noexcept
        : handle_(other.handle_), is_joinable_(std::exchange(other.is_joinable_, false)) {}
    thread& operator=(thread&& other) noexcept {
        if (is_joinable_) std::terminate();
        handle_ = other.handle_;
        is_joinable_ = std::exchange(other.is_joinable_, false);
        return *this;
    }
    ~thread() {
        if (is_joinable_) std::terminate();
    }

    [[nodiscard]] bool joinable() const noexcept { return is_joinable_; }
    void join() noexcept {
        pthread_join(handle_, nullptr);
        is_joinable_ = false;
    }
    void detach() noexcept {
        pthread_detach(handle_);
        is_joinable_ = false;
    }

private:
    template <class Run>
    static void* enter(void* passed) {
        const owner<Run> run(static_cast<Run*>(passed));
        (*run)();
        return nullptr;
    }

    pthread_t handle_{};
    bool is_joinable_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
