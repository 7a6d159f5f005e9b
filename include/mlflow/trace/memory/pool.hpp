// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <new>
#include <utility>

#if MLFLOW_TRACE_HOSTED
#include <pthread.h>
#include <time.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Free objects of one type. They are kept as long as a steady load needs them, and given back when a burst is over.
//
// T has `T* next` and `T* next_chain`, which are the pool's, and `recycle()`, false for an object that was never in
// the pool and is to `leave()`. Where it `has_blocks`, it has also `std::size_t chain_bytes`, the pool's, and
// `kept_bytes()` and `strip()`, which tell of them and free them. Where it `is_looked_at`, the object itself stays
// for the life of the process, so that a stale pointer to one still points at an object of that type (a context may
// look at a span that ended on another thread). Such objects lie together, apart from the blocks that are freed.
//
// They are given and taken in chains: the spans of a trace come back as one, and the thread that takes them next uses
// them one by one without a lock.
#if MLFLOW_TRACE_HOSTED
template <class T>
class pool;

// Never destroyed: spans may end in static destructors.
template <class T>
union kept_pool {
    constexpr kept_pool() noexcept : kept() {}
    constexpr ~kept_pool() {}
    pool<T> kept;
};
// Without a first use: a fork in the midst of it would leave the child waiting for a thread that it does not have.
template <class T>
inline constinit kept_pool<T> only_pool{};
template <class T>
inline const int is_locked_by_forks = pool<T>::lock_while_forking();

template <class T>
class pool {
public:
    static pool& instance() noexcept {
        static_cast<void>(&is_locked_by_forks<T>);
        return only_pool<T>.kept;
    }

    // The child of a fork finds the lock free, whatever other threads were doing.
    static int lock_while_forking() noexcept {
        return pthread_atfork([] { instance().lock_.lock(); }, [] { instance().lock_.unlock(); },
                              [] { instance().lock_.unlock(); });
    }

    // nullptr when memory has run out.
    [[nodiscard]] T* take() noexcept {
        if (!mine_) [[unlikely]]
            return take_first();
        return std::exchange(mine_, std::exchange(mine_->next, nullptr));
    }

    // Takes back one, for this thread.
    void give_back(T* object) noexcept {
        object->recycle();
        if (is_leaving_) [[unlikely]] {
            object->next = nullptr;
            return give_recycled(object);
        }
        if (!mine_) keep_leftovers();
        object->next = std::exchange(mine_, object);
        // What one thread takes and another gives back must not pile up here.
        if (++given_back_ == 0) [[unlikely]]
            give_surplus();
    }

    // Takes back a chain linked by `next`, or nothing.
    void give(T* chain) noexcept {
        T** link = &chain;
        std::size_t bytes = 0;
        while (T* const object = *link) {
            if (!object->recycle()) [[unlikely]] {
                *link = object->next;
                if constexpr (requires { object->leave(); }) object->leave();
                continue;
            }
            link = &object->next;
            if constexpr (T::has_blocks) {
                bytes += object->kept_bytes();
                if (bytes < piece_bytes) [[likely]]
                    continue;
                T* const rest = std::exchange(*link, nullptr);
                put(chain, std::exchange(bytes, 0));
                chain = rest;
                link = &chain;
            }
        }
        if (!chain) return;
        // A thread that both ends traces and starts them needs no lock for small ones.
        if (!mine_ && bytes <= own_bytes && !is_leaving_) {
            keep_leftovers();
            mine_ = chain;
        } else {
            put(chain, bytes);
        }
    }

