// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/options_of.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Exports a batch again when the receiver was not there or was busy, until it succeeds or `options::give_up_after`
/// has passed. Waits between the attempts, so it belongs inside `batch`:
/// `batch<retry<mlflow_exporter<beast_transport>>>`.
///
/// The waits grow by half each time, from `first_wait` to `longest_wait`, each shortened by up to a half at random so
/// that many processes do not come back at once; what the receiver asks for (`Retry-After`) is waited for, up to 10
/// minutes. Failures that another attempt cannot mend are returned at once. Thread-safety: `interrupt()` from any
/// thread, the rest by one thread at a time.
template <class Exporter>
class retry {
    static_assert(
        exporter<Exporter>,
        "retry: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

public:
    struct options {
        detail::options_of<Exporter> exporter{};
        std::chrono::milliseconds first_wait{200};
        std::chrono::milliseconds longest_wait{30'000};
        std::chrono::milliseconds give_up_after{std::chrono::hours(1)};
    };

    retry() : retry(options{}) {}
    explicit retry(options chosen) : options_(std::move(chosen)), exporter_(std::move(options_.exporter)) {}

    export_result export_traces(trace_batch& batch) {
        const auto give_up_at = std::chrono::steady_clock::now() + options_.give_up_after;
        for (auto wait = options_.first_wait;; wait = shorter(wait + wait / 2, options_.longest_wait)) {
            export_result outcome = detail::guarded_export(exporter_, batch);
            if (outcome.ok() || !outcome.retryable) return outcome;
            {
                const std::lock_guard guard(lock_);
                last_error_ = outcome.error;
            }
            constexpr std::chrono::milliseconds longest_asked = std::chrono::minutes(10);
            const auto asked = shorter(outcome.retry_after, longest_asked);
            const auto chosen = shortened(wait);
            const auto until = std::chrono::steady_clock::now() + (asked > chosen ? asked : chosen);
            if (until > give_up_at || !wait_until(until)) return outcome;
        }
    }

    /// Ends the waiting: the export under way returns after its current attempt, and later ones are not repeated.
    void interrupt() noexcept {
        {
            const std::lock_guard guard(lock_);
            interrupted_ = true;
        }
        wake_.notify_all();
    }

    /// Why the last attempt failed; empty when none did.
    [[nodiscard]] std::string last_error() const {
        const std::lock_guard guard(lock_);
        return last_error_;
    }
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        if constexpr (linking_exporter<Exporter>) return exporter_.trace_url(id);
        else return {};
    }

    /// The inner exporter.
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

private:
    // Without <algorithm>, which is 9,000 lines.
    static constexpr std::chrono::milliseconds shorter(std::chrono::milliseconds a,
                                                       std::chrono::milliseconds b) noexcept {
        return b < a ? b : a;
    }

    bool wait_until(std::chrono::steady_clock::time_point until) {
        std::unique_lock guard(lock_);
        return !wake_.wait_until(guard, until, [this] { return interrupted_; });
    }

    std::chrono::milliseconds shortened(std::chrono::milliseconds wait) noexcept {
        // xorshift64*, seeded by the clock: the waits need to differ between processes, no more.
        if (random_ == 0)
            random_ = static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()) | 1U;
        random_ ^= random_ >> 12U;
        random_ ^= random_ << 25U;
        random_ ^= random_ >> 27U;
        const auto part = static_cast<std::int64_t>((random_ * 0x2545f4914f6cdd1dU) >> 54U); // 0 to 1023
        return wait - wait * part / 2048;
    }

    options options_;
    Exporter exporter_;
    mutable std::mutex lock_;
    std::condition_variable wake_;
    std::string last_error_;
    std::uint64_t random_ = 0;
    bool interrupted_ = false;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
