// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// std::lock_guard and std::unique_lock. A freestanding target may lack them, and their header would add 2,000 lines
// to every translation unit.
template <class Mutex>
class lock_guard {
public:
    explicit lock_guard(Mutex& mutex) : mutex_(mutex) { mutex_.lock(); }
    lock_guard(const lock_guard&) = delete;
    lock_guard& operator=(const lock_guard&) = delete;
    ~lock_guard() { mutex_.unlock(); }

private:
    Mutex& mutex_;
};

template <class Mutex>
class unique_lock {
public:
    explicit unique_lock(Mutex& mutex) : mutex_(mutex) { lock(); }
    unique_lock(const unique_lock&) = delete;
    unique_lock& operator=(const unique_lock&) = delete;
    ~unique_lock() {
        if (is_locked_) mutex_.unlock();
    }

    void lock() {
        mutex_.lock();
        is_locked_ = true;
    }
    void unlock() {
        is_locked_ = false;
        mutex_.unlock();
    }
    [[nodiscard]] Mutex& mutex() const noexcept { return mutex_; }

private:
    Mutex& mutex_;
    bool is_locked_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
