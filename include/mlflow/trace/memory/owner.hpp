// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

struct deletes {
    template <class T>
    void operator()(T* object) const noexcept {
        delete object;
    }
};

// std::unique_ptr. <memory> would add 10,000 lines to every translation unit.
template <class T, class Release = deletes>
class owner {
public:
    owner() noexcept = default;
    owner(std::nullptr_t) noexcept {}
    explicit owner(T* object) noexcept : object_(object) {}
    owner(owner&& other) noexcept : object_(other.release()) {}
    owner& operator=(owner&& other) noexcept {
        owner(std::move(other)).swap(*this);
        return *this;
    }
    ~owner() {
        if (object_) Release()(object_);
    }

    [[nodiscard]] T* get() const noexcept { return object_; }
    [[nodiscard]] T& operator*() const noexcept { return *object_; }
    [[nodiscard]] T* operator->() const noexcept { return object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }

    [[nodiscard]] T* release() noexcept { return std::exchange(object_, nullptr); }
    void swap(owner& other) noexcept { std::swap(object_, other.object_); }

private:
    T* object_ = nullptr;
};

// Shares an object that counts its owners from one. `retain()` adds an owner; `release()` removes one and deletes the
// object with the last.
template <class T>
class shared_owner {
public:
    shared_owner() noexcept = default;
    explicit shared_owner(T* object) noexcept : object_(object) {}
    shared_owner(const shared_owner& other) noexcept : object_(other.object_) {
        if (object_) object_->retain();
    }
    shared_owner(shared_owner&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    shared_owner& operator=(const shared_owner& other) noexcept { return *this = shared_owner(other); }
    shared_owner& operator=(shared_owner&& other) noexcept {
        shared_owner taken(std::move(other));
        std::swap(object_, taken.object_);
        return *this;
    }
    ~shared_owner() {
        if (object_) object_->release();
    }

    [[nodiscard]] T* operator->() const noexcept { return object_; }
    explicit operator bool() const noexcept { return object_ != nullptr; }

private:
    T* object_ = nullptr;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
