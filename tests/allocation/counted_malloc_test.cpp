// SPDX-License-Identifier: Apache-2.0
// The malloc that is counted, and fails.
#include "counted_malloc.hpp"

#ifdef MALLOC_IS_COUNTED

#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <dlfcn.h>
#include <malloc.h>
#include <memory>
#include <new>
#include <string>

namespace counted_malloc {

constinit std::atomic<long> allocations{0};
constinit std::atomic<long> live{0};
constinit std::atomic<long> held_bytes{0};
constinit thread_local bool memory_is_out = false;

namespace {

constinit std::atomic<long> until_failure{0}; // 0: never
constinit std::atomic<bool> fails_for_good{false};
constinit std::atomic<bool> failed{false};
constinit thread_local bool in_the_c_library = false;

bool fails() noexcept {
    allocations.fetch_add(1, std::memory_order_relaxed);
    if (in_the_c_library) return false;
    if (memory_is_out) return true;
    if (until_failure.load(std::memory_order_relaxed) == 0) return false;
    if (failed && fails_for_good) return true;
    if (until_failure.fetch_sub(1, std::memory_order_relaxed) != 1) return false;
    failed = true;
    return true;
}

long bytes_of(void* block) noexcept {
    return block ? static_cast<long>(malloc_usable_size(block) + sizeof(std::size_t)) : 0;
}
void* held(void* block) noexcept {
    held_bytes.fetch_add(bytes_of(block), std::memory_order_relaxed);
    return block;
}

template <class Allocate>
void* counted(const Allocate& allocate) noexcept {
    void* const block = fails() ? nullptr : allocate();
    if (block) live.fetch_add(1, std::memory_order_relaxed);
    else errno = ENOMEM;
    return held(block);
}

} // namespace

failure::failure(long number, bool for_good) noexcept {
    failed = false;
    fails_for_good = for_good;
    until_failure = number;
}
failure::~failure() { until_failure = 0; }
bool failure::has_come() const noexcept { return failed; }

} // namespace counted_malloc

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void __libc_free(void*);

// Where a thread notes the first time that something is to be destroyed with it, glibc ends the program for want of a
// few bytes.
int __cxa_thread_atexit_impl(void (*destroy)(void*), void* object, void* library) {
    using function = int (*)(void (*)(void*), void*, void*);
    static const auto next = reinterpret_cast<function>(::dlsym(RTLD_NEXT, "__cxa_thread_atexit_impl"));
    counted_malloc::in_the_c_library = true;
    const int outcome = next(destroy, object, library);
    counted_malloc::in_the_c_library = false;
    return outcome;
}

void* malloc(std::size_t size) noexcept {
    return counted_malloc::counted([size] { return __libc_malloc(size); });
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    return counted_malloc::counted([count, size] { return __libc_calloc(count, size); });
}
void* realloc(void* memory, std::size_t size) noexcept {
    if (!memory) return malloc(size);
    if (counted_malloc::fails()) return errno = ENOMEM, nullptr;
    const long before = counted_malloc::bytes_of(memory);
    void* const moved = __libc_realloc(memory, size);
    if (!moved && size != 0) return nullptr;
    counted_malloc::held_bytes.fetch_sub(before, std::memory_order_relaxed);
    return counted_malloc::held(moved);
}
void free(void* memory) noexcept {
    if (memory) counted_malloc::live.fetch_sub(1, std::memory_order_relaxed);
    counted_malloc::held_bytes.fetch_sub(counted_malloc::bytes_of(memory), std::memory_order_relaxed);
    __libc_free(memory);
}
}

namespace {

TEST(counted_malloc, counts) {
    const long before = counted_malloc::allocations;
    const long live = counted_malloc::live;
    {
        const std::string heap(1000, 'x');
        EXPECT_EQ(counted_malloc::allocations, before + 1);
        EXPECT_EQ(counted_malloc::live, live + 1);
    }
    EXPECT_EQ(counted_malloc::live, live);
}

TEST(counted_malloc, counts_bytes) {
    const long before = counted_malloc::held_bytes;
    std::unique_ptr<void, void (*)(void*)> block(std::malloc(100), &std::free);
    EXPECT_GE(counted_malloc::held_bytes, before + 108);
    block.reset(std::realloc(block.release(), 100'000));
    EXPECT_GE(counted_malloc::held_bytes, before + 100'008);
    block.reset();
    EXPECT_EQ(counted_malloc::held_bytes, before);
}

TEST(counted_malloc, fails_where_it_is_told_to) {
    std::string first, second, third;
    bool has_failed = false;
    {
        const counted_malloc::failure at(2);
        first.assign(1000, 'x');
        try {
            second.assign(1000, 'x');
        } catch (const std::bad_alloc&) {
            has_failed = at.has_come();
        }
        third.assign(1000, 'x');
    }
    EXPECT_TRUE(has_failed && third.size() == 1000);
}

} // namespace

#endif
