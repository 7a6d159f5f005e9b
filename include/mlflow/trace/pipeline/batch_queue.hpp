// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// What waits in a `batch`: the longest first those that have been looked at and hold no more than they need, then
// those that are just being looked at, then those that are as they were recorded.
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
    // They, and those that were dropped although older ones are just being looked at.
    [[nodiscard]] std::size_t spans_not_taken() const noexcept { return span_count() + dropped_behind_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return small_.bytes() + in_hands_.bytes + recorded_.bytes(); }
    [[nodiscard]] std::size_t memory() const noexcept {
        return small_.memory() + in_hands_.memory + recorded_.memory();
    }
    [[nodiscard]] std::size_t recorded_memory() const noexcept { return recorded_.memory(); }
    [[nodiscard]] bool empty() const noexcept { return span_count() == 0; }

    void append(trace_batch&& traces) noexcept { recorded_.append(std::move(traces)); }

    // The first one, if it is not just being looked at, or null.
    [[nodiscard]] const trace_data* front() const noexcept {
        if (!small_.empty()) return &*small_.begin();
        return in_hands_.spans == 0 && !recorded_.empty() ? &*recorded_.begin() : nullptr;
    }
    // One of those that wait, another one for the next number; null where none does.
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
    // To be dropped: the first one that is not just being looked at, or null.
    [[nodiscard]] trace_data* pop_to_drop() noexcept {
        const bool is_behind = small_.empty() && in_hands_.spans != 0;
        trace_data* const popped = pop_front();
        if (is_behind && popped) dropped_behind_ += popped->span_count;
        return popped;
    }

    // The first ones, as many as fit into this; one of any size.
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
    // Some to be looked at, which wait all the same.
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

    // How many spans these were; those that are being looked at come back.
    std::size_t clear() noexcept {
        const std::size_t spans = small_.span_count() + recorded_.span_count();
        small_.clear();
        recorded_.clear();
        forget_dropped();
        return spans;
    }

private:
    // Once nothing waits any more that is older than what was dropped.
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
