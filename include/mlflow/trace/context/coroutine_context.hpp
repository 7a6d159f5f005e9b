// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/captured.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#if MLFLOW_TRACE_HOSTED

#include <cstdint>
#include <ctime>
#include <new>
#include <sched.h>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What is current in one task, whichever thread runs it. Copies are the same task. For executors and coroutine
/// types; an application takes `mt::co_spawn` (context/asio.hpp) or `coroutine_promise` (context/coroutine.hpp).
///
/// Thread-safety: as `std::shared_ptr`. One task runs on one thread at a time: what runs at the same time as it, as
/// if it were the same task, finds nothing current, and the error handler is called.
class task_context {
    struct cell {
        ~cell() { slot.release(); }

        detail::atomic<std::uint32_t> references{1};
        detail::atomic<const void*> runner{nullptr}; // of each thread another one
        context_slot slot{.is_of_task = true};
    };

public:
    /// No task.
    task_context() noexcept = default;
    task_context(const task_context& other) noexcept : cell_(other.cell_) {
        if (cell_) cell_->references.fetch_add(1, detail::memory_order_relaxed);
    }
    task_context(task_context&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
    task_context& operator=(task_context other) noexcept {
        std::swap(cell_, other.cell_);
        return *this;
    }
    ~task_context() {
        if (cell_ && cell_->references.fetch_sub(1, detail::memory_order_acq_rel) == 1) delete cell_;
    }

    /// A new task, in which that is current what is current here. Throws `std::bad_alloc` without memory.
    [[nodiscard]] static task_context start();

    /// While it lives, the task runs on this thread. Ends on the thread that began it, in reverse order.
    class running;

    friend bool operator==(const task_context&, const task_context&) noexcept = default;

private:
    friend class coroutine_context;
    friend class coroutine_turn;

    // The task that runs on this thread. Not inlined: a compiler may keep the address of a thread-local variable in a
    // coroutine that is resumed on another thread.
    __attribute__((noinline)) static cell*& here() noexcept {
        static constinit thread_local cell* running_here = nullptr;
        return running_here;
    }

    cell* cell_ = nullptr;
};

class task_context::running {
public:
    explicit running(task_context task) noexcept : task_(std::move(task)), thread_(&here()), outer_(*thread_) {
        if (!task_.cell_) return;
        if (is_taken_over()) {
            *thread_ = task_.cell_;
        } else {
            unknown_.slot.unattached = 1;
            *thread_ = &unknown_;
        }
    }
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    ~running() {
        if (!task_.cell_) return;
        if (&here() != thread_) { // the thread that it began on keeps a task for ever
            static_cast<void>(new (std::nothrow) task_context(task_));
            return;
        }
        *thread_ = outer_;
        if (is_first_) task_.cell_->runner.store(nullptr, detail::memory_order_release);
    }

private:
    // An executor may resume a task on one thread while another one is about to leave it: it waits for that one.
    bool is_taken_over() noexcept {
        std::uint64_t begin = 0;
        while (true) {
            const void* runner = nullptr;
            is_first_ = task_.cell_->runner.compare_exchange_strong(runner, thread_, detail::memory_order_acquire);
            if (is_first_ || runner == thread_) return true;
            timespec now{};
            clock_gettime(CLOCK_MONOTONIC, &now);
            const auto nano =
                static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000U + static_cast<std::uint64_t>(now.tv_nsec);
            if (begin == 0) begin = nano;
            if (nano - begin > longest_wait_nano) return false;
            sched_yield();
        }
    }

    static constexpr std::uint64_t longest_wait_nano = 50'000'000;

    task_context task_;
    cell** thread_;
    cell* outer_;
    bool is_first_ = false;
    cell unknown_; // in its place when the task runs elsewhere
};

/// What is current belongs to the task that runs, whichever thread and executor resumes it: for coroutines. Outside
/// of tasks it is a `thread_local_context`.
///
/// `mt::co_spawn` (context/asio.hpp) starts such a task for an `asio::awaitable`; the promise of an own coroutine
/// type derives from `coroutine_promise` (context/coroutine.hpp).
class coroutine_context {
public:
    static constexpr bool is_per_task = true; // so that `run` and `traced` take coroutines

    static context_slot* slot() noexcept {
        auto* const task = task_context::here();
        return task ? &task->slot : thread_slot();
    }
    static bool holds(const void* object) noexcept {
        return task_context::here() || thread_local_context::holds(object);
    }

private:
    __attribute__((noinline)) static context_slot* thread_slot() noexcept { return thread_local_context::slot(); }
};

inline task_context task_context::start() {
    task_context started;
    started.cell_ = new cell;
    const auto here = detail::capture(coroutine_context::slot());
    if (here) detail::attach(started.cell_->slot, here.get(), true);
    return started;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
