// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/outcome.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/pipeline/backoff.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// What a spool holds: spans of its own process, and bytes that another one left.
inline std::string waiting_text(std::uint64_t spans, std::uint64_t bytes, const std::string& error) {
    std::string text = spans != 0 || bytes == 0 ? std::to_string(spans) + " spans" : std::string();
    if (bytes != 0)
        text += (text.empty() ? "" : " and ") + std::to_string(bytes) + " bytes that another process left";
    return text + " wait in the folder: " + (error.empty() ? "the receiver has not answered for them yet" : error);
}

// How a spool goes on after each attempt to forward. What the receiver cannot take now is tried again. What it
// refuses is halved until one trace is left. That one is put aside when another one is taken in the meantime: those
// behind it in its segment are tried one by one, then those of another segment. When none is, nothing is put aside:
// credentials or the experiment are wrong then, not the traces.
// What it is too slow for is sent in smaller parts. A single trace that it is too slow for again and again, but not
// for others in between, is put aside too.
class spool_pace {
public:
    enum class verdict : std::uint8_t { move_on, at_once, wait, put_aside };

    spool_pace(std::chrono::milliseconds first_wait, std::chrono::milliseconds longest_wait) noexcept
        : waits_(first_wait, longest_wait) {}

    // The next attempt takes up to so many traces, after passing over so many: to see whether others are taken.
    [[nodiscard]] std::size_t most_traces() const noexcept { return is_probing() ? 1 : most_traces_; }
    [[nodiscard]] std::size_t passed_over() const noexcept { return passed_over_; }
    // It takes them from another segment.
    [[nodiscard]] bool is_elsewhere() const noexcept { return is_elsewhere_; }

    // `is_last`: nothing is behind these traces in their segment.
    verdict judge(const export_result& outcome, std::size_t traces, bool is_last) noexcept {
        const trace::outcome what = outcome_of(outcome);
        if (what == trace::outcome::delivered) return is_probing() ? other_taken(traces) : succeeded(traces);
        if (outcome.too_slow) {
            most_traces_ = std::max<std::size_t>(traces / 2, 1);
            is_slow_ = true;
        }
        const bool is_too_slow_for_one = outcome.too_slow && traces == 1;
        if (what == trace::outcome::wait && !is_too_slow_for_one) return verdict::wait;
        if (traces > 1) {
            if (suspects_ == 0) suspects_ = traces, is_other_taken_ = false;
            most_traces_ = traces / 2;
            return verdict::at_once;
        }
        if (std::exchange(is_other_taken_, false)) {
            if (is_too_slow_for_one && ++times_too_slow_ < most_times_too_slow) return verdict::wait;
            times_too_slow_ = 0;
            suspects_ -= std::min<std::size_t>(suspects_, 1);
            return verdict::put_aside;
        }
        const bool is_first = !is_probing();
        passed_over_ = is_last ? 0 : passed_over_ + 1;
        if (is_last) is_elsewhere_ = !is_elsewhere_;
        return is_first ? verdict::at_once : verdict::wait;
    }

    // Before the next attempt.
    [[nodiscard]] std::chrono::milliseconds next_wait(std::chrono::milliseconds asked) noexcept {
        return waits_.next(asked);
    }

private:
    static constexpr std::size_t unlimited = ~std::size_t{0};
    static constexpr int most_times_too_slow = 5;

    [[nodiscard]] bool is_probing() const noexcept { return passed_over_ > 0 || is_elsewhere_; }

    verdict succeeded(std::size_t traces) noexcept {
        waits_.reset();
        times_too_slow_ = 0;
        suspects_ -= std::min(suspects_, traces);
        is_other_taken_ = suspects_ > 0;
        const std::size_t more = is_slow_ ? most_traces_ / 8 + 1 : most_traces_;
        most_traces_ = most_traces_ > unlimited / 2 ? unlimited : most_traces_ + more;
        return verdict::move_on;
    }
    // The first one has its last chance. What was taken here comes again, which does no harm. None: there was
    // nothing.
    verdict other_taken(std::size_t traces) noexcept {
        passed_over_ = 0;
        is_other_taken_ = traces > 0;
        is_elsewhere_ = !is_other_taken_ && !is_elsewhere_;
        return is_other_taken_ || is_elsewhere_ ? verdict::at_once : verdict::wait;
    }

    backoff waits_;
    std::size_t most_traces_ = unlimited;
    bool is_slow_ = false; // the receiver did not answer to so many in time
    std::size_t passed_over_ = 0;
    bool is_elsewhere_ = false;
    int times_too_slow_ = 0;      // for what comes next, while it was not for another
    std::size_t suspects_ = 0;    // of those that were refused together, the ones that are left
    bool is_other_taken_ = false; // since what comes next was refused
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
