// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

template <class T>
struct json_encoder;

namespace detail {

// Types of the standard library are recognised by their members, so that their headers need not be included. Types of
// other libraries with the same members are recognised too.

template <class T, class... Others>
concept one_of_types = (std::is_same_v<T, Others> || ...);

template <class T>
concept character = one_of_types<T, char, wchar_t, char8_t, char16_t, char32_t>;

#if defined(__SIZEOF_INT128__)
__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;
template <class T>
concept wide_integer = one_of_types<T, int128, uint128>;
#else
template <class T>
concept wide_integer = false;
#endif

template <class T>
concept number = (std::is_arithmetic_v<T> && !character<T> && !wide_integer<T>) || std::is_same_v<T, std::nullptr_t>;

template <class T>
concept text_like = std::is_convertible_v<const T&, std::string_view> && !std::is_same_v<T, std::nullptr_t>;

// A key of the library, such as mt::user.
template <class T>
concept viewable = requires(const T& value) {
    { value.view() } -> std::same_as<std::string_view>;
};

template <class T>
concept const_range = requires(const T& value) {
    value.begin() != value.end();
    *value.begin();
};

// A view of <ranges> that changes while it is read. A copy is read.
template <class T>
concept copied_range = !const_range<T> && std::is_copy_constructible_v<T> && requires(T& value) {
    value.begin() != value.end();
    *value.begin();
};

template <class T>
concept range_like = const_range<T> || copied_range<T> || std::is_bounded_array_v<T>;

template <class T>
using range_access = std::conditional_t<copied_range<T>, T, const T>;
template <class T>
using element_of = std::remove_cvref_t<decltype(*std::begin(std::declval<range_access<T>&>()))>;

// std::vector<bool>, whose elements are proxy objects; in libc++ also if the vector is const.
template <class T>
concept range_of_bits = range_like<T> && requires { requires std::same_as<typename T::value_type, bool>; };

// Reading such a range takes its elements away from the application.
template <class Iterator>
consteval bool is_single_pass() noexcept {
    const auto is = []<class Category>(std::type_identity<Category>) {
        return std::is_base_of_v<std::input_iterator_tag, Category> &&
               !std::is_base_of_v<std::forward_iterator_tag, Category>;
    };
    if constexpr (requires { typename Iterator::iterator_concept; })
        return is(std::type_identity<typename Iterator::iterator_concept>{});
    else if constexpr (requires { typename Iterator::iterator_category; })
        return is(std::type_identity<typename Iterator::iterator_category>{});
    else return false;
}
template <class T>
concept single_pass = range_like<T> && is_single_pass<decltype(std::begin(std::declval<range_access<T>&>()))>();
// The end of such a range, std::unreachable_sentinel, can be compared with anything.
template <class T>
concept endless = range_like<T> && requires(range_access<T>& value, int* one, const char* other) {
    value.end() == one;
    value.end() == other;
};

template <class T>
concept character_range = range_like<T> && character<element_of<T>>;
template <class T>
concept character_pointer = std::is_pointer_v<T> && character<std::remove_cv_t<std::remove_pointer_t<T>>>;

// std::filesystem::path, whose elements are paths again.
template <class T>
concept path_like = requires(const T& value) {
    { value.native() } -> std::same_as<const typename T::string_type&>;
    requires character_range<typename T::string_type>;
};

template <class T>
concept duration_like = requires(const T& value) {
    { value.count() } -> std::same_as<typename T::rep>;
    { T::period::num } -> std::convertible_to<long long>;
    { T::period::den } -> std::convertible_to<long long>;
    requires number<typename T::rep>;
};
template <class T>
concept time_like = requires(const T& value) {
    typename T::clock;
    { value.time_since_epoch() } -> std::same_as<typename T::duration>;
};
// A time point of a clock that counts from 1970.
template <class T>
concept unix_time = time_like<T> && duration_like<typename T::duration> &&
                    std::is_integral_v<typename T::duration::rep> && requires { &T::clock::to_time_t; };
// A time point of such a clock, or of one that converts to it.
template <class T>
concept calendar_time = unix_time<T> || (time_like<T> && requires(const T& value) {
                            { T::clock::to_sys(value) } -> unix_time;
                        });

// std::bitset and boost::dynamic_bitset.
template <class T>
concept bits_like = requires(const T& value, std::size_t at) {
    { value.test(at) } -> std::convertible_to<bool>;
    { value.size() } -> std::convertible_to<std::size_t>;
    value.none();
};

template <class T>
concept exception_like = std::is_base_of_v<std::exception, T> || std::is_same_v<T, std::exception_ptr>;

template <class T>
concept textual = text_like<T> || viewable<T> || character<T> || character_range<T> || character_pointer<T> ||
                  path_like<T> || duration_like<T> || calendar_time<T> || bits_like<T> || exception_like<T>;

// nlohmann::json, without including it.
template <class T>
concept nlohmann_like = requires(const T& value) {
    typename T::number_unsigned_t;
    typename T::binary_t;
    { value.is_discarded() } -> std::same_as<bool>;
};

template <class T>
concept has_encoder = requires { sizeof(json_encoder<T>); };

template <class T>
concept named_enum = std::is_enum_v<T> && requires(T value) {
    { to_string(value) } -> text_like;
};

template <class T>
concept expected_like = requires(const T& value) {
    { value.has_value() } -> std::same_as<bool>;
    *value;
    value.error();
};
template <class T>
concept optional_like = !expected_like<T> && requires(const T& value) {
    { value.has_value() } -> std::same_as<bool>;
    *value;
};
template <class T>
concept pointer_like = requires(const T& value) {
    typename T::element_type;
    value.get() == nullptr;
    *value;
};
template <class T>
concept reference_like = requires(const T& value) {
    { value.get() } -> std::same_as<typename T::type&>;
};
template <class T>
concept atomic_like = requires(const T& value) {
    { value.load() } -> std::same_as<typename T::value_type>;
    { T::is_always_lock_free } -> std::convertible_to<bool>;
};
template <class T>
concept variant_like = requires(const T& value) {
    value.index();
    { value.valueless_by_exception() } -> std::same_as<bool>;
};
// std::stack, std::queue and std::priority_queue.
template <class T>
concept adapted_container = !range_like<T> && requires(T& value) {
    typename T::container_type;
    value.pop();
};
// std::monostate, recognised by its name: <variant> is not included, and nothing else distinguishes it from other
// empty types.
template <class T>
consteval bool is_monostate() noexcept {
    const std::string_view name = __PRETTY_FUNCTION__;
    const auto at = name.find("T = std::");
    return std::is_empty_v<T> && at != name.npos && name.find("::monostate", at) != name.npos &&
           name.find_first_of("<,(", at) == name.npos;
}
template <class T>
concept nothing_like = std::is_same_v<T, std::nullopt_t> || is_monostate<T>();

// A callable that makes the value.
template <class T>
concept maker = std::is_invocable_v<const T&> && !std::is_void_v<std::invoke_result_t<const T&>>;

template <class T>
concept complex_like = requires(const T& value) {
    { value.real() } -> std::same_as<typename T::value_type>;
    { value.imag() } -> std::same_as<typename T::value_type>;
};
template <class T>
concept error_code_like = requires(const T& value) {
    { value.value() } -> std::same_as<int>;
    { value.category().name() } -> std::convertible_to<const char*>;
    { value.message() } -> text_like;
};
// std::source_location and boost::source_location.
template <class T>
concept place_like = requires(const T& value) {
    { value.file_name() } -> std::convertible_to<const char*>;
    { value.function_name() } -> std::convertible_to<const char*>;
    { value.line() } -> std::convertible_to<unsigned long>;
    { value.column() } -> std::convertible_to<unsigned long>;
};
template <class T>
concept tuple_like = requires { std::tuple_size<T>::value; };

enum class value_kind : unsigned char {
    encoded,  // by a json_encoder
    nlohmann, // as the JSON that it is
    number,   // or true, false, null
    text,
    content, // as another value that it contains, points to, stands for or returns
    range,
    tuple,
    error_code,
    place,
    none // not recorded
};

template <class T>
consteval value_kind kind_of() noexcept {
    if constexpr (has_encoder<T>) return value_kind::encoded;
    else if constexpr (nlohmann_like<T>) return value_kind::nlohmann;
    else if constexpr (number<T>) return value_kind::number;
    else if constexpr (text_like<T>) return value_kind::text;
    else if constexpr (single_pass<T> || endless<T>) return value_kind::none;
    else if constexpr (textual<T>) return value_kind::text;
    else if constexpr (range_like<T>) return value_kind::range;
    else if constexpr (std::is_enum_v<T> || wide_integer<T> || nothing_like<T> || optional_like<T> ||
                       expected_like<T> || pointer_like<T> || reference_like<T> || atomic_like<T> ||
                       variant_like<T> || adapted_container<T> || complex_like<T> || maker<T>)
        return value_kind::content;
    else if constexpr (tuple_like<T>) return value_kind::tuple;
    else if constexpr (error_code_like<T>) return value_kind::error_code;
    else if constexpr (place_like<T>) return value_kind::place;
    else return value_kind::none;
}
template <class T>
inline constexpr value_kind kind = kind_of<T>();

// Only scalars and texts are certain to be JSON that every reader accepts.
template <class T>
inline constexpr bool is_plain = kind<T> == value_kind::number || kind<T> == value_kind::text || std::is_enum_v<T>;

// Reading the value runs no code of the application.
template <class T>
inline constexpr bool is_inert =
    !has_encoder<T> &&
    (number<T> || character<T> || (std::is_enum_v<T> && !named_enum<T>) || std::is_same_v<T, owned_text> ||
     std::is_same_v<T, std::string_view> || character_pointer<std::decay_t<T>>);

template <class T>
inline constexpr bool never = false;

// Fails to compile, with the reason why a value is not recorded and what to record instead.
template <class T>
constexpr void reject() noexcept {
    if constexpr (single_pass<T>)
        static_assert(never<T>, "this range can be read only once, so recording it would consume its elements: "
                                "record a container with them");
    else if constexpr (endless<T>)
        static_assert(never<T>, "this range is infinite: record a part of it, such as std::views::take(range, n)");
    else if constexpr (time_like<T>)
        static_assert(never<T>, "a time point of this clock has no meaning outside the program: record the duration "
                                "between two time points, or a time point of std::chrono::system_clock");
    else if constexpr (std::is_pointer_v<T>)
        static_assert(never<T>,
                      "a raw pointer is not dereferenced: record *pointer, or a std::span of the array it points to");
    else if constexpr (requires(const T& value) { value.expired(), value.lock(); })
        static_assert(never<T>, "the object of a weak pointer may have been destroyed: record its lock()");
    else if constexpr (
        requires(const T& value) { value.get() == nullptr, value.get_deleter(); } ||
        requires(const T& value) { value.get() == nullptr, value.use_count(); })
        static_assert(never<T>, "this pointer has no size: record a std::span of its array");
    else if constexpr (std::is_invocable_v<const T&>)
        static_assert(never<T>, "this callable returns nothing: record a value, or a callable that returns one");
    else
        static_assert(never<T>,
                      "this type cannot be recorded: specialise mlflow::trace::json_encoder for it, or pass "
                      "a text, number, range or map");
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
