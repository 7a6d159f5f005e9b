// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/owner.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The queue and threads of a deferring exporter, one for each process that uses it. The one found in the child of a
// fork is the parent's: its threads do not exist there and its lock may never be released, so it is not touched.
template <class Worker>
class per_process {
public:
    struct ender {
        void operator()(Worker* worker) const noexcept { worker->end(); }
    };
    using pointer = owner<Worker, ender>;

    explicit per_process(pointer first) noexcept : worker_(first.release()) {}
    per_process(const per_process&) = delete;
    per_process& operator=(const per_process&) = delete;
    ~per_process() { const pointer ended(own()); }

    // Null in the child of a fork until `own_or` is called.
    [[nodiscard]] Worker* own() const noexcept { return own(latest()); }

    // This process's worker; created by `make(account)` if there is none.
    template <class Make>
    Worker& own_or(const Make& make) {
        Worker* found = latest();
        if (Worker* const mine = own(found)) return *mine;
        pointer made = make(inherited(*found));
        if (worker_.compare_exchange_strong(found, made.get())) return *made.release();
        return *found; // another thread of the child created one first
    }

    // Counts spans as dropped because the child could not create a worker.
    void drop(std::size_t spans) noexcept { dropped_.fetch_add(spans, memory_order_relaxed); }
    static constexpr const char* why_dropped = "this forked process cannot deliver; create its tracer after the fork";

    [[nodiscard]] span_account account() const {
        Worker* const found = latest();
        span_account counted = own(found) ? found->account() : inherited(*found);
        counted.dropped += dropped_.load(memory_order_relaxed);
        return counted;
    }
    [[nodiscard]] error last_error() const {
        if (dropped_.load(memory_order_relaxed) != 0) return error(error_kind::dropped, {}, why_dropped);
        return own() ? own()->last_error() : error();
    }

    // The latest worker, even if it is the parent's.
    [[nodiscard]] Worker& any() const noexcept { return *latest(); }

private:
    [[nodiscard]] Worker* latest() const noexcept { return worker_.load(memory_order_acquire); }
    static Worker* own(Worker* found) noexcept { return found->is_of_this_process() ? found : nullptr; }

    // The parent delivers what was queued, so it counts as exported here.
    static span_account inherited(const Worker& of_parent) noexcept {
        span_account counted = of_parent.account_now();
        counted.exported += std::exchange(counted.queued, 0);
        return counted;
    }

    atomic<std::size_t> dropped_{0};
    atomic<Worker*> worker_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
