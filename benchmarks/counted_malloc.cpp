// SPDX-License-Identifier: Apache-2.0
// A library to preload: counts what the process allocates with malloc, which `new` calls too. It counts only, so that
// a run that measures time is not slowed down by it.
#include <atomic>
#include <cerrno>
#include <cstddef>

extern "C" {

void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

static constinit std::atomic<long> allocations{0};

long mlflow_trace_counted_allocations() { return allocations.load(std::memory_order_relaxed); }

static void count() noexcept { allocations.fetch_add(1, std::memory_order_relaxed); }

void* malloc(std::size_t size) noexcept { return count(), __libc_malloc(size); }
void* calloc(std::size_t number, std::size_t size) noexcept { return count(), __libc_calloc(number, size); }
void* realloc(void* block, std::size_t size) noexcept { return count(), __libc_realloc(block, size); }
void* memalign(std::size_t alignment, std::size_t size) noexcept { return count(), __libc_memalign(alignment, size); }
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    return count(), __libc_memalign(alignment, size);
}
int posix_memalign(void** block, std::size_t alignment, std::size_t size) noexcept {
    count();
    *block = __libc_memalign(alignment, size);
    return *block ? 0 : ENOMEM;
}
}