    // What is kept, but for what threads have for themselves.
    [[nodiscard]] std::size_t kept_bytes() noexcept {
        const lock_guard guard(lock_);
        return bytes_ + bare_bytes_;
    }
    void shrink_to(std::size_t bytes) noexcept {
        free_pieces([&] { return bytes_ > bytes; });
    }
    // What was never needed since the last look is surplus. A look ends where objects come back after a time in which
    // they were taken, so that a receiver may take its time. Half of the surplus goes,
    void look() noexcept {
        std::size_t surplus = 0;
        {
            const lock_guard guard(lock_);
            surplus = end_look() ? std::exchange(surplus_, 0) : 0;
        }
        free_pieces([&surplus, this] { return bytes_ > kept_at_work && surplus > 0 && surplus-- > 0; });
    }
    // or all. False where the last look is not so long ago.
    bool free_surplus(int least_seconds = 1) noexcept {
        std::size_t surplus = 0;
        {
            const lock_guard guard(lock_);
            const time_t now = seconds();
            if (now - look_began_ < least_seconds) return false;
            surplus = std::exchange(low_, pieces_);
            look_began_ = now;
        }
        free_pieces([&surplus, this] { return bytes_ > kept_at_rest && surplus > 0 && surplus-- > 0; });
        return true;
    }

private:
    static constexpr std::size_t piece_bytes = 128 * 1024; // what one thread takes at once, at most
    static constexpr std::size_t own_bytes = 32 * 1024;    // what it keeps of what it gives back
    static constexpr std::size_t kept_at_work = 4 * 1024 * 1024;
    static constexpr std::size_t kept_at_rest = 1024 * 1024;
    static constexpr int gives_per_look = 64;

    friend union kept_pool<T>;
    constexpr pool() noexcept = default;

    // At the end of the thread, for others. Registered here, so that a thread which only reads the pointer pays
    // nothing.
    void keep_leftovers() noexcept {
        static thread_local const leftover_keeper at_thread_exit{this};
        static_cast<void>(at_thread_exit);
    }
    __attribute__((noinline)) T* take_first() noexcept {
        keep_leftovers();
        T* first = nullptr;
        {
            const lock_guard guard(lock_);
            first = pop();
            if (!first) [[unlikely]]
                first = take_bare();
        }
        if (!first) [[unlikely]]
            return nullptr;
        T* const rest = std::exchange(first->next, nullptr);
        if (is_leaving_) [[unlikely]] {
            if (rest) give_recycled(rest); // nobody will give it back later
            return first;
        }
        mine_ = rest;
        return first;
    }

    // ---- Under the lock.

    __attribute__((noinline)) T* take_bare() noexcept {
        if (!bare_) return make();
        T* const piece = std::exchange(bare_, bare_->next_chain);
        if constexpr (T::has_blocks) bare_bytes_ -= piece->chain_bytes;
        return piece;
    }
    T* make() noexcept {
        std::size_t count = 1;
        if constexpr (T::is_looked_at) {
            count = made_ / 8 < 1 ? 1 : made_ / 8 > 32 ? 32 : made_ / 8;
            made_ += count;
        }
        auto* const memory = static_cast<unsigned char*>(machine::reallocate(nullptr, count * sizeof(T)));
        T* chain = nullptr;
        while (memory && count-- > 0) {
            T* const object = ::new (static_cast<void*>(memory + count * sizeof(T))) T;
            object->next = std::exchange(chain, object);
        }
        return chain;
    }
    T* pop() noexcept {
        T* const piece = chains_;
        if (!piece) return nullptr;
        chains_ = std::exchange(piece->next_chain, nullptr);
        if constexpr (T::has_blocks) {
            bytes_ -= piece->chain_bytes;
            if (--pieces_ < low_) low_ = pieces_;
        }
        return piece;
    }
    void push(T* piece, std::size_t bytes) noexcept {
        piece->next_chain = chains_;
        chains_ = piece;
        if constexpr (T::has_blocks) {
            piece->chain_bytes = bytes;
            bytes_ += bytes;
            ++pieces_;
        }
    }

