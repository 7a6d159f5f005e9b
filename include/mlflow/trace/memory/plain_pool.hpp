// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/locks.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The pool of a target without threads, but with interrupts that record: objects are taken and given one by one,
// under the lock.
template <class T>
class plain_pool {
public:
    static plain_pool& instance() noexcept {
        static constinit plain_pool only;
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
    constexpr plain_pool() noexcept = default;

    machine::mutex lock_;
    T* free_ = nullptr;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
