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

/// Which record is dropped if a ring is full.
enum class ring_full : std::uint8_t { drop_newest, drop_oldest };

/// A queue of records in memory provided by the caller. Each record takes `cost` additional bytes.
///
/// Thread-safety: none.
class record_ring {
public:
    /// A record in the ring.
    struct place {
        /// The offset in the memory.
        std::size_t begin = 0;
        std::uint32_t size = 0; ///< 0: no record
    };
    static constexpr std::size_t cost = 9; ///< bytes: size, checksum, and whether the record is done

    /// An empty ring in `memory`.
    constexpr explicit record_ring(std::span<char> memory, ring_full policy) noexcept
        : memory_(memory), policy_(policy) {}

    /// Reserves room for a record of `size` bytes; `put` writes it and `end` completes it. `leaving(place)` is called
    /// before each record that is removed to make room. Returns false, and counts a drop, if there is no room.
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
    /// Writes the next bytes of the record.
    void put(std::string_view bytes) noexcept {
        // Local copies, because a store of a byte could otherwise change a member.
        char* const memory = memory_.data();
        const std::size_t size = memory_.size();
        std::size_t to = to_;
        std::uint32_t crc = crc_;
        const char* const end = bytes.data() + bytes.size();
        for (const char* from = bytes.data(); from != end; ++from) {
            memory[to] = *from;
            if (++to == size) to = 0;
            crc = detail::framing::crc_of(*from, crc);
        }
        to_ = to;
        crc_ = crc;
    }
    /// Completes the record.
    void end() noexcept {
        put_number(wrapped(write_ + 4), crc_);
        memory_[wrapped(write_ + 8)] = 0;
        used_ += number(write_) + cost;
    }

    /// Whether the ring has no record.
    [[nodiscard]] bool empty() const noexcept { return used_ == 0; }
    /// The oldest record.
    [[nodiscard]] place front() const noexcept { return used_ == 0 ? place{} : at(first_); }
    /// The record after this one.
    [[nodiscard]] place after(place record) const noexcept {
        const std::size_t end = wrapped(record.begin + record.size + cost);
        return end == wrapped(first_ + used_) ? place{} : at(end);
    }
    /// Removes the oldest record.
    void pop_front() noexcept {
        const std::size_t size = front().size + cost;
        first_ = wrapped(first_ + size);
        used_ -= size;
    }

    /// The bytes of a record, in two pieces if it wraps around the end of the memory.
    [[nodiscard]] std::pair<std::string_view, std::string_view> bytes(place record) const noexcept {
        const std::size_t begin = wrapped(record.begin + cost);
        const std::size_t before_end = memory_.size() - begin;
        const std::size_t first = record.size < before_end ? record.size : before_end;
        return {{memory_.data() + begin, first}, {memory_.data(), record.size - first}};
    }
    /// The checksum of the record, computed when it was written.
    [[nodiscard]] std::uint32_t crc(place record) const noexcept { return number(wrapped(record.begin + 4)); }

    /// Marks a record as done: it does not count as dropped when it is removed.
    void set_done(place record) noexcept { memory_[wrapped(record.begin + 8)] = 1; }
    /// Whether the record is marked as done.
    [[nodiscard]] bool is_done(place record) const noexcept { return memory_[wrapped(record.begin + 8)] != 0; }

    /// Four bytes of the record as a little-endian number.
    [[nodiscard]] std::uint32_t number_in(place record, std::size_t offset) const noexcept {
        return number(wrapped(record.begin + cost + offset));
    }

    /// Counts a record that is too long to be sent.
    void drop() noexcept { ++dropped_; }
    /// The number of records that did not fit or were removed to make room.
    [[nodiscard]] std::uint32_t dropped() const noexcept { return dropped_; }
    /// The memory used, with the cost of each record.
    [[nodiscard]] std::size_t used_bytes() const noexcept { return used_; }

private:
    // Not inlined, because most of its calls are in code whose size counts.
    [[nodiscard, gnu::noinline]] std::size_t wrapped(std::size_t index) const noexcept {
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
    std::size_t write_ = 0; // the record being written, not yet part of the used bytes
    std::size_t to_ = 0;
    std::uint32_t crc_ = 0;
    std::uint32_t dropped_ = 0;
    ring_full policy_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
