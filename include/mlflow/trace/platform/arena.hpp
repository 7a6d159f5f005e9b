// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstring>
#include <new>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A fixed amount of memory without a heap, for a board's `reallocate`. It allocates the first free block that fits,
/// and merges free neighbours. Each block takes 8 to 16 additional bytes. A static arena can be used before any
/// constructor has run.
///
/// Thread-safety: none; `bare_metal_platform` calls it under the board's lock.
template <std::size_t Bytes>
class arena {
public:
    /// An empty arena.
    constexpr arena() noexcept = default;
    arena(const arena&) = delete;
    arena& operator=(const arena&) = delete;

    /// As `std::realloc`: returns null and keeps the old block if there is no room. Size 0 frees the block.
    [[nodiscard]] void* reallocate(void* memory, std::size_t size) noexcept {
        if (!memory) return size == 0 ? nullptr : allocate(size);
        block* const old = reinterpret_cast<block*>(static_cast<std::byte*>(memory) - sizeof(block));
        if (size == 0) {
            old->is_used = false;
            return nullptr;
        }
        if (size > capacity) return nullptr;
        const std::size_t before = old->size;
        take_free_neighbours(*old);
        if (old->size >= needed(size)) {
            split(*old, needed(size));
            return memory;
        }
        void* const moved = allocate(size);
        if (!moved) {
            split(*old, before); // gives the neighbours back
            return nullptr;
        }
        std::memcpy(moved, memory, old->size - sizeof(block));
        old->is_used = false;
        return moved;
    }

    /// The memory in use, including the cost of each block, in bytes.
    [[nodiscard]] std::size_t used_bytes() noexcept {
        std::size_t used = 0;
        for (block* at = first(); at; at = after(*at)) used += at->is_used ? at->size : 0;
        return used;
    }

private:
    struct alignas(std::max_align_t) block {
        std::size_t size; // including this header
        bool is_used;
    };
    static constexpr std::size_t capacity = Bytes / sizeof(block) * sizeof(block);
    static_assert(capacity >= 16 * sizeof(block), "an arena needs at least 256 bytes");

    static constexpr std::size_t needed(std::size_t size) noexcept {
        return (size + sizeof(block) - 1) / sizeof(block) * sizeof(block) + sizeof(block);
    }
    block* at_offset(std::size_t offset) noexcept {
        return offset == capacity ? nullptr : reinterpret_cast<block*>(bytes_ + offset);
    }
    block* first() noexcept {
        if (!is_begun_) ::new (static_cast<void*>(bytes_)) block{capacity, false};
        is_begun_ = true;
        return at_offset(0);
    }
    block* after(block& at) noexcept {
        return at_offset(static_cast<std::size_t>(reinterpret_cast<std::byte*>(&at) - bytes_) + at.size);
    }
    void take_free_neighbours(block& at) noexcept {
        for (block* next = after(at); next && !next->is_used; next = after(at)) at.size += next->size;
    }
    void split(block& at, std::size_t size) noexcept {
        if (at.size == size) return;
        ::new (reinterpret_cast<std::byte*>(&at) + size) block{at.size - size, false};
        at.size = size;
    }
    void* allocate(std::size_t size) noexcept {
        if (size > capacity) return nullptr;
        for (block* at = first(); at; at = after(*at)) {
            if (at->is_used) continue;
            take_free_neighbours(*at);
            if (at->size < needed(size)) continue;
            split(*at, needed(size));
            at->is_used = true;
            return at + 1;
        }
        return nullptr;
    }

    alignas(block) std::byte bytes_[capacity]{};
    bool is_begun_ = false;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
