// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/platform/threads.hpp>
#include <mlflow/trace/platform/without_signals.hpp>

#include <array>
#include <cstddef>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The threads of a worker, which are ended together with it. If an exporter does not return, its thread is detached,
// and the last thread that ends deletes the worker: no caller waits endlessly, and no thread waits for itself.
template <class Worker, std::size_t Count = 1>
class worker_threads {
public:
    explicit worker_threads(Worker& worker) noexcept : worker_(worker) {}

    // Calls `run(number)` on each thread. Throws if not even one thread can be started.
    template <class Run>
    void start(const Run& run) {
        start_one(0, run);
        const auto start_others = [&] {
            for (std::size_t number = 1; number < Count; ++number) start_one(number, run);
        };
        guarded(start_others, [] {});
    }

    [[nodiscard]] bool is_own_thread() const noexcept { return running_here == this; }

    // Call after the threads have been told to stop. The caller must not use the worker afterwards.
    void end() noexcept {
        unique_lock guard(lock_);
        const auto to_come_back = deadline_after(std::chrono::milliseconds(250));
        if (!is_own_thread()) has_ended_.wait_until(guard, to_come_back, [this] { return running_ == 0; });
        is_left_ = running_ != 0;
        for (thread& each : threads_)
            if (is_left_ && each.joinable()) each.detach();
        if (is_left_) return;
        guard.unlock();
        for (thread& each : threads_)
            if (each.joinable()) each.join();
        delete &worker_;
    }

private:
    template <class Run>
    void start_one(std::size_t number, const Run& run) {
        const lock_guard guard(lock_);
        const without_signals blocked;
        threads_[number] = thread([this, number, run] {
            running_here = this;
            run(number);
            one_has_ended();
        });
        ++running_;
    }
    void one_has_ended() noexcept {
        unique_lock guard(lock_);
        const bool is_last = --running_ == 0 && is_left_;
        has_ended_.notify_all();
        guard.unlock();
        if (is_last) delete &worker_;
    }

    static inline constinit thread_local const worker_threads* running_here = nullptr;

    Worker& worker_;
    machine::mutex lock_;
    condition has_ended_;
    std::array<thread, Count> threads_;
    std::size_t running_ = 0;
    bool is_left_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
