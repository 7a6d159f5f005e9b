// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/buffer.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A hash table of the positions of entries, so that a trace with many entries takes no longer per entry. Without
// memory it has no table, and `trace_entries` searches from the first entry on. The table is tried again when the
// number of entries has doubled.
class entry_index {
public:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    static constexpr std::size_t least_entries = 24; // fewer are found as fast without a table

    entry_index() noexcept = default;
    // The size goes with the table.
    entry_index(entry_index&& other) noexcept
        : table_(std::move(other.table_)), size_(std::exchange(other.size_, 0)),
          entries_(std::exchange(other.entries_, 0)) {}
    entry_index& operator=(entry_index&& other) noexcept {
        table_ = std::move(other.table_);
        size_ = std::exchange(other.size_, 0);
        entries_ = std::exchange(other.entries_, 0);
        return *this;
    }
    ~entry_index() = default;

    [[nodiscard]] std::size_t entries() const noexcept { return entries_; }
    [[nodiscard]] bool has_table() const noexcept { return size_ != 0; }
    [[nodiscard]] std::size_t capacity() const noexcept { return table_.capacity(); }

    // As FNV-1a, but the start and the factor come from the address of the table, so that nobody can choose keys of
    // equal hashes. Another start alone would not do: keys that collide do so for each start with the same low byte.
    // Valid until the next `make`.
    [[nodiscard]] std::uint32_t hash_of(unsigned kind, std::string_view key) const noexcept {
        const auto address = static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(table_.data()));
        std::uint64_t secret = (address >> 4U) * 0x9e3779b97f4a7c15U;
        secret = (secret ^ secret >> 32U) * 0xd6e8feb86659fd93U;
        const auto factor = (static_cast<std::uint32_t>(secret >> 32U) & ~7U) | 5U;
        auto hash = static_cast<std::uint32_t>(secret ^ secret >> 32U) ^ kind;
        for (const char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * factor;
        return hash ^ hash >> 15U;
    }

    // The position of the entry for which `is_it(position)` is true, or `none`.
    template <class IsIt>
    [[nodiscard]] std::size_t find(std::uint32_t hash, IsIt&& is_it) const noexcept {
        for (std::size_t at = hash & (size_ - 1); places()[at].next_to != 0; at = (at + 1) & (size_ - 1))
            if (places()[at].hash == hash && is_it(places()[at].next_to - 1)) return places()[at].next_to - 1;
        return none;
    }

    // Returns true if the table is to be made anew, by `make`, for one entry more than before.
    [[nodiscard]] bool count() noexcept {
        ++entries_;
        if (size_ != 0) return 2 * entries_ > size_;
        return entries_ == least_entries || (entries_ > least_entries && std::has_single_bit(entries_));
    }
    // The caller then adds all entries.
    bool make() noexcept {
        std::size_t size = least_size;
        while (size < 2 * entries_) size *= 2;
        drop();
        char* const memory = table_.ensure(size * sizeof(place));
        if (!memory) return false;
        std::memset(memory, 0, size * sizeof(place));
        size_ = size;
        return true;
    }
    void add(std::uint32_t hash, std::size_t position) noexcept {
        if (position >= 0xffffffffU) drop();
        if (!has_table()) return;
        std::size_t at = hash & (size_ - 1);
        while (places()[at].next_to != 0) at = (at + 1) & (size_ - 1);
        places()[at] = {hash, static_cast<std::uint32_t>(position + 1)};
    }
    // The entry of `size` bytes at `from` went to `to`, and those after it moved up.
    void move(std::size_t from, std::size_t size, std::size_t to) noexcept {
        if (to >= 0xffffffffU) return drop();
        for (std::size_t at = 0; at < size_; ++at) {
            std::uint32_t& next_to = places()[at].next_to;
            if (next_to == from + 1) next_to = static_cast<std::uint32_t>(to + 1);
            else if (next_to > from + 1) next_to -= static_cast<std::uint32_t>(size);
        }
    }
    void count_copied(std::size_t entries) noexcept {
        clear();
        entries_ = entries;
    }
    void clear() noexcept {
        drop();
        entries_ = 0;
    }
    void release() noexcept {
        clear();
        table_.release();
    }

private:
    static constexpr std::size_t least_size = 128; // a power of two
    struct place {
        std::uint32_t hash;
        std::uint32_t next_to; // the position + 1; 0 is a free place
    };

    void drop() noexcept { size_ = 0; }
    [[nodiscard]] place* places() noexcept { return reinterpret_cast<place*>(table_.data()); }
    [[nodiscard]] const place* places() const noexcept { return reinterpret_cast<const place*>(table_.data()); }

    buffer table_;
    std::size_t size_ = 0; // in places, a power of two; 0 without a table
    std::size_t entries_ = 0;
};

// On a freestanding target, whose memory is small, entries are found without a table.
struct no_entry_index {
    static constexpr std::size_t none = entry_index::none;
    static constexpr std::size_t entries() noexcept { return 0; }
    static constexpr bool has_table() noexcept { return false; }
    static constexpr std::size_t capacity() noexcept { return 0; }
    static constexpr std::uint32_t hash_of(unsigned, std::string_view) noexcept { return 0; }
    template <class IsIt>
    static constexpr std::size_t find(std::uint32_t, IsIt&&) noexcept {
        return none;
    }
    static constexpr bool count() noexcept { return false; }
    static constexpr bool make() noexcept { return false; }
    static constexpr void add(std::uint32_t, std::size_t) noexcept {}
    static constexpr void move(std::size_t, std::size_t, std::size_t) noexcept {}
    static constexpr void count_copied(std::size_t) noexcept {}
    static constexpr void clear() noexcept {}
    static constexpr void release() noexcept {}
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
