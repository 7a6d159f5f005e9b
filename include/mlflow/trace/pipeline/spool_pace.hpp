// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/pipeline/backoff.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// Where there is something to forward behind the traces of an attempt.
enum class spool_rest : std::uint8_t { in_segment, in_others, nowhere };

// How a spool goes on after each attempt to forward. What the receiver cannot take now is tried again. What it
// refuses is halved until one trace is left. That one is put aside when another one is taken in the meantime. When
// none is, nothing is put aside: credentials or the experiment are wrong then, not the traces.
// What it is too slow for is sent in smaller parts.
class spool_pace {
public:
    enum class verdict : std::uint8_t { move_on, at_once, wait, put_aside };

    spool_pace(std::chrono::milliseconds first_wait, std::chrono::milliseconds longest_wait) noexcept
        : waits_(first_wait, longest_wait) {}

    // The next attempt takes up to so many traces, after passing over so many: to see whether others are taken.
    [[nodiscard]] std::size_t most_traces() const noexcept { return most_traces_; }
    [[nodiscard]] std::size_t passed_over() const noexcept { return passed_over_; }

    verdict judge(const export_result& outcome, std::size_t traces, spool_rest rest) noexcept {
        if (outcome.ok()) return passed_over_ > 0 ? other_taken(traces) : succeeded(traces);
        if (outcome.too_slow) {
            most_traces_ = std::max<std::size_t>(traces / 2, 1);
            is_slow_ = true;
        }
        if (outcome.retryable && !outcome.finds_fault) return verdict::wait;
        if (traces > 1) {
            if (suspects_ == 0) suspects_ = traces, is_other_taken_ = false;
            most_traces_ = traces / 2;
            return verdict::at_once;
        }
        if (passed_over_ > 0) return other_refused(rest);
        const bool is_in_the_way = rest == spool_rest::in_others && ++refusals_ >= most_refusals;
        if (std::exchange(is_other_taken_, false) || is_in_the_way) {
            refusals_ = 0;
            suspects_ -= std::min<std::size_t>(suspects_, 1);
            return verdict::put_aside;
        }
        if (rest != spool_rest::in_segment) return verdict::wait;
        passed_over_ = 1;
        return verdict::at_once;
    }

    // Before the next attempt.
    [[nodiscard]] std::chrono::milliseconds next_wait(std::chrono::milliseconds asked) noexcept {
        return waits_.next(asked);
    }

private:
    static constexpr std::size_t unlimited = ~std::size_t{0};
    static constexpr int most_refusals = 20; // of the last trace of a segment: 5 minutes by default

    verdict succeeded(std::size_t traces) noexcept {
        waits_.reset();
        refusals_ = 0;
        suspects_ -= std::min(suspects_, traces);
        is_other_taken_ = suspects_ > 0;
        const std::size_t more = is_slow_ ? most_traces_ / 8 + 1 : most_traces_;
        most_traces_ = most_traces_ > unlimited / 2 ? unlimited : most_traces_ + more;
        return verdict::move_on;
    }
    // The first one has its last chance. What was taken here comes again, which does no harm.
    verdict other_taken(std::size_t traces) noexcept {
        passed_over_ = 0;
        is_other_taken_ = traces > 0 || ++refusals_ >= most_refusals;
        return traces > 0 ? verdict::at_once : verdict::wait;
    }
    verdict other_refused(spool_rest rest) noexcept {
        passed_over_ = rest == spool_rest::in_segment ? passed_over_ + 1 : 0;
        return verdict::wait;
    }

    backoff waits_;
    std::size_t most_traces_ = unlimited;
    bool is_slow_ = false; // the receiver did not answer to so many in time
    std::size_t passed_over_ = 0;
    std::size_t suspects_ = 0; // of those that were refused together, the ones that are left
    int refusals_ = 0;
    bool is_other_taken_ = false; // since what comes next was refused
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
