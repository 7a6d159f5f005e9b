// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/exception_text.hpp>
#include <mlflow/trace/text/json_number.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/text/timestamp.hpp>
#include <mlflow/trace/text/utf8.hpp>
#include <mlflow/trace/values/value_kinds.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Appends UTF-8, UTF-16 or UTF-32, by the size of a code unit, as UTF-8. An invalid code unit becomes U+FFFD; invalid
// UTF-8 is replaced by the function that writes the text.
template <class Iterator, class Sentinel>
bool append_characters(buffer& out, Iterator at, const Sentinel& end) {
    while (at != end) {
        if constexpr (sizeof(*at) == 1) {
            if (!out.push_back(static_cast<char>(*at))) return false;
            ++at;
        } else {
            auto code_point = static_cast<std::uint32_t>(*at);
            ++at;
            if constexpr (sizeof(*at) == 2)
                if (code_point >> 10U == 0xD800 >> 10U && at != end &&
                    static_cast<std::uint32_t>(*at) >> 10U == 0x37) {
                    code_point = 0x10000 + ((code_point & 0x3FF) << 10U | (static_cast<std::uint32_t>(*at) & 0x3FF));
                    ++at;
                }
            char* const to = out.ensure(4);
            if (!to) return false;
            out.commit(encode_utf8(to, code_point > 0x10FFFF ? 0xFFFD : code_point));
        }
    }
    return true;
}

template <class Range>
bool append_characters(buffer& out, const Range& range) {
    if constexpr (copied_range<Range>) {
        Range copy = range;
        return append_characters(out, copy.begin(), copy.end());
    } else {
        return append_characters(out, std::begin(range), std::end(range));
    }
}

