// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

enum memory_order : int {
    memory_order_relaxed = __ATOMIC_RELAXED,
    memory_order_acquire = __ATOMIC_ACQUIRE,
    memory_order_release = __ATOMIC_RELEASE,
    memory_order_acq_rel = __ATOMIC_ACQ_REL,
    memory_order_seq_cst = __ATOMIC_SEQ_CST,
};

// The members of std::atomic that the library uses, always lock-free. <atomic> would add 2,800 lines to every
// translation unit, mostly for waiting.
template <class T>
class atomic {
    static_assert(std::is_trivially_copyable_v<T>);
    static_assert(!MLFLOW_TRACE_HOSTED || __atomic_always_lock_free(sizeof(T), nullptr)); // devices lack libatomic

public:
    constexpr atomic() noexcept = default;
    constexpr atomic(T value) noexcept : value_(value) {}
    atomic(const atomic&) = delete;
    atomic& operator=(const atomic&) = delete;

    [[nodiscard]] T load(memory_order order = memory_order_seq_cst) const noexcept {
        T loaded;
        __atomic_load(&value_, &loaded, order);
        return loaded;
    }
    void store(T value, memory_order order = memory_order_seq_cst) noexcept {
        __atomic_store(&value_, &value, order);
    }
    T exchange(T value, memory_order order = memory_order_seq_cst) noexcept {
        T before;
        __atomic_exchange(&value_, &value, &before, order);
        return before;
    }

    bool compare_exchange_weak(T& expected, T value, memory_order success, memory_order failure) noexcept {
        return __atomic_compare_exchange(&value_, &expected, &value, true, success, failure);
    }
    bool compare_exchange_weak(T& expected, T value, memory_order order = memory_order_seq_cst) noexcept {
        return compare_exchange_weak(expected, value, order, without_release(order));
    }
    bool compare_exchange_strong(T& expected, T value, memory_order success, memory_order failure) noexcept {
        return __atomic_compare_exchange(&value_, &expected, &value, false, success, failure);
    }
    bool compare_exchange_strong(T& expected, T value, memory_order order = memory_order_seq_cst) noexcept {
        return compare_exchange_strong(expected, value, order, without_release(order));
    }

    T fetch_add(T value, memory_order order = memory_order_seq_cst) noexcept {
        return __atomic_fetch_add(&value_, value, order);
    }
    T fetch_sub(T value, memory_order order = memory_order_seq_cst) noexcept {
        return __atomic_fetch_sub(&value_, value, order);
    }
    T fetch_or(T value, memory_order order = memory_order_seq_cst) noexcept {
        return __atomic_fetch_or(&value_, value, order);
    }

    operator T() const noexcept { return load(); }
    T operator=(T value) noexcept {
        store(value);
        return value;
    }
    T operator++() noexcept { return static_cast<T>(fetch_add(1) + 1); }
    T operator++(int) noexcept { return fetch_add(1); }

private:
    static constexpr memory_order without_release(memory_order order) noexcept {
        return order == memory_order_acq_rel   ? memory_order_acquire
               : order == memory_order_release ? memory_order_relaxed
                                               : order;
    }

    alignas(sizeof(T)) T value_{};
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
