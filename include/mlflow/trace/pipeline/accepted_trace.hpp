// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/detail/durations.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The latest trace that a receiver accepted, for control requests.
template <class Clock>
class accepted_trace {
public:
    // A large trace is replaced by a smaller one, because it stays in memory.
    void remember(trace_batch&& taken) noexcept {
        constexpr std::size_t small = 64 * 1024;
        forget_what_is_old();
        if (!batch_.empty() && taken.memory() > small && taken.memory() > batch_.memory()) return;
        trace_data* const alone = taken.begin()->block ? packed(*taken.begin()) : nullptr;
        batch_ = alone ? trace_batch(alone) : std::move(taken);
        since_ = Clock::now();
        has_been_ = true;
    }
    // Control requests do not make it younger.
    void forget_what_is_old() noexcept {
        if (!batch_.empty() && Clock::now() - since_ >= longest_kept) batch_.clear();
    }

    // Empty if there is none.
    [[nodiscard]] trace_batch& batch() noexcept { return batch_; }
    // Whether there was one.
    [[nodiscard]] bool has_been() const noexcept { return has_been_; }

private:
    // A trace that was deleted at the receiver must not come back by a control request long after it was delivered.
    static constexpr std::chrono::minutes longest_kept{5};

    trace_batch batch_;
    typename Clock::time_point since_{};
    bool has_been_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
