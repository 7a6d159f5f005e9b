// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/locks.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The pool of a target with threads: each thread has a chain of its own, and a chain is given and taken under a lock.
template <class T>
class threaded_pool;

// Never destroyed, because spans may end in destructors of static objects.
template <class T>
union kept_pool {
    constexpr kept_pool() noexcept : kept() {}
    constexpr ~kept_pool() {}
    threaded_pool<T> kept;
};
// Constant-initialised. If a fork happened during an initialisation at first use, the child would wait for a thread
// that it does not have.
template <class T>
inline constinit kept_pool<T> only_pool{};
template <class T>
inline const machine::held_while_forking<machine::static_mutex> is_locked_by_forks(threaded_pool<T>::instance_lock());

template <class T>
class threaded_pool {
public:
    static threaded_pool& instance() noexcept {
        static_cast<void>(&is_locked_by_forks<T>);
        return only_pool<T>.kept;
    }

    static machine::static_mutex& instance_lock() noexcept { return only_pool<T>.kept.lock_; }

    // Returns null when memory runs out.
    [[nodiscard]] T* take() noexcept {
        if (!mine_) [[unlikely]]
            return take_first();
        return std::exchange(mine_, std::exchange(mine_->next, nullptr));
    }

    // Takes back one object, for this thread.
    void give_back(T* object) noexcept {
        object->recycle();
        if (is_leaving_) [[unlikely]] {
            object->next = nullptr;
            return give_recycled(object);
        }
        if (!mine_) keep_leftovers();
        object->next = std::exchange(mine_, object);
        // Objects that one thread takes and another gives back must not accumulate here.
        if (++given_back_ == 0) [[unlikely]]
            give_surplus();
    }

    // Takes back a chain that is linked by `next`, or null.
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
        // A thread that both starts and ends traces reuses small chains without a lock.
        if (!mine_ && bytes <= own_bytes && !is_leaving_) {
            keep_leftovers();
            mine_ = chain;
        } else {
            put(chain, bytes);
        }
    }

    // The memory in the pool, without the objects that threads hold for themselves.
    [[nodiscard]] std::size_t kept_bytes() noexcept {
        const lock_guard guard(lock_);
        return bytes_ + bare_bytes_;
    }
    void shrink_to(std::size_t bytes) noexcept {
        free_pieces([&] { return bytes_ > bytes; });
    }
    // Ends the period of observation if it has lasted 5 seconds, and frees half of its surplus: half of the pieces
    // that were free throughout the period. Called after an export, when objects have come back, so that a slow
    // receiver does not make the objects of its own traces look like surplus.
    void look() noexcept {
        std::size_t surplus = 0;
        {
            const lock_guard guard(lock_);
            surplus = end_look() ? std::exchange(surplus_, 0) : 0;
        }
        free_pieces([&surplus, this] { return bytes_ > kept_at_work && surplus > 0 && surplus-- > 0; });
    }
    // Ends the period of observation and frees all of its surplus. Returns false when the period has lasted less than
    // `least_seconds`.
    bool free_surplus(int least_seconds = 1) noexcept {
        std::size_t surplus = 0;
        {
            const lock_guard guard(lock_);
            const std::int64_t now = machine::monotonic_seconds();
            if (now - look_began_ < least_seconds) return false;
            surplus = std::exchange(low_, pieces_);
            look_began_ = now;
        }
        free_pieces([&surplus, this] { return bytes_ > kept_at_rest && surplus > 0 && surplus-- > 0; });
        return true;
    }

private:
    static constexpr std::size_t piece_bytes = 128 * 1024; // the most that a thread takes at once
    static constexpr std::size_t own_bytes = 32 * 1024;    // the most that a thread keeps of what it gives back
    static constexpr std::size_t kept_at_work = 4 * 1024 * 1024;
    static constexpr std::size_t kept_at_rest = 1024 * 1024;
    static constexpr int gives_per_look = 64;

    friend union kept_pool<T>;
    constexpr threaded_pool() noexcept = default;

    // Returns the thread's objects to the pool when the thread ends. Registered here, so that reading the
    // thread-local pointer costs nothing extra.
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
            if (rest) give_recycled(rest); // this thread will not give the rest back later
            return first;
        }
        mine_ = rest;
        return first;
    }

    // ---- The caller holds the lock.

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

    // Returns false when the period of observation is too short.
    bool end_look() noexcept {
        constexpr int seconds_per_look = 5;
        const std::int64_t now = machine::monotonic_seconds();
        if (now - look_began_ < seconds_per_look) return false;
        surplus_ = (low_ + 1) / 2;
        low_ = pieces_;
        look_began_ = now;
        return true;
    }
    // Frees a little of the surplus now and then, for programs in which nothing else calls `look`.
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
    // The piece is not in any list.
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

    struct leftover_keeper {
        threaded_pool* owner;
        ~leftover_keeper() {
            is_leaving_ = true; // later destructors of the thread may still record
            if (mine_) owner->give_recycled(std::exchange(mine_, nullptr));
        }
    };

    static inline constinit thread_local T* mine_ = nullptr;
    static inline constinit thread_local unsigned char given_back_ = 0;
    static inline constinit thread_local bool is_leaving_ = false;

    machine::static_mutex lock_;
    T* chains_ = nullptr;
    T* bare_ = nullptr;     // chains of objects whose blocks were freed
    std::size_t bytes_ = 0; // of the other chains
    std::size_t bare_bytes_ = 0;
    std::size_t pieces_ = 0;
    std::size_t low_ = 0; // the fewest pieces during this period of observation
    std::size_t surplus_ = 0;
    std::size_t made_ = 0;
    int gives_until_look_ = gives_per_look;
    std::int64_t look_began_ = 0;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
