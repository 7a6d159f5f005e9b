// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>

#include <cstdlib>
#include <new>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// An error to be converted to a `result`: `return mt::failure{error};`
struct failure {
    /// The error that the `result` will hold.
    mlflow::trace::error error;
};

/// A value, or the `error` that explains why there is none. A subset of C++23's `std::expected`, with the same member
/// names.
///
/// Thread-safety: as `std::optional`. Errors: reading the value of a failed result, or the error of a successful one,
/// aborts the program; check `has_value()` first.
template <class T>
class [[nodiscard]] result {
    static_assert(!std::is_reference_v<T> && !std::is_same_v<T, failure>);

public:
    /// The type of the value.
    using value_type = T;
    /// The type of the error.
    using error_type = mlflow::trace::error;

    /// Holds a value.
    constexpr result(T value) noexcept(std::is_nothrow_move_constructible_v<T>)
        : value_(std::move(value)), has_value_(true) {}
    /// Holds an error.
    constexpr result(failure failed) noexcept : error_(std::move(failed.error)), has_value_(false) {}

    /// Copies the value or the error.
    result(const result& other) : has_value_(other.has_value_) {
        if (has_value_) ::new (static_cast<void*>(&value_)) T(other.value_);
        else ::new (static_cast<void*>(&error_)) error_type(other.error_);
    }
    /// Moves the value or the error.
    result(result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : has_value_(other.has_value_) {
        if (has_value_) ::new (static_cast<void*>(&value_)) T(std::move(other.value_));
        else ::new (static_cast<void*>(&error_)) error_type(std::move(other.error_));
    }
    /// Copies the value or the error.
    result& operator=(const result& other) { return *this = result(other); }
    /// Moves the value or the error.
    result& operator=(result&& other) noexcept {
        static_assert(std::is_nothrow_move_constructible_v<T>,
                      "a result can be assigned only if moving its value cannot throw");
        result taken(std::move(other)); // `other` may be this object
        this->~result();
        return *::new (static_cast<void*>(this)) result(std::move(taken));
    }
    /// Destroys the value or the error.
    constexpr ~result() {
        if (has_value_) value_.~T();
        else error_.~error_type();
    }

    /// Whether there is a value.
    [[nodiscard]] constexpr bool has_value() const noexcept { return has_value_; }
    /// The same as `has_value()`.
    constexpr explicit operator bool() const noexcept { return has_value_; }

    /// The value. Aborts when there is none, as `*` and `->` do.
    [[nodiscard]] constexpr T& value() & noexcept { return require(has_value_), value_; }
    [[nodiscard]] constexpr const T& value() const& noexcept { return require(has_value_), value_; }
    [[nodiscard]] constexpr T&& value() && noexcept { return require(has_value_), std::move(value_); }
    /// The value, as `value()` returns it.
    [[nodiscard]] constexpr T& operator*() & noexcept { return value(); }
    [[nodiscard]] constexpr const T& operator*() const& noexcept { return value(); }
    [[nodiscard]] constexpr T&& operator*() && noexcept { return std::move(*this).value(); }
    /// Access to members of the value.
    [[nodiscard]] constexpr T* operator->() noexcept { return &value(); }
    [[nodiscard]] constexpr const T* operator->() const noexcept { return &value(); }

    /// The value, or `otherwise` when there is none.
    template <class U>
    [[nodiscard]] constexpr T value_or(U&& otherwise) const& {
        return has_value_ ? value_ : static_cast<T>(std::forward<U>(otherwise));
    }
    template <class U>
    [[nodiscard]] constexpr T value_or(U&& otherwise) && {
        return has_value_ ? std::move(value_) : static_cast<T>(std::forward<U>(otherwise));
    }

    /// The error. Aborts when there is a value.
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
