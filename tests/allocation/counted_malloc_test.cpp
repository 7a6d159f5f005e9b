// SPDX-License-Identifier: Apache-2.0
#include "counted_malloc.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <malloc.h>
#include <memory>
#include <string>

#ifdef MALLOC_IS_COUNTED

namespace counted_malloc {

constinit std::atomic<long> allocations{0};
constinit std::atomic<long> held_bytes{0};
constinit thread_local bool memory_is_out = false;

static long bytes_of(void* memory) noexcept {
    return memory ? static_cast<long>(malloc_usable_size(memory) + sizeof(std::size_t)) : 0;
}
static void* counted(void* memory) noexcept {
    held_bytes.fetch_add(bytes_of(memory), std::memory_order_relaxed);
    return memory;
}

} // namespace counted_malloc

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void __libc_free(void*);

void* malloc(std::size_t size) noexcept {
    counted_malloc::allocations.fetch_add(1, std::memory_order_relaxed);
    return counted_malloc::memory_is_out ? nullptr : counted_malloc::counted(__libc_malloc(size));
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    counted_malloc::allocations.fetch_add(1, std::memory_order_relaxed);
    return counted_malloc::memory_is_out ? nullptr : counted_malloc::counted(__libc_calloc(count, size));
}
void* realloc(void* memory, std::size_t size) noexcept {
    counted_malloc::allocations.fetch_add(1, std::memory_order_relaxed);
    if (counted_malloc::memory_is_out) return nullptr;
    const long before = counted_malloc::bytes_of(memory);
    void* const moved = __libc_realloc(memory, size);
    if (moved || size == 0) counted_malloc::held_bytes.fetch_sub(before, std::memory_order_relaxed);
    return counted_malloc::counted(moved);
}
void free(void* memory) noexcept {
    counted_malloc::held_bytes.fetch_sub(counted_malloc::bytes_of(memory), std::memory_order_relaxed);
    __libc_free(memory);
}
}

namespace {

TEST(counted_malloc, counts) {
    const long allocations = counted_malloc::allocations.load();
    const long held = counted_malloc::held_bytes.load();
    {
        const std::string heap(1000, 'x');
        EXPECT_GT(counted_malloc::allocations.load(), allocations);
        EXPECT_GE(counted_malloc::held_bytes.load(), held + 1001 + 8);
        EXPECT_EQ(heap.size(), 1000U);
    }
    EXPECT_EQ(counted_malloc::held_bytes.load(), held);
    std::unique_ptr<void, void (*)(void*)> block(std::malloc(100), &std::free);
    block.reset(std::realloc(block.release(), 100'000));
    EXPECT_GE(counted_malloc::held_bytes.load(), held + 100'008);
    block.reset();
    EXPECT_EQ(counted_malloc::held_bytes.load(), held);
}

} // namespace

#endif
