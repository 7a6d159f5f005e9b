// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/outcome.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A receiver that has stored this may accept it again where it stores nothing new.
inline bool may_have_been_stored(const export_result& failed) noexcept {
    return failed.too_slow || failed.error.kind() == error_kind::closed || is_busy(failed.error.status());
}

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
    }
    // Control requests do not make it younger.
    void forget_what_is_old() noexcept {
        if (!batch_.empty() && Clock::now() - since_ >= longest_kept) batch_.clear();
    }

    // Empty if there is none.
    [[nodiscard]] trace_batch& batch() noexcept { return batch_; }

    // Remembers a trace of which the receiver may have something, and will get more: it was a control request, and
    // waits to be sent again, or is split.
    void remember_waiting(const trace_id& id) noexcept {
        if (!is_waiting(id)) waiting_[waiting_count_++ % most_waiting] = id;
    }
    // Whether the receiver cannot have had something of this trace before. Spans that ended after their root span
    // belong to a trace that it has.
    [[nodiscard]] bool is_new(const trace_data& trace) const noexcept {
        return (trace.root || trace.marks.is_split) && !trace.marks.may_be_stored && !is_waiting(trace.id);
    }
    // The same of one of these traces; also if the exporter has moved all of them out.
    [[nodiscard]] bool is_new(const trace_batch& batch) const noexcept {
        for (const trace_data& trace : batch)
            if (is_new(trace)) return true;
        return batch.empty();
    }
    void remember_split(const trace_batch& sent) noexcept {
        for (const trace_data& trace : sent)
            if (trace.marks.is_split) remember_waiting(trace.id);
    }

private:
    [[nodiscard]] bool is_waiting(const trace_id& id) const noexcept {
        for (const trace_id& each : waiting_)
            if (each == id) return true;
        return false;
    }

    // A trace that was deleted at the receiver must not come back by a control request long after it was delivered.
    static constexpr std::chrono::minutes longest_kept{5};
    static constexpr std::size_t most_waiting = 64;

    trace_batch batch_;
    typename Clock::time_point since_{};
    trace_id waiting_[most_waiting]{}; // the latest ones
    std::size_t waiting_count_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
