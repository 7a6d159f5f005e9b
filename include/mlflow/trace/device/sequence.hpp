// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Counts lost, repeated and reordered records of one stream by their sequence numbers, which may wrap at 2^32.
///
/// It remembers the last `Window` numbers. An older number is counted as one that had been lost, while one is missing
/// among the older ones, and otherwise as a repetition.
///
/// Thread-safety: none.
template <std::size_t Window = 1024>
class sequence_account {
    static_assert(Window > 0 && (Window & (Window - 1)) == 0, "Window must be a power of two");

public:
    /// Whether this number has arrived, as far as the window reaches.
    [[nodiscard]] bool has(std::uint32_t sequence) const noexcept {
        return is_begun_ && age(sequence) >= 0 && is_in_window(sequence) && bit(sequence);
    }

    /// Records the arrival of a number. Returns false, and counts a repetition, if it had arrived before, as far as
    /// the window reaches.
    bool add(std::uint32_t sequence) noexcept {
        if (has(sequence)) {
            ++doubled_;
            return false;
        }
        if (!is_begun_) {
            is_begun_ = true;
            first_ = newest_ = sequence;
        } else if (age(sequence) < 0) {
            const std::uint32_t steps = sequence - newest_;
            for (std::uint32_t step = 1; step < steps && step <= Window; ++step) set(newest_ + step, false);
            newest_ = sequence;
        } else {
            if (is_before_window(sequence) && lost_before_window() == 0) {
                ++doubled_;
                return true;
            }
            ++reordered_;
            if (is_before_first(sequence)) first_ = sequence;
        }
        ++received_;
        if (is_in_window(sequence)) set(sequence, true);
        return true;
    }

    /// Undoes an `add` that has increased `received()`, for a record that could not be stored and will be sent again.
    void remove(std::uint32_t sequence) noexcept {
        if (has(sequence)) set(sequence, false);
        else if (!is_begun_ || !is_before_window(sequence) || received_ == received_in_window()) return;
        --received_;
    }

    /// The count of different numbers that have arrived.
    [[nodiscard]] std::uint32_t received() const noexcept { return received_; }
    /// The count of repetitions.
    [[nodiscard]] std::uint32_t doubled() const noexcept { return doubled_; }
    /// The count of numbers that arrived after a higher one.
    [[nodiscard]] std::uint32_t reordered() const noexcept { return reordered_; }
    /// The count of missing numbers between the lowest and the highest that arrived. A stream begins with 0: if all
    /// of it was to be received, the numbers before `first()` are missing too.
    [[nodiscard]] std::uint32_t lost() const noexcept { return is_begun_ ? missing(span(), received_) : 0; }
    /// The lowest number that has arrived.
    [[nodiscard]] std::uint32_t first() const noexcept { return first_; }

private:
    [[nodiscard]] std::int32_t age(std::uint32_t sequence) const noexcept {
        return static_cast<std::int32_t>(newest_ - sequence);
    }
    // The following are for numbers that are not higher than `newest_`.
    [[nodiscard]] bool is_before_first(std::uint32_t sequence) const noexcept {
        return newest_ - sequence > newest_ - first_;
    }
    [[nodiscard]] bool is_in_window(std::uint32_t sequence) const noexcept {
        return newest_ - sequence < Window && !is_before_first(sequence);
    }
    [[nodiscard]] bool is_before_window(std::uint32_t sequence) const noexcept {
        return newest_ - sequence >= Window && !is_before_first(sequence);
    }

    // None is missing if more have arrived than there are: the numbers have wrapped.
    [[nodiscard]] static std::uint32_t missing(std::uint32_t all, std::uint32_t arrived) noexcept {
        return all > arrived ? all - arrived : 0;
    }
    [[nodiscard]] std::uint32_t span() const noexcept { return newest_ - first_ + 1; }
    [[nodiscard]] std::uint32_t received_in_window() const noexcept {
        int count = 0;
        for (const std::uint32_t word : bits_) count += std::popcount(word);
        return static_cast<std::uint32_t>(count);
    }
    [[nodiscard]] std::uint32_t lost_before_window() const noexcept {
        return missing(span(), static_cast<std::uint32_t>(Window) + received_ - received_in_window());
    }

    [[nodiscard]] bool bit(std::uint32_t sequence) const noexcept {
        return (bits_[sequence % Window / 32] >> (sequence % Window % 32) & 1U) != 0;
    }
    void set(std::uint32_t sequence, bool has_come) noexcept {
        std::uint32_t& word = bits_[sequence % Window / 32];
        const std::uint32_t mask = std::uint32_t{1} << (sequence % Window % 32);
        word = has_come ? word | mask : word & ~mask;
    }

    std::uint32_t bits_[(Window + 31) / 32]{};
    std::uint32_t first_ = 0;
    std::uint32_t newest_ = 0;
    std::uint32_t received_ = 0;
    std::uint32_t doubled_ = 0;
    std::uint32_t reordered_ = 0;
    bool is_begun_ = false;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
