// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

// The sanitizers bring a malloc of their own, which cannot be replaced.
#if !defined(SANITIZED) && defined(__GLIBC__)
#define MALLOC_IS_COUNTED

// Of malloc itself, over all threads.
namespace counted_malloc {

extern constinit std::atomic<long> allocations;
extern constinit std::atomic<long> held_bytes; // of what is not freed yet, with the header of each block
extern constinit thread_local bool memory_is_out;

} // namespace counted_malloc

#endif
