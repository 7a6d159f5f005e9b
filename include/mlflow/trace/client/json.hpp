// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>
#include <mlflow/trace/http/message.hpp>

#if !__has_include(<nlohmann/json.hpp>)
#error                                                                                                               \
    "The client reads MLflow's replies with nlohmann/json: install it (Debian: nlohmann-json3-dev). Recording works without."
#endif
#include <nlohmann/json.hpp>

#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

using nlohmann::json;

template <class Json>
Json json_of(json_value value) {
    using kind = json_value::kind;
    switch (value.what()) {
    case kind::null: break;
    case kind::boolean: return value.is_true();
    case kind::text: return value.text();
    case kind::number:
        if (value.is_integer())
            if (const auto whole = value.integer()) return *whole;
        return value.number();
    case kind::array: {
        Json list = Json::array();
        for (const json_value one : value) list.push_back(json_of<Json>(one));
        return list;
    }
    case kind::object: {
        Json object = Json::object();
        for (const json_value one : value) object[one.key()] = json_of<Json>(one);
        return object;
    }
    }
    return nullptr;
}

// Text from a server causes neither an exception nor unlimited recursion.
template <class Json = json>
std::optional<Json> parse_json(std::string_view text) {
    constexpr std::size_t deepest = 128;
    json_tree tree;
    if (!tree.read_no_deeper(text, deepest)) return std::nullopt;
    return json_of<Json>(tree.root());
}

inline std::string dump(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

inline const json& member(const json& object, const char* key) {
    static const json nothing;
    if (!object.is_object()) return nothing;
    const auto found = object.find(key);
    return found == object.end() ? nothing : *found;
}
inline std::string text_of(const json& object, const char* key) {
    const json& value = member(object, key);
    return value.is_string() ? value.get_ref<const std::string&>() : std::string{};
}
// Protobuf's JSON form writes 64-bit integers as strings.
inline std::int64_t integer_of(const json& object, const char* key) {
    const json& value = member(object, key);
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (value.is_number_float()) return json_value::integer_in(std::trunc(value.get<double>())).value_or(0);
    std::int64_t number = 0;
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        std::from_chars(text.data(), text.data() + text.size(), number);
    }
    return number;
}
// A sum that is clamped instead of overflowing.
inline std::int64_t added(std::int64_t a, std::int64_t b) noexcept {
    constexpr auto most = std::numeric_limits<std::int64_t>::max();
    constexpr auto least = std::numeric_limits<std::int64_t>::min();
    if (b > 0 ? a > most - b : a < least - b) return b > 0 ? most : least;
    return a + b;
}
inline double number_of(const json& object, const char* key) {
    const json& value = member(object, key);
    return value.is_number() ? value.get<double>() : 0;
}

inline failure malformed(std::string_view server, std::string_view target, std::string_view what) {
    return failure{error(error_kind::bad_reply, server,
                         std::string(" responded to ") + std::string(target.substr(0, target.find('?'))) + " with " +
                             std::string(what) + "; is it an MLflow 3 server?")};
}

// Removes `digits` digits from the front and returns their value; nothing if there are fewer.
inline std::optional<int> take_digits(std::string_view& text, std::size_t digits) {
    if (text.size() < digits) return std::nullopt;
    int number = 0;
    for (const char c : text.substr(0, digits)) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + (c - '0');
    }
    text.remove_prefix(digits);
    return number;
}
inline bool take_sign(std::string_view& text, char sign) {
    if (!text.starts_with(sign)) return false;
    text.remove_prefix(1);
    return true;
}
// Milliseconds after a decimal point; further digits are ignored.
inline int take_milliseconds(std::string_view& text) {
    int value = 0;
    if (!take_sign(text, '.')) return 0;
    for (int weight = 100; !text.empty() && text[0] >= '0' && text[0] <= '9'; weight /= 10, text.remove_prefix(1))
        value += weight * (text[0] - '0');
    return value;
}

// The range of RFC 3339.
inline constexpr std::chrono::sys_time<std::chrono::milliseconds> first_time = std::chrono::sys_days(
                                                                      std::chrono::year(0) / 1 / 1),
                                                                  last_time = std::chrono::sys_days(
                                                                                  std::chrono::year(10000) / 1 / 1) -
                                                                              std::chrono::milliseconds(1);

inline std::optional<std::chrono::sys_time<std::chrono::milliseconds>>
time_in_range(std::chrono::sys_time<std::chrono::milliseconds> time) {
    if (time < first_time || time > last_time) return std::nullopt;
    return time;
}

// RFC 3339: 2026-11-23, 2026-11-23T04:03:42Z, 2026-11-23T04:03:42.571+01:00.
inline std::optional<std::chrono::sys_time<std::chrono::milliseconds>> parse_time(std::string_view text) {
    namespace chr = std::chrono;
    const auto year = take_digits(text, 4);
    if (!year || !take_sign(text, '-')) return std::nullopt;
    const auto month = take_digits(text, 2);
    if (!month || !take_sign(text, '-')) return std::nullopt;
    const auto day = take_digits(text, 2);
    if (!day) return std::nullopt;
    const chr::year_month_day date(chr::year(*year), chr::month(static_cast<unsigned>(*month)),
                                   chr::day(static_cast<unsigned>(*day)));
    if (!date.ok()) return std::nullopt;
    chr::sys_time<chr::milliseconds> time = chr::sys_days(date);
    if (text.empty()) return time;
    if (!take_sign(text, 'T') && !take_sign(text, ' ')) return std::nullopt;
    int parts[3]{};
    for (int i = 0; i < 3; ++i) {
        const auto part = take_digits(text, 2);
        if (!part || *part > (i == 0 ? 23 : i == 1 ? 59 : 60)) return std::nullopt;
        parts[i] = *part;
        if (i < 2 && !take_sign(text, ':')) return std::nullopt;
    }
    time += chr::hours(parts[0]) + chr::minutes(parts[1]) + chr::seconds(parts[2]);
    time += chr::milliseconds(take_milliseconds(text));
    if (text == "Z" || text == "z" || text.empty()) return time_in_range(time);
    const bool is_east = take_sign(text, '+');
    if (!is_east && !take_sign(text, '-')) return std::nullopt;
    const auto hours = take_digits(text, 2);
    if (!hours || !take_sign(text, ':')) return std::nullopt;
    const auto minutes = take_digits(text, 2);
    if (!minutes || !text.empty() || *hours > 23 || *minutes > 59) return std::nullopt;
    const auto offset = chr::hours(*hours) + chr::minutes(*minutes);
    return time_in_range(is_east ? time - offset : time + offset);
}

// Protobuf's JSON form of a Duration: 0.042s.
inline std::optional<std::chrono::milliseconds> parse_duration(std::string_view text) {
    const bool is_negative = take_sign(text, '-');
    std::int64_t seconds = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    constexpr std::int64_t most = 1'000'000'000'000;
    if (error != std::errc{} || seconds > most || seconds < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    const auto value = std::chrono::milliseconds(seconds * 1000 + take_milliseconds(text));
    if (text != "s") return std::nullopt;
    return is_negative ? -value : value;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
