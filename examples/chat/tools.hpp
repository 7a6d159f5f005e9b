// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "calculator.hpp"
#include "text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

/// A tool call that a message requires: "price", "calculate" or "convert", with its argument as text.
struct tool_call {
    std::string name;
    std::string argument;
};

/// `value` rounded to `digits` decimal places, without trailing zeros.
inline std::string plain_number(double value, int digits) {
    std::array<char, 400> text{}; // the largest double has 309 digits before its point
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed, digits);
    std::string result(text.data(), end.ptr);
    if (digits > 0) result.erase(result.find_last_not_of('0') + 1);
    if (result.back() == '.') result.pop_back();
    return result == "-0" ? "0" : result;
}

/// "€7.25" for 725.
inline std::string euros(int cents) {
    const std::string rest = std::to_string(cents % 100);
    return "€" + std::to_string(cents / 100) + (rest.size() == 1 ? ".0" : ".") + rest;
}

/// An amount in a text, such as "2.5 hours".
struct quantity {
    double value = 0;
    std::string unit;
    std::size_t begin = 0; ///< the first token; `end` is the last one
    std::size_t end = 0;
};

/// Every number in `text` with the word after it, in order. Includes "half an hour" and "an hour".
inline std::vector<quantity> quantities(std::string_view text) {
    const std::string folded = lower(text);
    const auto tokens = tokenize(folded, 64);
    const auto token = [&](std::size_t i) { return i < tokens.size() ? tokens[i] : std::string_view{}; };
    const auto digits = [&](std::size_t i) { return !token(i).empty() && token(i)[0] >= '0' && token(i)[0] <= '9'; };
    std::vector<quantity> found;
    for (std::size_t at = 0; at < tokens.size(); ++at) {
        if ((token(at) == "an" || token(at) == "one") && token(at + 1) == "hour") {
            const bool half = at > 0 && token(at - 1) == "half";
            found.push_back({half ? 0.5 : 1, "hour", at, at + 1});
        }
        if (!digits(at)) continue;
        const std::size_t begin = at;
        std::string number{token(at)};
        const bool point = token(at + 1) == "." || (token(at + 1) == "," && token(at + 2).size() < 3);
        if (point && digits(at + 2)) number.append(".").append(token(at += 2));
        double value = 0;
        std::from_chars(number.data(), number.data() + number.size(), value);
        if (token(at + 1) == "-") ++at;
        found.push_back({value, std::string{token(at + 1)}, begin, at + 1});
    }
    return found;
}

inline bool one_of(std::string_view word, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), word) != list.end();
}

/// A single ride, priced according to corpus/prices-and-passes.md.
struct ride {
    double minutes = 0;
    std::string bike = "classic bike";
    bool student = false;

    int minute_price() const { ///< in cents
        const int full = bike == "e-bike" ? 25 : bike == "cargo bike" ? 35 : 15;
        return student ? full * 80 / 100 : full;
    }
    std::string text() const {
        const std::string on = bike == "e-bike" ? " on an " : " on a ";
        return plain_number(minutes, 2) + (minutes == 1 ? " minute" : " minutes") + on + bike +
               (student ? " for a student" : "");
    }
};

/// The ride that `text` describes, if it has a duration. The last duration counts, because a follow-up comes after
/// the question that it changes.
inline std::optional<ride> read_ride(std::string_view text) {
    double minutes = -1;
    quantity hours;
    for (const quantity& q : quantities(text)) {
        const bool is_hour = one_of(q.unit, {"h", "hour", "hours", "hr", "hrs"});
        if (!is_hour && !one_of(q.unit, {"min", "mins", "minute", "minutes"})) continue;
        const bool continues = !is_hour && !hours.unit.empty() && q.begin <= hours.end + 2; // "1 hour and 20 minutes"
        minutes = is_hour ? q.value * 60 : q.value + (continues ? hours.value * 60 : 0);
        hours = is_hour ? q : quantity{};
    }
    if (minutes < 0) return std::nullopt;
    ride result{minutes};
    for (const std::string& word : topic_words(text)) {
        if (one_of(word, {"ebik", "electric"})) result.bike = "e-bike";
        if (word == "cargo") result.bike = "cargo bike";
        if (word == "classic") result.bike = "classic bike";
        if (word == "student") result.student = true;
    }
    return result;
}

/// Throws std::out_of_range if the ride has no duration or more than a day.
inline std::string price_of(const ride& r) {
    constexpr int unlock = 100, most = 3000; // cents
    if (!(r.minutes > 0 && r.minutes <= 24 * 60))
        throw std::out_of_range("a ride lasts up to 24 hours, not " + plain_number(r.minutes, 2) + " minutes");
    const int started = static_cast<int>(std::ceil(r.minutes));
    const int total = unlock + started * r.minute_price();
    const std::string start = "A single ride of " + r.text() + " costs ";
    if (total > most) return start + euros(most) + ", the most that a ride can cost in 24 hours.";
    return start + euros(total) + ": " + euros(unlock) + " to unlock and " + std::to_string(started) +
           (started == 1 ? " minute at " : " minutes at ") + euros(r.minute_price()) + ".";
}

