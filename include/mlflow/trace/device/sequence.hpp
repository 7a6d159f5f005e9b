// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Counts lost, repeated and reordered records of one stream by their sequence numbers, which may wrap at 2^32.
///
/// It remembers the last `Window` numbers. An older number is counted as one that had been lost.
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

    /// Records the arrival of a number. Returns false, and counts a repetition, if it had arrived before.
    bool add(std::uint32_t sequence) noexcept {
        if (has(sequence)) {
            ++doubled_;
            return false;
        }
        ++received_;
        if (!is_begun_) {
            is_begun_ = true;
            first_ = newest_ = sequence;
        } else if (age(sequence) < 0) {
            const auto steps = static_cast<std::uint32_t>(-age(sequence));
            for (std::uint32_t step = 1; step < steps && step <= Window; ++step) set(newest_ + step, false);
            newest_ = sequence;
        } else {
            ++reordered_;
            if (static_cast<std::int32_t>(sequence - first_) < 0) first_ = sequence;
        }
        if (is_in_window(sequence)) set(sequence, true);
        return true;
    }

    /// Undoes `add`, for a record that could not be stored and will be sent again.
    void remove(std::uint32_t sequence) noexcept {
        if (!has(sequence)) return;
        set(sequence, false);
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
    [[nodiscard]] std::uint32_t lost() const noexcept { return is_begun_ ? newest_ - first_ + 1 - received_ : 0; }
    /// The lowest number that has arrived.
    [[nodiscard]] std::uint32_t first() const noexcept { return first_; }

private:
    [[nodiscard]] std::int32_t age(std::uint32_t sequence) const noexcept {
        return static_cast<std::int32_t>(newest_ - sequence);
    }
    [[nodiscard]] bool is_in_window(std::uint32_t sequence) const noexcept {
        return newest_ - sequence < Window && static_cast<std::int32_t>(sequence - first_) >= 0;
    }
    [[nodiscard]] bool bit(std::uint32_t sequence) const noexcept {
        return (bits_[sequence % Window / 32] >> (sequence % 32) & 1U) != 0;
    }
    void set(std::uint32_t sequence, bool has_come) noexcept {
        std::uint32_t& word = bits_[sequence % Window / 32];
        const std::uint32_t mask = std::uint32_t{1} << (sequence % 32);
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
