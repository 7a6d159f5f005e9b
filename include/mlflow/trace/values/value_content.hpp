// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/values/value_kinds.hpp>

#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Takes the place of an expected value that holds an error: `{"error": …}`.
template <class E>
struct failed_value {
    const E& error;
};

// Gives access to the container of an adapter, which is a protected member.
template <class Adapter>
struct opened : Adapter {
    static const typename Adapter::container_type& of(const Adapter& adapter) noexcept {
        return adapter.*(&opened::c);
    }
};

template <wide_integer T, class Use>
decltype(auto) with_integer(T value, Use&& use) {
    using limits = std::numeric_limits<std::int64_t>;
    if (value <= static_cast<T>(limits::max()) && (value >= 0 || value >= static_cast<T>(limits::min())))
        return use(static_cast<std::int64_t>(value));
    char digits[41];
    char* const end = digits + sizeof digits;
    char* begin = end;
    const bool is_negative = value < 0;
    do { // the remainder has the sign of the number
        const int digit = static_cast<int>(value % 10);
        *--begin = static_cast<char>('0' + (digit < 0 ? -digit : digit));
        value /= 10;
    } while (value != 0);
    if (is_negative) *--begin = '-';
    return use(std::string_view(begin, static_cast<std::size_t>(end - begin)));
}

// Calls `use` with the value that is recorded for a value of this kind, or with null.
template <class T, class Use>
decltype(auto) with_content(const T& value, Use&& use) {
    if constexpr (named_enum<T>) {
        return use(to_string(value));
    } else if constexpr (std::is_enum_v<T>) {
        using integer = std::underlying_type_t<T>;
        if constexpr (character<integer>) return use(static_cast<std::int64_t>(value)); // a number, not a character
        else return use(static_cast<integer>(value));
    } else if constexpr (wide_integer<T>) {
        return with_integer(value, use);
    } else if constexpr (nothing_like<T>) {
        return use(nullptr);
    } else if constexpr (optional_like<T>) {
        return value.has_value() ? use(*value) : use(nullptr);
    } else if constexpr (expected_like<T>) {
        using error = std::remove_cvref_t<decltype(value.error())>;
        if (!value.has_value()) return use(failed_value<error>{value.error()});
        if constexpr (std::is_void_v<decltype(*value)>) return use(nullptr);
        else return use(*value);
    } else if constexpr (pointer_like<T>) {
        return value.get() == nullptr ? use(nullptr) : use(*value);
    } else if constexpr (reference_like<T>) {
        return use(value.get());
    } else if constexpr (atomic_like<T>) {
        return use(value.load());
    } else if constexpr (variant_like<T>) {
        return value.valueless_by_exception() ? use(nullptr) : visit(use, value);
    } else if constexpr (adapted_container<T>) {
        return use(opened<T>::of(value));
    } else if constexpr (complex_like<T>) {
        const typename T::value_type parts[] = {value.real(), value.imag()};
        return use(parts);
    } else {
        return use(value());
    }
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
