// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What is given up when a ring is full.
enum class ring_full : std::uint8_t { drop_newest, drop_oldest };

/// Records in the order in which they came, in memory of the caller's. Each takes `cost` bytes more than it has.
/// Thread-safety: none.
class record_ring {
public:
    /// A record in the ring.
    struct place {
        std::size_t begin = 0;
        std::uint32_t size = 0; ///< 0: no record
    };
    static constexpr std::size_t cost = 9; // size, checksum, and whether it is done

    constexpr explicit record_ring(std::span<char> memory, ring_full policy) noexcept
        : memory_(memory), policy_(policy) {}

    /// Makes room for a record of that size; `put` then writes it, and `end` makes it one. `leaving(place)` is called
    /// for each record that is given up before. False where there is no room: counted as dropped.
    template <class Leaving>
    bool begin(std::size_t size, Leaving&& leaving) noexcept {
        if (size == 0 || size + cost > memory_.size() || size > 0xffff'ffffU - cost) return ++dropped_, false;
        while (used_ + size + cost > memory_.size()) {
            if (policy_ == ring_full::drop_newest) return ++dropped_, false;
            if (!is_done(front())) ++dropped_;
            leaving(front());
            pop_front();
        }
        write_ = wrapped(first_ + used_);
        put_number(write_, static_cast<std::uint32_t>(size));
        crc_ = detail::framing::crc_begin;
        to_ = wrapped(write_ + cost);
        return true;
    }
    void put(std::string_view bytes) noexcept {
        for (const char byte : bytes) {
            memory_[to_] = byte;
            to_ = wrapped(to_ + 1);
            crc_ = detail::framing::crc_of(byte, crc_);
        }
    }
    void end() noexcept {
        put_number(wrapped(write_ + 4), crc_);
        memory_[wrapped(write_ + 8)] = 0;
        used_ += number(write_) + cost;
    }

    [[nodiscard]] bool empty() const noexcept { return used_ == 0; }
    [[nodiscard]] place front() const noexcept { return used_ == 0 ? place{} : at(first_); }
    [[nodiscard]] place after(place record) const noexcept {
        const std::size_t end = wrapped(record.begin + record.size + cost);
        return end == wrapped(first_ + used_) ? place{} : at(end);
    }
    void pop_front() noexcept {
        const std::size_t size = front().size + cost;
        first_ = wrapped(first_ + size);
        used_ -= size;
    }

    /// The bytes, in two pieces where they go over the end of the memory, and the checksum that they had as they
    /// were written.
    [[nodiscard]] std::pair<std::string_view, std::string_view> bytes(place record) const noexcept {
        const std::size_t begin = wrapped(record.begin + cost);
        const std::size_t before_end = memory_.size() - begin;
        const std::size_t first = record.size < before_end ? record.size : before_end;
        return {{memory_.data() + begin, first}, {memory_.data(), record.size - first}};
    }
    [[nodiscard]] std::uint32_t crc(place record) const noexcept { return number(wrapped(record.begin + 4)); }

    /// It may go, and is not dropped when it does.
    void set_done(place record) noexcept { memory_[wrapped(record.begin + 8)] = 1; }
    [[nodiscard]] bool is_done(place record) const noexcept { return memory_[wrapped(record.begin + 8)] != 0; }

    /// Four bytes of the record, little-endian.
    [[nodiscard]] std::uint32_t number_in(place record, std::size_t offset) const noexcept {
        return number(wrapped(record.begin + cost + offset));
    }

    /// Counts one that is too large for anybody.
    void drop() noexcept { ++dropped_; }
    /// Records that had no room, and those that gave it up.
    [[nodiscard]] std::uint32_t dropped() const noexcept { return dropped_; }
    [[nodiscard]] std::size_t used_bytes() const noexcept { return used_; }

private:
    [[nodiscard]] std::size_t wrapped(std::size_t index) const noexcept {
        while (index >= memory_.size()) index -= memory_.size();
        return index;
    }
    [[nodiscard]] place at(std::size_t begin) const noexcept { return {begin, number(begin)}; }
    void put_number(std::size_t begin, std::uint32_t value) noexcept {
        for (std::size_t i = 0; i < 4; ++i) memory_[wrapped(begin + i)] = static_cast<char>(value >> (8 * i) & 255U);
    }
    [[nodiscard]] std::uint32_t number(std::size_t begin) const noexcept {
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < 4; ++i)
            value |= std::uint32_t{static_cast<unsigned char>(memory_[wrapped(begin + i)])} << (8 * i);
        return value;
    }

    std::span<char> memory_;
    std::size_t first_ = 0;
    std::size_t used_ = 0;
    std::size_t write_ = 0; // of the record that is being written, which is not among the used yet
    std::size_t to_ = 0;
    std::uint32_t crc_ = 0;
    std::uint32_t dropped_ = 0;
    ring_full policy_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
