// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What the sequence numbers of one stream tell of what happened on the way. They may go over 2^32.
///
/// Which numbers have come is remembered of the last `Window`; an older one is taken for one that had been lost.
/// Thread-safety: none.
template <std::size_t Window = 1024>
class sequence_account {
    static_assert(Window > 0 && (Window & (Window - 1)) == 0, "the window is a power of two");

public:
    [[nodiscard]] bool has(std::uint32_t sequence) const noexcept {
        return is_begun_ && age(sequence) >= 0 && is_in_window(sequence) && bit(sequence);
    }

    /// It has come. False, and counted as doubled, where it had before.
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

    /// It was not kept after all, and is to come again.
    void remove(std::uint32_t sequence) noexcept {
        if (!has(sequence)) return;
        set(sequence, false);
        --received_;
    }

    [[nodiscard]] std::uint32_t received() const noexcept { return received_; }
    [[nodiscard]] std::uint32_t doubled() const noexcept { return doubled_; }
    /// Came after one with a higher number.
    [[nodiscard]] std::uint32_t reordered() const noexcept { return reordered_; }
    /// Between the lowest and the highest number that came. A stream begins with 0, so that those before `first()`
    /// are missing too, where the whole of it was to be received.
    [[nodiscard]] std::uint32_t lost() const noexcept { return is_begun_ ? newest_ - first_ + 1 - received_ : 0; }
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
