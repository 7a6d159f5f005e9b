// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#if MLFLOW_TRACE_HOSTED

#include <cstddef>
#include <cstdint>
#include <pthread.h>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline atomic<std::uint32_t>& fork_counter() noexcept {
    static constinit atomic<std::uint32_t> count{1};
    return count;
}

// Registered before main, or when a plugin is loaded. If it were registered at first use and another thread were
// doing so during a fork, the child would never stop waiting for that thread.
template <class = void>
inline const int counts_forks =
    pthread_atfork(nullptr, nullptr, [] { fork_counter().fetch_add(1, memory_order_relaxed); });

// Counts the forks between this process and the first ancestor that called it, plus one. An object that stored
// another number was made by a parent process. Cheaper than getpid(), which is a system call.
inline std::uint32_t fork_count() noexcept {
    static_cast<void>(&counts_forks<>);
    return fork_counter().load(memory_order_relaxed);
}

// std::mutex, without its header.
class posix_mutex {
public:
    constexpr posix_mutex() noexcept = default;
    posix_mutex(const posix_mutex&) = delete;
    posix_mutex& operator=(const posix_mutex&) = delete;

    void lock() noexcept { pthread_mutex_lock(&mutex_); }
    void unlock() noexcept { pthread_mutex_unlock(&mutex_); }
    [[nodiscard]] bool try_lock() noexcept { return pthread_mutex_trylock(&mutex_) == 0; }
    [[nodiscard]] pthread_mutex_t* native_handle() noexcept { return &mutex_; }

private:
    pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
};

// A mutex with static storage that is locked during a fork: in the child it is free, and the data that it guards is
// consistent. Each has a cache line of its own. While a thread holds one, it takes no other.
class alignas(64) static_mutex : public posix_mutex {
public:
    constexpr static_mutex() noexcept = default;

    void hold_while_forking() noexcept {
        static_cast<void>(&are_held_by_forks<>);
        list_lock.lock();
        next_ = std::exchange(first, this);
        if (next_) next_->before_ = this;
        list_lock.unlock();
    }
    void leave_to_forks() noexcept {
        list_lock.lock();
        (before_ ? before_->next_ : first) = next_;
        if (next_) next_->before_ = before_;
        list_lock.unlock();
    }

private:
    static void hold_all() noexcept {
        list_lock.lock();
        for (static_mutex* each = first; each; each = each->next_) each->lock();
    }
    static void let_all_go() noexcept {
        for (static_mutex* each = first; each; each = each->next_) each->unlock();
        list_lock.unlock();
    }
    // Registered before main, as `counts_forks` is.
    template <class = void>
    static inline const int are_held_by_forks = pthread_atfork(&hold_all, &let_all_go, &let_all_go);

    static inline constinit posix_mutex list_lock{};
    static inline constinit static_mutex* first = nullptr;

    static_mutex* next_ = nullptr;
    static_mutex* before_ = nullptr;
};

// Has mutexes with static storage held while forking: from before main until their part of the program is unloaded.
template <class Mutexes>
class held_while_forking {
public:
    explicit held_while_forking(Mutexes& mutexes) noexcept : mutexes_(mutexes) { mutexes_.hold_while_forking(); }
    held_while_forking(const held_while_forking&) = delete;
    held_while_forking& operator=(const held_while_forking&) = delete;
    ~held_while_forking() { mutexes_.leave_to_forks(); }

private:
    Mutexes& mutexes_;
};

// Mutexes that are held during a fork, by number.
template <unsigned Count>
class static_mutexes {
public:
    constexpr static_mutexes() noexcept = default;

    [[nodiscard]] static_mutex& operator[](unsigned number) noexcept { return locks_[number % Count]; }
    void hold_while_forking() noexcept {
        for (static_mutex& each : locks_) each.hold_while_forking();
    }
    void leave_to_forks() noexcept {
        for (static_mutex& each : locks_) each.leave_to_forks();
    }

private:
    static_mutex locks_[Count]{};
};

// Distributes threads over several locks, so that they seldom contend.
class locks_by_thread : public static_mutexes<8> {
public:
    // Of this part of the program. Parts that are loaded at run time have their own.
    static locks_by_thread& here() noexcept;

    [[nodiscard]] static_mutex& of_this_thread() noexcept {
        static constinit atomic<unsigned> threads{0};
        static constinit thread_local unsigned number = 0; // starts at 1
        if (number == 0) [[unlikely]]
            number = threads.fetch_add(1, memory_order_relaxed) + 1;
        return (*this)[number];
    }
};
template <class = void>
inline constinit locks_by_thread only_locks{};
template <class = void>
inline const held_while_forking locks_are_held_by_forks(only_locks<>);

inline locks_by_thread& locks_by_thread::here() noexcept {
    static_cast<void>(&locks_are_held_by_forks<>);
    return only_locks<>;
}

// The mutexes of objects. All objects share a few, so that a fork holds few, however many objects there are:
// ThreadSanitizer ends a program in which a thread holds 64.
class locks_of_objects : public static_mutexes<4> {
public:
    static locks_of_objects& here() noexcept;

    [[nodiscard]] static_mutex& of_next_object() noexcept {
        static constinit atomic<unsigned> objects{0};
        return (*this)[objects.fetch_add(1, memory_order_relaxed)];
    }
};
template <class = void>
inline constinit locks_of_objects only_locks_of_objects{};
template <class = void>
inline const held_while_forking locks_of_objects_are_held_by_forks(only_locks_of_objects<>);

inline locks_of_objects& locks_of_objects::here() noexcept {
    static_cast<void>(&locks_of_objects_are_held_by_forks<>);
    return only_locks_of_objects<>;
}

// A member of an object that is locked during a fork. Other objects may have the same mutex, so that what runs while
// it is locked must not use another object that has one.
class shared_mutex {
public:
    shared_mutex() noexcept : mutex_(locks_of_objects::here().of_next_object()) {}

    void lock() noexcept { mutex_.lock(); }
    void unlock() noexcept { mutex_.unlock(); }
    [[nodiscard]] pthread_mutex_t* native_handle() noexcept { return mutex_.native_handle(); }

private:
    static_mutex& mutex_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
