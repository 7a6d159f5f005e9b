// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

// The sanitizers bring a malloc of their own, which cannot be replaced.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

#if !defined(SANITIZED) && defined(__GLIBC__)
#define MALLOC_IS_COUNTED

// The malloc of these tests, which is that of `new` too: it counts over all threads, and fails when it is told to.
namespace counted_malloc {

extern constinit std::atomic<long> allocations; // ever
extern constinit std::atomic<long> live;        // blocks that are there
extern constinit std::atomic<long> held_bytes;  // of these, with the header of each block
extern constinit thread_local bool memory_is_out;

// Of all threads, the allocation of that number from here on fails, and with `for_good` those behind it.
class failure {
public:
    explicit failure(long number, bool for_good = false) noexcept;
    failure(const failure&) = delete;
    failure& operator=(const failure&) = delete;
    ~failure();
    [[nodiscard]] bool has_come() const noexcept;
};

} // namespace counted_malloc

#endif
