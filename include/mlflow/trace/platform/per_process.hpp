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

// The queue and thread of an exporter that defers, in whichever process it is asked for. In the child of a fork what
// is there is the parent's: its thread is not here, and its lock may be held for ever, so that it is left alone.
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

    // Null in the child of a fork, at first.
    [[nodiscard]] Worker* own() const noexcept { return own(latest()); }

    // The own one, which `make(account)` makes where there is none.
    template <class Make>
    Worker& own_or(const Make& make) {
        Worker* found = latest();
        if (Worker* const mine = own(found)) return *mine;
        pointer made = make(inherited(*found));
        if (worker_.compare_exchange_strong(found, made.get())) return *made.release();
        return *found; // another thread of the child was faster
    }

    // For these spans there is no worker: the child could not make one.
    void drop(std::size_t spans) noexcept { dropped_.fetch_add(spans, memory_order_relaxed); }
    static constexpr const char* why_dropped =
        "no thread to deliver with in this forked process; make its tracer after the fork";

    [[nodiscard]] span_account account() const {
        Worker* const found = latest();
        span_account counted = own(found) ? found->account() : inherited(*found);
        counted.dropped += dropped_.load(memory_order_relaxed);
        return counted;
    }
    [[nodiscard]] std::string last_error() const {
        if (dropped_.load(memory_order_relaxed) != 0) return why_dropped;
        return own() ? own()->last_error() : std::string();
    }

    // Also the parent's.
    [[nodiscard]] Worker& any() const noexcept { return *latest(); }

private:
    [[nodiscard]] Worker* latest() const noexcept { return worker_.load(memory_order_acquire); }
    static Worker* own(Worker* found) noexcept { return found->is_of_this_process() ? found : nullptr; }

    // The parent delivers what waits, so that it counts as exported.
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
