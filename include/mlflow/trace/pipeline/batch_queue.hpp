// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The queue of a `batch`. Traces leave it in this order: first those that were packed (or were found small enough),
// then those that are being packed at the moment, then those that are still as they were recorded.
class batch_queue {
public:
    struct amount {
        std::size_t spans = 0;
        std::size_t bytes = 0;
        std::size_t memory = 0;
    };

    [[nodiscard]] std::size_t span_count() const noexcept {
        return small_.span_count() + in_hands_.spans + recorded_.span_count();
    }
    // These, and the ones that were dropped although older ones are being packed.
    [[nodiscard]] std::size_t spans_not_taken() const noexcept { return span_count() + dropped_behind_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return small_.bytes() + in_hands_.bytes + recorded_.bytes(); }
    [[nodiscard]] std::size_t memory() const noexcept {
        return small_.memory() + in_hands_.memory + recorded_.memory();
    }
    [[nodiscard]] std::size_t recorded_memory() const noexcept { return recorded_.memory(); }
    [[nodiscard]] bool empty() const noexcept { return span_count() == 0; }

    void append(trace_batch&& traces) noexcept { recorded_.append(std::move(traces)); }

    // The oldest trace; null if the queue is empty or that trace is being packed.
    [[nodiscard]] const trace_data* front() const noexcept {
        if (!small_.empty()) return &*small_.begin();
        return in_hands_.spans == 0 && !recorded_.empty() ? &*recorded_.begin() : nullptr;
    }
    // One of the queued traces; another one for each `number`. Null if there is none.
    [[nodiscard]] const trace_data* any(std::size_t number) const noexcept {
        const std::size_t count = small_.size() + recorded_.size();
        if (count == 0) return nullptr;
        number %= count;
        auto at = number < small_.size() ? small_.begin() : recorded_.begin();
        for (number -= number < small_.size() ? 0 : small_.size(); number > 0; --number) ++at;
        return &*at;
    }
    [[nodiscard]] trace_data* pop_front() noexcept {
        trace_data* const popped = (small_.empty() ? recorded_ : small_).pop_front();
        forget_dropped();
        return popped;
    }
    // Removes the oldest trace that is not being packed, so that the caller drops it; null if there is none.
    [[nodiscard]] trace_data* pop_to_drop() noexcept {
        const bool is_behind = small_.empty() && in_hands_.spans != 0;
        trace_data* const popped = pop_front();
        if (is_behind && popped) dropped_behind_ += popped->span_count;
        return popped;
    }

    // Removes the oldest traces that fit into `most` together, and at least one, whatever its size.
    [[nodiscard]] trace_batch take(const amount& most) noexcept {
        trace_batch taken;
        const auto fits = [&](const trace_data& next) {
            return taken.bytes() + next.bytes <= most.bytes && taken.span_count() + next.span_count <= most.spans &&
                   taken.memory() + next.memory() <= most.memory;
        };
        for (const trace_data* next = front(); next && (taken.empty() || fits(*next)); next = front())
            taken.push_back(pop_front());
        return taken;
    }
    // Removes recorded traces for packing, of `memory` bytes or slightly more. They still count as queued.
    [[nodiscard]] trace_batch take_recorded(std::size_t memory) noexcept {
        trace_batch taken;
        do taken.push_back(recorded_.pop_front());
        while (!recorded_.empty() && taken.memory() < memory);
        in_hands_ = {taken.span_count(), taken.bytes(), taken.memory()};
        return taken;
    }
    void put_back(trace_batch&& looked_at) noexcept {
        in_hands_ = {};
        small_.append(std::move(looked_at));
        forget_dropped();
    }

    // Removes all traces but those that are being packed, and returns the number of their spans.
    std::size_t clear() noexcept {
        const std::size_t spans = small_.span_count() + recorded_.span_count();
        small_.clear();
        recorded_.clear();
        forget_dropped();
        return spans;
    }

private:
    // Resets `dropped_behind_` once no queued trace is older than the dropped ones.
    void forget_dropped() noexcept {
        if (small_.empty() && in_hands_.spans == 0) dropped_behind_ = 0;
    }

    trace_batch small_;
    amount in_hands_;
    trace_batch recorded_;
    std::size_t dropped_behind_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
