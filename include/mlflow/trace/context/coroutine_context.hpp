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

/// One task: a place where spans and scopes are current, whichever thread runs it. Copies refer to the same task. It
/// is used by executors and coroutine types; an application uses `mt::co_spawn` (context/asio.hpp) or
/// `coroutine_promise` (context/coroutine.hpp).
///
/// Thread-safety: as `std::shared_ptr`. A task runs on one thread at a time. If a second thread runs it meanwhile,
/// nothing is current on that thread, and the error handler is called.
class task_context {
    struct cell {
        ~cell() { slot.release(); }

        detail::atomic<std::uint32_t> references{1};
        detail::atomic<const void*> runner{nullptr}; // identifies the thread that runs the task
        context_slot slot{.is_of_task = true};
    };

public:
    /// No task.
    task_context() noexcept = default;
    /// Refers to the same task.
    task_context(const task_context& other) noexcept : cell_(other.cell_) {
        if (cell_) cell_->references.fetch_add(1, detail::memory_order_relaxed);
    }
    /// Takes over the reference to the task.
    task_context(task_context&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
    /// Refers to the task of `other`.
    task_context& operator=(const task_context& other) noexcept { return *this = task_context(other); }
    /// Takes over the reference to the task.
    task_context& operator=(task_context&& other) noexcept {
        task_context taken(std::move(other));
        std::swap(cell_, taken.cell_);
        return *this;
    }
    /// Releases the task with the last reference.
    ~task_context() {
        if (cell_ && cell_->references.fetch_sub(1, detail::memory_order_acq_rel) == 1) delete cell_;
    }

    /// Starts a task in which the current context of the caller is current. Throws `std::bad_alloc` when memory runs
    /// out.
    [[nodiscard]] static task_context start();

    /// Runs the task on this thread while the object lives. Objects must be destroyed on the thread that made them,
    /// in reverse order.
    class running;

    /// Whether two objects refer to the same task.
    friend bool operator==(const task_context&, const task_context&) noexcept = default;

private:
    friend class coroutine_context;
    friend class coroutine_turn;

    // The task that runs on this thread. The function is not inlined, because a compiler may keep the address of a
    // thread-local variable in a coroutine that is resumed on another thread.
    __attribute__((noinline)) static cell*& here() noexcept {
        static constinit thread_local cell* running_here = nullptr;
        return running_here;
    }

    cell* cell_ = nullptr;
};

/// Runs a task on this thread while the object lives.
class task_context::running {
public:
    /// Makes `task` current on this thread.
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
    /// Restores the task that was current before.
    ~running() {
        if (!task_.cell_) return;
        if (&here() != thread_) { // the thread it began on keeps a reference, so the task is never freed
            static_cast<void>(new (std::nothrow) task_context(task_));
            return;
        }
        *thread_ = outer_;
        if (is_first_) task_.cell_->runner.store(nullptr, detail::memory_order_release);
    }

private:
    // An executor may resume a task on one thread while another thread is still leaving it. The new thread waits for
    // the other one.
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
    cell unknown_; // current in place of the task when it runs on another thread
};

/// A context policy for coroutines: what is current belongs to the running task, whichever thread and executor
/// resumes it. Outside of tasks it behaves as `thread_local_context`.
///
/// `mt::co_spawn` (context/asio.hpp) starts a task for an `asio::awaitable`. The promise of a coroutine type of your
/// own derives from `coroutine_promise` (context/coroutine.hpp).
class coroutine_context {
public:
    static constexpr bool is_per_task = true; ///< `run` and `traced` accept coroutines

    /// The slot of the running task, or of the thread outside of tasks.
    static context_slot* slot() noexcept {
        auto* const task = task_context::here();
        return task ? &task->slot : thread_slot();
    }
    /// Whether an object at this address can be current: always in a task, and as for `thread_local_context` outside.
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