    // False before its time.
    bool end_look() noexcept {
        constexpr int seconds_per_look = 5;
        const time_t now = seconds();
        if (now - look_began_ < seconds_per_look) return false;
        surplus_ = (low_ + 1) / 2;
        low_ = pieces_;
        look_began_ = now;
        return true;
    }
    // Where nobody else looks: now and then, and a little at a time.
    __attribute__((noinline)) T* some_surplus() noexcept {
        gives_until_look_ = gives_per_look;
        if (surplus_ == 0) end_look();
        T* some = nullptr;
        if (bytes_ <= kept_at_work) surplus_ = 0;
        for (std::size_t bytes = 0; surplus_ > 0 && bytes < piece_bytes; --surplus_) {
            T* const piece = pop();
            if (!piece) {
                surplus_ = 0;
                break;
            }
            bytes += piece->chain_bytes;
            piece->next_chain = std::exchange(some, piece);
        }
        if (surplus_ > 0) gives_until_look_ = 1;
        return some;
    }

    // ----

    void put(T* piece, std::size_t bytes) noexcept {
        [[maybe_unused]] T* surplus = nullptr;
        {
            const lock_guard guard(lock_);
            push(piece, bytes);
            if constexpr (T::has_blocks)
                if (--gives_until_look_ <= 0) [[unlikely]]
                    surplus = some_surplus();
        }
        if constexpr (T::has_blocks)
            while (surplus) [[unlikely]]
                free_blocks(std::exchange(surplus, surplus->next_chain));
    }
    void give_recycled(T* chain) noexcept {
        std::size_t bytes = 0;
        if constexpr (T::has_blocks)
            for (const T* object = chain; object; object = object->next) bytes += object->kept_bytes();
        put(chain, bytes);
    }
    __attribute__((noinline)) void give_surplus() noexcept {
        constexpr int most = 128;
        T* last = mine_;
        for (int kept = 1; kept < most && last; ++kept) last = last->next;
        if (!last) return;
        if (T* const rest = std::exchange(last->next, nullptr)) give_recycled(rest);
    }

    template <class Condition>
    void free_pieces(Condition&& more) noexcept {
        for (;;) {
            T* piece = nullptr;
            {
                const lock_guard guard(lock_);
                if (more()) piece = pop();
            }
            if (!piece) return;
            free_blocks(piece);
        }
    }
    static void destroy(T* object) noexcept {
        object->~T();
        machine::release(object);
    }
    // Of a piece that is in no list.
    __attribute__((noinline)) void free_blocks(T* piece) noexcept {
        if constexpr (T::is_looked_at) {
            std::size_t bytes = 0;
            for (T* object = piece; object; object = object->next) {
                object->strip();
                bytes += object->kept_bytes();
            }
            const lock_guard guard(lock_);
            piece->chain_bytes = bytes;
            bare_bytes_ += bytes;
            piece->next_chain = std::exchange(bare_, piece);
        } else {
            while (piece) destroy(std::exchange(piece, piece->next));
        }
    }

    static time_t seconds() noexcept {
        timespec now{};
        clock_gettime(CLOCK_MONOTONIC, &now);
        return now.tv_sec;
    }

    struct leftover_keeper {
        pool* owner;
        ~leftover_keeper() {
            is_leaving_ = true; // other objects of the thread may still record as they go
            if (mine_) owner->give_recycled(std::exchange(mine_, nullptr));
        }
    };

    static inline constinit thread_local T* mine_ = nullptr;
    static inline constinit thread_local unsigned char given_back_ = 0;
    static inline constinit thread_local bool is_leaving_ = false;

    machine::mutex lock_;
    T* chains_ = nullptr;
    T* bare_ = nullptr;     // chains of objects without blocks
    std::size_t bytes_ = 0; // of the others
    std::size_t bare_bytes_ = 0;
    std::size_t pieces_ = 0;
    std::size_t low_ = 0; // the fewest pieces since the look began
    std::size_t surplus_ = 0;
    std::size_t made_ = 0;
    int gives_until_look_ = gives_per_look;
    time_t look_began_ = 0;
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

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
