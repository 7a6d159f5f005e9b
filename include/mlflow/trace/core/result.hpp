// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>

#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// An error on its way into a `result`: `return mt::failure{error};`
struct failure {
    mlflow::trace::error error;
};

/// A value, or the `error` that says why there is none. What C++23's `std::expected` is, as far as this library needs
/// it, with the names of its members.
///
/// Thread-safety: as `std::optional`. Errors: taking the value of a failed result, or the error of a good one, is a
/// mistake of the program and aborts; ask `has_value()` first.
template <class T>
class [[nodiscard]] result {
    static_assert(!std::is_reference_v<T> && !std::is_same_v<T, failure>);

public:
    using value_type = T;
    using error_type = mlflow::trace::error;

    constexpr result(T value) noexcept(std::is_nothrow_move_constructible_v<T>)
        : value_(std::move(value)), has_value_(true) {}
    constexpr result(failure failed) noexcept : error_(std::move(failed.error)), has_value_(false) {}

    result(const result& other) : has_value_(other.has_value_) {
        if (has_value_) ::new (static_cast<void*>(&value_)) T(other.value_);
        else ::new (static_cast<void*>(&error_)) error_type(other.error_);
    }
    result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : has_value_(other.has_value_) {
        if (has_value_) ::new (static_cast<void*>(&value_)) T(std::move(other.value_));
        else ::new (static_cast<void*>(&error_)) error_type(std::move(other.error_));
    }
    result& operator=(result other) noexcept {
        static_assert(std::is_nothrow_move_constructible_v<T>, "a value whose move may throw is not assigned");
        this->~result();
        return *::new (static_cast<void*>(this)) result(std::move(other));
    }
    constexpr ~result() {
        if (has_value_) value_.~T();
        else error_.~error_type();
    }

    [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
    constexpr explicit operator bool() const noexcept { return has_value_; }

    [[nodiscard]] constexpr T& value() & noexcept { return require(has_value_), value_; }
    [[nodiscard]] constexpr const T& value() const& noexcept { return require(has_value_), value_; }
    [[nodiscard]] constexpr T&& value() && noexcept { return require(has_value_), std::move(value_); }
    [[nodiscard]] constexpr T& operator*() & noexcept { return value(); }
    [[nodiscard]] constexpr const T& operator*() const& noexcept { return value(); }
    [[nodiscard]] constexpr T&& operator*() && noexcept { return std::move(*this).value(); }
    [[nodiscard]] constexpr T* operator->() noexcept { return &value(); }
    [[nodiscard]] constexpr const T* operator->() const noexcept { return &value(); }

    template <class U>
    [[nodiscard]] constexpr T value_or(U&& otherwise) const& {
        return has_value_ ? value_ : static_cast<T>(std::forward<U>(otherwise));
    }
    template <class U>
    [[nodiscard]] constexpr T value_or(U&& otherwise) && {
        return has_value_ ? std::move(value_) : static_cast<T>(std::forward<U>(otherwise));
    }

    [[nodiscard]] constexpr const error_type& error() const& noexcept { return require(!has_value_), error_; }
    [[nodiscard]] constexpr error_type&& error() && noexcept { return require(!has_value_), std::move(error_); }

private:
    static constexpr void require(bool condition) noexcept {
        if (!condition) std::abort();
    }

    union {
        T value_;
        error_type error_;
    };
    bool has_value_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