// Appends the suffix that std::chrono prints, or otherwise the number of seconds in one unit, as `[num/den]s`.
inline bool append_unit(buffer& out, std::intmax_t num, std::intmax_t den) noexcept {
    struct unit {
        std::intmax_t num, den;
        std::string_view suffix;
    };
    constexpr unit units[] = {{1, 1'000'000'000, "ns"}, {1, 1'000'000, "us"}, {1, 1000, "ms"}, {1, 1, "s"},
                              {60, 1, "min"},           {3600, 1, "h"},       {86'400, 1, "d"}};
    for (const unit& each : units)
        if (each.num == num && each.den == den) return out.append(each.suffix);
    return out.push_back('[') && append_json_int(out, num) &&
           (den == 1 || (out.push_back('/') && append_json_int(out, den))) && out.append("]s");
}

// Appends the time `count` times num/den seconds after 1970 in UTC, as RFC 3339: a date if the unit is whole days,
// and otherwise a date and a time, with as many decimal digits as the unit has, or nine.
inline bool append_time(buffer& out, std::int64_t count, std::int64_t num, std::int64_t den) noexcept {
    constexpr std::int64_t day = 86'400;
    const auto floor = [](std::int64_t value, std::int64_t by) { return value / by - (value % by < 0 ? 1 : 0); };
    const auto padded = [&out](std::int64_t value, int width) {
        char digits[20];
        for (int at = width; at-- > 0; value /= 10) digits[at] = static_cast<char>('0' + value % 10);
        return out.append({digits, static_cast<std::size_t>(width)});
    };
    int width = 0;
    std::int64_t unit = 1;
    for (; unit < den && width < 18; unit *= 10) ++width;
    const bool is_decimal = unit == den;
    const std::int64_t whole = floor(count, den);
    const std::int64_t seconds =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(whole) * static_cast<std::uint64_t>(num));
    const civil_date date = civil_from_days(floor(seconds, day));
    const std::int64_t in_day = seconds - floor(seconds, day) * day;
    if (date.year < 0 && !out.push_back('-')) return false;
    const std::int64_t year = date.year < 0 ? -date.year : date.year;
    if (!(year > 9999 ? append_json_int(out, year) : padded(year, 4))) return false;
    if (!(out.push_back('-') && padded(date.month, 2) && out.push_back('-') && padded(date.day, 2))) return false;
    if (num % day == 0 && den == 1) return true;
    if (!(out.push_back('T') && padded(in_day / 3600, 2) && out.push_back(':') && padded(in_day / 60 % 60, 2) &&
          out.push_back(':') && padded(in_day % 60, 2)))
        return false;
    if (den != 1) {
        const std::int64_t rest = count - whole * den;
        const double exact = static_cast<double>(rest) * 1e9 / static_cast<double>(den);
        if (!out.push_back('.') || !(is_decimal ? padded(rest, width) : padded(static_cast<std::int64_t>(exact), 9)))
            return false;
    }
    return out.push_back('Z');
}

inline bool append_exception(buffer& out, const std::exception& thrown) noexcept {
    return out.append(exception_type(thrown).view()) && out.append(": ") && out.append(what_of(thrown));
}
inline bool append_exception(buffer& out, const std::exception_ptr& thrown) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    try {
        std::rethrow_exception(thrown);
    } catch (const std::exception& known) {
        return append_exception(out, known);
    } catch (...) {
        return out.append(current_exception_type().view());
    }
#else
    return thrown && out.append("exception");
#endif
}

template <class Number>
bool append_count(buffer& out, Number count) noexcept {
    if constexpr (std::is_floating_point_v<Number>)
        return is_finite(static_cast<double>(count)) ? append_json_double(out, static_cast<double>(count))
                                                     : out.append(count > 0   ? "inf"
                                                                  : count < 0 ? "-inf"
                                                                              : "nan");
    else if constexpr (std::is_signed_v<Number>) return append_json_int(out, count);
    else return append_json_uint(out, count);
}

// Appends the text of a value that is not itself a text.
template <class T>
bool append_text(buffer& out, const T& value) {
    if constexpr (character<T>) return append_characters(out, &value, &value + 1);
    else if constexpr (character_range<T>) return append_characters(out, value);
    else if constexpr (path_like<T>) return append_characters(out, value.native());
    else if constexpr (duration_like<T>)
        return append_count(out, value.count()) && append_unit(out, T::period::num, T::period::den);
    else if constexpr (unix_time<T>)
        return append_time(out, value.time_since_epoch().count(), T::duration::period::num, T::duration::period::den);
    else if constexpr (calendar_time<T>) return append_text(out, T::clock::to_sys(value));
    else if constexpr (exception_like<T>) return append_exception(out, value);
    else {
        static_assert(bits_like<T>);
        for (std::size_t at = value.size(); at-- > 0;)
            if (!out.push_back(value.test(at) ? '1' : '0')) return false;
        return true;
    }
}

// A null pointer has no text.
template <class T>
bool is_null(const T& value) noexcept {
    if constexpr (std::is_pointer_v<T> || std::is_same_v<T, std::exception_ptr>) return value == nullptr;
    else return false;
}

template <class T>
concept text_path = path_like<T> && text_like<typename T::string_type>;
template <class T>
concept text_in_one_piece = character_range<T> && sizeof(element_of<T>) == 1 && requires(const T& value) {
    reinterpret_cast<const char*>(value.data());
    static_cast<std::size_t>(value.size());
};

template <class T>
inline constexpr std::size_t most_characters = std::is_array_v<T> ? std::extent_v<T> : std::size_t(-1);

// Calls `use` with the text of a value, which must not be null. Contiguous UTF-8 is passed without a copy.
template <class T, class Use>
bool with_text(const T& value, Use&& use) {
    if constexpr (text_like<T>) return use(std::string_view(value));
    else if constexpr (viewable<T>) return use(value.view());
    else if constexpr (character_pointer<std::decay_t<T>>) { // a null ends it, as for char
        const auto* const begin = &value[0];
        std::size_t size = 0;
        while (size < most_characters<T> && begin[size] != 0) ++size;
        if constexpr (sizeof(*begin) == 1) return use(std::string_view(reinterpret_cast<const char*>(begin), size));
        buffer text;
        return append_characters(text, begin, begin + size) && use(text.view());
    } else if constexpr (text_path<T>) {
        return use(std::string_view(value.native()));
    } else if constexpr (text_in_one_piece<T>) {
        return use(std::string_view(reinterpret_cast<const char*>(value.data()), value.size()));
    } else {
        buffer text;
        return append_text(text, value) && use(text.view());
    }
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
