// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The maximum length of a key's value in characters (Unicode code points). MLflow guarantees 250 for metadata on
/// every database. A smaller limit also makes the type smaller.
template <std::size_t CodePoints>
struct max_length {
    static_assert(CodePoints >= 1 && CodePoints <= 250,
                  "max_length must be 1 to 250: MLflow stores at most 250 characters of metadata");
    /// The maximum number of code points.
    static constexpr std::size_t limit = CodePoints;
};

/// The value is one of these texts, compared exactly.
template <fixed_string... Values>
struct one_of {
    static_assert(sizeof...(Values) > 0);
    /// Whether `value` is one of the texts.
    static constexpr bool allows(std::string_view value) noexcept { return ((value == Values.view()) || ...); }
};

/// The value begins with this text.
template <fixed_string Text>
struct prefix {
    /// Whether `value` begins with the text.
    static constexpr bool allows(std::string_view value) noexcept { return value.starts_with(Text.view()); }
};

/// The value consists of ASCII letters, digits, and the listed characters.
template <fixed_string Others = "-_.:">
struct ascii_word {
    /// Whether `value` has only these characters.
    static constexpr bool allows(std::string_view value) noexcept {
        for (const char c : value) {
            const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
            if (!alphanumeric && Others.view().find(c) == std::string_view::npos) return false;
        }
        return true;
    }
};

/// The value is a UUID in text form (RFC 9562): 8-4-4-4-12 hexadecimal digits, in either case.
struct uuid {
    /// Whether `value` is a UUID.
    static constexpr bool allows(std::string_view value) noexcept {
        if (value.size() != 36) return false;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const char c = value[i];
            const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
            const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
            if (dash ? c != '-' : !hex) return false;
        }
        return true;
    }
};

/// The value satisfies your own function `bool(std::string_view) noexcept`, which must be constexpr for literals to
/// compile.
template <auto Function>
struct predicate {
    /// Whether the function returns true for `value`.
    static constexpr bool allows(std::string_view value) noexcept { return Function(value); }
};

namespace detail {

template <class Check>
concept limits_length = requires { Check::limit; };

template <std::size_t Default, class... Checks>
inline constexpr std::size_t limit_of = Default;
template <std::size_t Default, class First, class... Rest>
inline constexpr std::size_t limit_of<Default, First, Rest...> = limit_of<Default, Rest...>;
template <std::size_t Default, limits_length First, class... Rest>
inline constexpr std::size_t limit_of<Default, First, Rest...> = First::limit;

template <class Check>
constexpr bool allowed_by(std::string_view value) noexcept {
    if constexpr (limits_length<Check>) return true;
    else {
        static_assert(
            requires {
                { Check::allows(value) } -> std::convertible_to<bool>;
            }, "a key's check must have: static constexpr bool allows(std::string_view) noexcept");
        return Check::allows(value);
    }
}

// The rule for every identity and metadata value: 1 to `limit` code points of valid UTF-8 without control characters.
constexpr error check_text(std::string_view key, std::string_view value, std::size_t limit) noexcept {
    if (value.empty()) return {error_kind::empty, key};
    const utf8_scan scan = scan_utf8(value);
    if (scan.invalid_at != std::string_view::npos) return {error_kind::invalid_utf8, key, scan.invalid_at};
    if (scan.control_at != std::string_view::npos) return {error_kind::control_character, key, scan.control_at};
    if (scan.code_points > limit) return {error_kind::too_long, key, scan.code_points, limit};
    return {};
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
