// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/machine.hpp>

#include <new>
#include <utility>

#if MLFLOW_TRACE_HOSTED
#include <pthread.h>
#endif

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// Free objects of one type, kept for the life of the process so that a stale pointer to one still points at an object
// of that type (a context may look at a span that ended on another thread). T has `T* next`, `T* next_chain` and
// `recycle()`, which gives back what is large.
//
// Chains are given and taken whole: the spans of a trace come back as one, and the thread that takes them next uses
// them one by one without a lock.
#if MLFLOW_TRACE_HOSTED
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
        T* const first = mine_;
        if (!first || is_leaving_) [[unlikely]]
            return take_slowly();
        mine_ = std::exchange(first->next, nullptr);
        return first;
    }

    // Takes back one that this thread took, for itself.
    void give_back(T* object) noexcept {
        object->recycle();
        if (is_leaving_) [[unlikely]] {
            object->next = nullptr;
            return give_recycled(object);
        }
        object->next = std::exchange(mine_, object);
    }

    // Takes back a chain linked by `next`, or nothing.
    void give(T* chain) noexcept {
        if (!chain) return;
        for (T* object = chain; object; object = object->next) object->recycle();
        give_recycled(chain);
    }

private:
    // A child of fork() finds the lock free, whatever other threads were doing.
    pool() noexcept {
        pthread_atfork([] { instance().lock_.lock(); }, [] { instance().lock_.unlock(); },
                       [] { instance().lock_.unlock(); });
    }

    __attribute__((noinline)) T* take_slowly() noexcept {
        if (!mine_) mine_ = take_chain();
        if (!mine_) return ::new (std::nothrow) T;
        if (is_leaving_) return take_one();
        return std::exchange(mine_, std::exchange(mine_->next, nullptr));
    }
    T* take_chain() noexcept {
        // Registered here, so that a thread which only reads the pointer pays nothing.
        static thread_local const leftover_keeper at_thread_exit{this};
        static_cast<void>(at_thread_exit);
        const lock_guard guard(lock_);
        T* const chain = chains_;
        if (chain) chains_ = std::exchange(chain->next_chain, nullptr);
        return chain;
    }
    void give_recycled(T* chain) noexcept {
        const lock_guard guard(lock_);
        chain->next_chain = chains_;
        chains_ = chain;
    }

    // Of a chain that was just taken, when nobody will give back the rest later.
    T* take_one() noexcept {
        T* const one = std::exchange(mine_, nullptr);
        if (T* const rest = std::exchange(one->next, nullptr)) give_recycled(rest);
        return one;
    }

    struct leftover_keeper {
        pool* owner;
        ~leftover_keeper() {
            is_leaving_ = true; // other objects of the thread may still record as they go
            if (mine_) owner->give_recycled(std::exchange(mine_, nullptr));
        }
    };

    static inline constinit thread_local T* mine_ = nullptr;
    static inline constinit thread_local bool is_leaving_ = false;

    machine::mutex lock_;
    T* chains_ = nullptr;
};
#else
// Without threads, and with interrupts that record: one by one, under the lock.
template <class T>
class pool {
public:
    static pool& instance() noexcept {
        static constinit pool only;
        return only;
    }

    [[nodiscard]] T* take() noexcept {
        {
            const lock_guard guard(lock_);
            if (free_) return std::exchange(free_, std::exchange(free_->next, nullptr));
        }
        void* const fresh = machine::reallocate(nullptr, sizeof(T));
        return fresh ? ::new (fresh) T : nullptr;
    }
    void give_back(T* object) noexcept {
        object->recycle();
        const lock_guard guard(lock_);
        object->next = std::exchange(free_, object);
    }
    void give(T* chain) noexcept {
        while (chain) give_back(std::exchange(chain, chain->next));
    }

private:
    constexpr pool() noexcept = default;

    machine::mutex lock_;
    T* free_ = nullptr;
};
#endif

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
