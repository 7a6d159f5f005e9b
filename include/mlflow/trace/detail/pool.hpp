// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <mutex>
#include <new>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// Free objects of one type, kept for the life of the process so that a stale pointer to one still points at an object
// of that type (a context may look at a span that ended on another thread). T has `T* next` and `recycle()`, which
// gives back what is large.
template <class T>
class pool {
public:
    // Never destroyed: spans may end in static destructors.
    static pool& instance() noexcept {
        alignas(pool) static unsigned char storage[sizeof(pool)];
        static pool* const only = ::new (static_cast<void*>(storage)) pool;
        return *only;
    }

    // nullptr when memory has run out.
    [[nodiscard]] T* take() noexcept {
        {
            const std::lock_guard guard(lock_);
            if (T* const object = free_) {
                free_ = object->next;
                object->next = nullptr;
                return object;
            }
        }
        return ::new (std::nothrow) T;
    }

    // Takes back a chain linked by `next`.
    void give(T* first) noexcept {
        if (!first) return;
        T* last = first;
        last->recycle();
        while (last->next) {
            last = last->next;
            last->recycle();
        }
        const std::lock_guard guard(lock_);
        last->next = free_;
        free_ = first;
    }

private:
    std::mutex lock_;
    T* free_ = nullptr;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