/// The distance that `text` asks to convert, as in "60 km in miles". Its unit is "km" or "miles".
inline std::optional<quantity> read_distance(std::string_view text) {
    const std::string folded = lower(text);
    const auto tokens = tokenize(folded, 64);
    const auto is_metric = [](std::string_view word) { return one_of(word, {"km", "kilometres", "kilometers"}); };
    const auto is_mile = [](std::string_view word) { return one_of(word, {"mile", "miles"}); };
    for (quantity q : quantities(text)) {
        if (!is_metric(q.unit) && !is_mile(q.unit)) continue;
        q.unit = is_metric(q.unit) ? "km" : "miles";
        for (std::size_t i = 1; i < tokens.size(); ++i)
            if (one_of(tokens[i - 1], {"in", "to", "into"}) &&
                (q.unit == "km" ? is_mile(tokens[i]) : is_metric(tokens[i])))
                return q;
    }
    return std::nullopt;
}

inline std::string convert(const quantity& distance) {
    constexpr double kilometres_per_mile = 1.609344; // by definition, since 1959
    const std::string given = plain_number(distance.value, 6);
    if (distance.unit == "km")
        return given + " km = " + plain_number(distance.value / kilometres_per_mile, 2) + " miles.";
    return given + " miles = " + plain_number(distance.value * kilometres_per_mile, 2) + " km.";
}

/// The arithmetic expression in a message: "12 / (3 - 3)" in "What is 12 / (3 - 3)?"
inline std::optional<std::string> read_expression(std::string_view text) {
    constexpr std::string_view digits = "0123456789", allowed = "0123456789+-*/(). ";
    const std::size_t digit = text.find_first_of(digits);
    if (digit == std::string_view::npos) return std::nullopt;
    const std::size_t begin = text.find_last_not_of(allowed, digit) + 1; // 0 if everything before it is allowed
    const std::size_t end = std::min(text.find_first_not_of(allowed, digit), text.size());
    std::string_view sum = text.substr(begin, end - begin);
    sum = sum.substr(0, sum.find_last_not_of(". ") + 1);
    sum.remove_prefix(std::min(sum.find_first_not_of(' '), sum.size()));
    if (sum.find_first_of("+-*/") == std::string_view::npos) return std::nullopt;

    std::string before = lower(text.substr(0, begin));
    before.erase(before.find_last_not_of(" :") + 1);
    if (before.ends_with("calculate")) return std::string{sum};
    const bool asked = before.empty() || before.ends_with("what is") || before.ends_with("how much is");
    const bool last = text.find_first_not_of("?!=. ", end) == std::string_view::npos;
    return asked && last ? std::optional{std::string{sum}} : std::nullopt;
}

/// The tool that `message` requires, if any.
inline std::optional<tool_call> choose_tool(std::string_view message) {
    if (const auto sum = read_expression(message)) return tool_call{"calculate", *sum};
    if (const auto far = read_distance(message))
        return tool_call{"convert",
                         plain_number(far->value, 6) + (far->unit == "km" ? " km in miles" : " miles in km")};
    bool price = false, riding = false;
    for (const std::string& word : topic_words(message)) {
        if (one_of(word, {"paus", "pass"})) return std::nullopt; // the articles answer these
        price = price || one_of(word, {"cost", "pric", "pay", "charg", "fare", "expensiv"});
        riding = riding || one_of(word, {"rid", "ride", "trip", "bik", "bike", "ebik", "cargo", "classic"});
    }
    price = price || lower(message).find("how much") != std::string::npos;
    if (!price || !riding) return std::nullopt;
    if (const auto asked = read_ride(message)) return tool_call{"price", asked->text()};
    return std::nullopt;
}

/// The output of the tool. Throws std::invalid_argument for an unknown tool or an invalid argument, and what
/// calculator::evaluate and price_of throw.
inline std::string run_tool(const tool_call& call) {
    if (call.name == "calculate")
        return call.argument + " = " + plain_number(calculator::evaluate(call.argument), 6) + ".";
    if (call.name == "price")
        if (const auto asked = read_ride(call.argument)) return price_of(*asked);
    if (call.name == "convert")
        if (const auto asked = read_distance(call.argument)) return convert(*asked);
    throw std::invalid_argument("tool " + call.name + " cannot handle \"" + call.argument + '"');
}

} // namespace chat
