// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/values/json_value.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bitset>
#include <chrono>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <exception>
#include <filesystem>
#include <forward_list>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <ranges>
#include <set>
#include <source_location>
#include <span>
#include <stack>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::string_literals;
using namespace std::string_view_literals;

template <class T>
std::string json(const T& value) {
    mt::detail::buffer out;
    EXPECT_TRUE(mt::append_json(out, value));
    return std::string(out.view());
}

// U+FFFD.
constexpr auto replaced = "\xEF\xBF\xBD"sv;

enum class state : std::uint8_t { open, closed };
enum class colour : std::uint8_t { red, green };
std::string_view to_string(colour value) { return value == colour::red ? "red" : "green"; }
enum class letter : char { a = 'a' };

struct tree : std::vector<tree> {};

struct case_blind {
    static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
    bool operator()(const std::string& a, const std::string& b) const {
        return std::ranges::lexicographical_compare(a, b, {}, lower, lower);
    }
};

// What std::expected and mt::result are.
struct expected {
    std::optional<int> result;
    [[nodiscard]] bool has_value() const { return result.has_value(); }
    const int& operator*() const { return *result; }
    [[nodiscard]] std::string error() const { return "timed out"; }
};

TEST(json_value, numbers) {
    EXPECT_EQ(json(true), "true");
    EXPECT_EQ(json(nullptr), "null");
    EXPECT_EQ(json(std::int8_t{-5}), "-5");
    EXPECT_EQ(json(std::uint8_t{200}), "200");
    EXPECT_EQ(json(static_cast<signed char>('a')), "97") << "int8_t";
    EXPECT_EQ(json(std::byte{255}), "255");
    EXPECT_EQ(json(1.5F), "1.5");
    EXPECT_EQ(json(2.5L), "2.5");
    EXPECT_EQ(json(std::numeric_limits<double>::infinity()), "null");
    EXPECT_EQ(json(std::numeric_limits<std::uint64_t>::max()), R"("18446744073709551615")");
    EXPECT_EQ(json(std::complex<double>(1, -2)), "[1.0,-2.0]");
}

TEST(json_value, integers_of_128_bits_are_whole) {
    using mt::detail::int128;
    using mt::detail::uint128;
    EXPECT_EQ(json(int128{-7}), "-7");
    EXPECT_EQ(json(uint128{7}), "7");
    EXPECT_EQ(json(int128{std::numeric_limits<std::int64_t>::min()}), "-9223372036854775808");
    EXPECT_EQ(json(int128{std::numeric_limits<std::int64_t>::min()} - 1), R"("-9223372036854775809")");
    EXPECT_EQ(json(uint128{1} << 63), R"("9223372036854775808")");
    EXPECT_EQ(json(~uint128{0}), R"("340282366920938463463374607431768211455")");
    const int128 least = -(int128{1} << 126) * 2;
    EXPECT_EQ(json(least), R"("-170141183460469231731687303715884105728")");
}

TEST(json_value, enums_by_their_name_where_they_have_one) {
    EXPECT_EQ(json(state::closed), "1");
    EXPECT_EQ(json(colour::green), R"("green")");
    EXPECT_EQ(json(letter::a), "97");
    EXPECT_EQ(json(std::map<colour, int>{{colour::red, 1}}), R"({"red":1})");
    EXPECT_EQ(json(std::map<state, int>{{state::closed, 2}}), R"({"1":2})");
}

TEST(json_value, text_in_every_encoding) {
    constexpr auto utf8 = "\"gr\xC3\xBCn \xE2\x82\xAC \xF0\x9F\x98\x80\""sv;
    EXPECT_EQ(json("gr\xC3\xBCn \xE2\x82\xAC \xF0\x9F\x98\x80"), utf8);
    EXPECT_EQ(json(u8"grün € 😀"), utf8);
    EXPECT_EQ(json(u8"grün € 😀"s), utf8);
    EXPECT_EQ(json(u8"grün € 😀"sv), utf8);
    EXPECT_EQ(json(u"grün € 😀"), utf8);
    EXPECT_EQ(json(u"grün € 😀"s), utf8);
    EXPECT_EQ(json(u"grün € 😀"sv), utf8);
    EXPECT_EQ(json(U"grün € 😀"s), utf8);
    EXPECT_EQ(json(U"grün € 😀"sv), utf8);
    EXPECT_EQ(json(L"grün € 😀"), utf8);
    EXPECT_EQ(json(L"grün € 😀"s), utf8);
    EXPECT_EQ(json(L"grün € 😀"sv), utf8);
    const wchar_t* const wide = L"grün € 😀";
    EXPECT_EQ(json(wide), utf8);
    const char8_t* const bytes = u8"grün € 😀";
    EXPECT_EQ(json(bytes), utf8);
    const char16_t* const none = nullptr;
    EXPECT_EQ(json(none), "null");
    EXPECT_EQ(json(static_cast<const char*>(nullptr)), "null");
    EXPECT_EQ(json(std::map<std::u16string, int>{{u"grün", 1}}), "{\"gr\xC3\xBCn\":1}");
}

TEST(json_value, single_characters_are_text) {
    EXPECT_EQ(json('c'), R"("c")");
    EXPECT_EQ(json(u8'c'), R"("c")");
    EXPECT_EQ(json(u'€'), "\"\xE2\x82\xAC\"");
    EXPECT_EQ(json(U'😀'), "\"\xF0\x9F\x98\x80\"");
    EXPECT_EQ(json(L'€'), "\"\xE2\x82\xAC\"");
}

TEST(json_value, units_that_are_no_text_are_replaced) {
    const auto between = [](std::string_view middle) { return "\"a" + std::string(middle) + "z\""; };
    EXPECT_EQ(json("a\xFFz"), between(replaced));
    EXPECT_EQ(json(std::u8string{u'a', char8_t{0xFF}, u'z'}), between(replaced));
    EXPECT_EQ(json(std::u16string{u'a', char16_t{0xD83D}, u'z'}), between(replaced)) << "a high surrogate alone";
    EXPECT_EQ(json(std::u16string{u'a', char16_t{0xDE00}, u'z'}), between(replaced)) << "a low one";
    EXPECT_EQ(json(std::u16string{char16_t{0xD83D}}), "\"" + std::string(replaced) + "\"") << "the text ends";
    const std::u16string two_high{char16_t{0xD83D}, char16_t{0xD83D}, char16_t{0xDE00}};
    EXPECT_EQ(json(two_high), "\"" + std::string(replaced) + "\xF0\x9F\x98\x80\"");
    EXPECT_EQ(json(std::u32string{U'a', char32_t{0x110000}, U'z'}), between(replaced));
    EXPECT_EQ(json(std::u32string{U'a', char32_t{0xD800}, U'z'}), between(replaced));
    EXPECT_EQ(json(std::wstring{L'a', static_cast<wchar_t>(-1), L'z'}), between(replaced));
    EXPECT_EQ(json(char16_t{0xD83D}), "\"" + std::string(replaced) + "\"");
}

// Each code point there is, through both encodings.
TEST(json_value, every_code_point_comes_through) {
    for (std::uint32_t code_point = 0x80; code_point <= 0x10FFFF; ++code_point) {
        if (code_point == 0xD800) code_point = 0xE000;
        char encoded[4];
        const std::string utf8(encoded, mt::detail::encode_utf8(encoded, code_point));
        std::u16string utf16;
        if (code_point < 0x10000) utf16 = {static_cast<char16_t>(code_point)};
        else
            utf16 = {static_cast<char16_t>(0xD800 + ((code_point - 0x10000) >> 10U)),
                     static_cast<char16_t>(0xDC00 + ((code_point - 0x10000) & 0x3FFU))};
        ASSERT_EQ(json(utf16), '"' + utf8 + '"') << code_point;
        ASSERT_EQ(json(static_cast<char32_t>(code_point)), '"' + utf8 + '"') << code_point;
    }
}

TEST(json_value, buffers_of_characters_are_text) {
    EXPECT_EQ(json(std::vector<char>{'h', 'i', '\0'}), "\"hi\\u0000\"");
    EXPECT_EQ(json(std::array<char, 2>{'h', 'i'}), R"("hi")");
    EXPECT_EQ(json(std::span("hi", 2)), R"("hi")");
    EXPECT_EQ(json(std::deque<char>{'\xC3', '\xBC'}), "\"\xC3\xBC\"");
    EXPECT_EQ(json(std::list<char16_t>{u'h', u'i'}), R"("hi")");
    EXPECT_EQ(json(std::vector<std::uint8_t>{1, 2}), "[1,2]") << "bytes are numbers";
    EXPECT_EQ(json(std::vector<std::byte>{std::byte{1}, std::byte{2}}), "[1,2]");
}

TEST(json_value, paths_are_text) {
    EXPECT_EQ(json(std::filesystem::path("/tmp/a b.txt")), R"("/tmp/a b.txt")");
    EXPECT_EQ(json(std::filesystem::path("a\xFFz")), "\"a" + std::string(replaced) + "z\"");
    EXPECT_EQ(json(std::vector<std::filesystem::path>{"a", "b"}), R"(["a","b"])");
    EXPECT_EQ(json(std::map<std::filesystem::path, int>{{"a", 1}}), R"({"a":1})");
}

TEST(json_value, a_key_that_stands_more_than_once_keeps_all_its_values) {
    EXPECT_EQ(json(std::multimap<std::string, int>{{"a", 1}, {"b", 3}, {"a", 2}}), R"({"a":[1,2],"b":[3]})");
    EXPECT_EQ(json(std::multimap<int, bool>{{1, true}, {1, false}}), R"({"1":[true,false]})");
    const std::unordered_multimap<std::string, int> unordered{{"a", 1}, {"a", 1}, {"a", 1}};
    EXPECT_EQ(json(unordered), R"({"a":[1,1,1]})");
    const std::multimap<std::string, int, case_blind> headers{{"Via", 1}, {"via", 2}, {"Via", 3}};
    EXPECT_EQ(json(headers), R"({"Via":[1,2,3]})");
    EXPECT_EQ(json(std::multimap<std::string, int>{}), "{}");
}

TEST(json_value, maps) {
    EXPECT_EQ(json(std::map<std::string, int>{{"a", 1}}), R"({"a":1})");
    EXPECT_EQ(json(std::unordered_map<std::string, int>{{"a", 1}}), R"({"a":1})");
    EXPECT_EQ(json(std::map<int, std::string>{{-1, "a"}, {2, "b"}}), R"({"-1":"a","2":"b"})");
    EXPECT_EQ(json(std::map<std::pair<int, int>, int>{{{1, 2}, 3}}), "[[[1,2],3]]") << "pairs: no name for a member";
    EXPECT_EQ(json(std::map<double, int>{{1.5, 2}}), "[[1.5,2]]");
    EXPECT_EQ(json(std::map<bool, int>{{true, 2}}), "[[true,2]]");
}

TEST(json_value, containers_and_views) {
    EXPECT_EQ(json(std::vector<bool>{true, false}), "[true,false]");
    EXPECT_EQ(json(std::set<int>{2, 1}), "[1,2]");
    EXPECT_EQ(json(std::multiset<int>{1, 1}), "[1,1]");
    EXPECT_EQ(json(std::forward_list<int>{1, 2}), "[1,2]");
    EXPECT_EQ(json(std::initializer_list<int>{1, 2}), "[1,2]");
    const int matrix[2][2] = {{1, 2}, {3, 4}};
    EXPECT_EQ(json(matrix), "[[1,2],[3,4]]");
    EXPECT_EQ(json(std::map<std::string, std::vector<std::optional<int>>>{{"a", {1, std::nullopt}}}),
              R"({"a":[1,null]})");
}

#if !defined(__clang__) || __clang_major__ >= 16 // before, it does not take the views of libstdc++
TEST(json_value, views) {
    const std::vector numbers{1, 2, 3, 4};
    EXPECT_EQ(json(numbers | std::views::transform([](int n) { return n * n; })), "[1,4,9,16]");
    EXPECT_EQ(json(numbers | std::views::filter([](int n) { return n % 2 == 0; })), "[2,4]");
    EXPECT_EQ(json(std::views::iota(1) | std::views::take(3)), "[1,2,3]");
    const std::map<std::string, int> map{{"a", 1}, {"b", 2}};
    EXPECT_EQ(json(map | std::views::keys), R"(["a","b"])");
    EXPECT_EQ(json("a,b"sv | std::views::split(',')), R"(["a","b"])");
    EXPECT_EQ(json(std::views::reverse("ih"sv)), R"("hi")");
    const auto small = "hIi"sv | std::views::filter([](char c) { return c >= 'a'; });
    EXPECT_EQ(json(small), R"("hi")");
}
#endif

TEST(json_value, adapters_show_what_they_hold) {
    std::stack<int> stack;
    std::queue<int> queue;
    std::priority_queue<int> urgent;
    for (const int n : {1, 2, 3}) stack.push(n), queue.push(n), urgent.push(n);
    EXPECT_EQ(json(stack), "[1,2,3]") << "the top is last";
    EXPECT_EQ(json(queue), "[1,2,3]") << "the front is first";
    EXPECT_EQ(json(urgent), "[3,1,2]") << "a heap";
}

TEST(json_value, pairs_and_tuples_are_arrays) {
    EXPECT_EQ(json(std::pair(1, "a")), R"([1,"a"])");
    EXPECT_EQ(json(std::tuple(1, 2.5, std::optional<int>())), "[1,2.5,null]");
    EXPECT_EQ(json(std::tuple<>()), "[]");
}

TEST(json_value, what_holds_or_names_another_value_is_that_value) {
    EXPECT_EQ(json(std::optional<std::optional<int>>(1)), "1");
    EXPECT_EQ(json(std::optional<int>()), "null");
    EXPECT_EQ(json(std::nullopt), "null");
    EXPECT_EQ(json(std::monostate()), "null");
    EXPECT_EQ(json(std::make_unique<int>(7)), "7");
    EXPECT_EQ(json(std::make_shared<std::string>("a")), R"("a")");
    EXPECT_EQ(json(std::shared_ptr<int>()), "null");
    EXPECT_EQ(json(std::vector<std::shared_ptr<int>>{std::make_shared<int>(1), nullptr}), "[1,null]");
    int number = 5;
    std::string text = "a";
    EXPECT_EQ(json(std::ref(number)), "5");
    EXPECT_EQ(json(std::cref(text)), R"("a")");
    const std::atomic<int> counter = 3;
    EXPECT_EQ(json(counter), "3");
    using any_of = std::variant<std::monostate, int, std::string, std::vector<int>>;
    EXPECT_EQ(json(std::vector<any_of>{any_of{}, any_of{1}, any_of{"a"s}, any_of{std::vector{1, 2}}}),
              R"([null,1,"a",[1,2]])");
    EXPECT_EQ(json([] { return std::vector{1, 2}; }), "[1,2]");
    EXPECT_EQ(json(std::function([] { return 1; })), "1");
    EXPECT_EQ(json(std::integral_constant<int, 4>()), "4");
}

TEST(json_value, an_error_in_the_place_of_a_value_is_seen) {
    EXPECT_EQ(json(expected{1}), "1");
    EXPECT_EQ(json(expected{}), R"({"error":"timed out"})");
    const auto code = std::make_error_code(std::errc::no_such_file_or_directory);
    EXPECT_EQ(json(code), R"({"category":"generic","value":2,"message":"No such file or directory"})");
    EXPECT_EQ(json(std::error_code().default_error_condition()),
              R"({"category":"generic","value":0,"message":"Success"})");
    EXPECT_EQ(json(std::exception_ptr()), "null");
    EXPECT_EQ(json(std::vector<std::exception_ptr>(1)), "[null]");
#if defined(__cpp_rtti)
    EXPECT_EQ(json(std::out_of_range("index 7")), R"("std::out_of_range: index 7")");
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    EXPECT_EQ(json(std::make_exception_ptr(std::runtime_error("away"))), R"("std::runtime_error: away")");
    EXPECT_EQ(json(std::make_exception_ptr(5)), R"("int")");
#endif
#endif
}

TEST(json_value, durations_have_their_unit) {
    using namespace std::chrono_literals;
    EXPECT_EQ(json(1500ms), R"("1500ms")");
    EXPECT_EQ(json(-3us), R"("-3us")");
    EXPECT_EQ(json(5ns), R"("5ns")");
    EXPECT_EQ(json(2h), R"("2h")");
    EXPECT_EQ(json(2min), R"("2min")");
    EXPECT_EQ(json(std::chrono::days(3)), R"("3d")");
    EXPECT_EQ(json(std::chrono::duration<double>(0.25)), R"("0.25s")");
    EXPECT_EQ(json(std::chrono::duration<int, std::ratio<1, 30>>(7)), R"("7[1/30]s")");
    EXPECT_EQ(json(std::chrono::weeks(1)), R"("1[604800]s")");
    EXPECT_EQ(json(std::chrono::duration<double>(std::numeric_limits<double>::infinity())), R"("infs")");
}

TEST(json_value, times_are_rfc_3339) {
    using namespace std::chrono;
    using namespace std::chrono_literals;
    const sys_seconds time = sys_days(2024y / February / 29) + 4h + 3min + 42s;
    EXPECT_EQ(json(time), R"("2024-02-29T04:03:42Z")");
    EXPECT_EQ(json(time + 71ms), R"("2024-02-29T04:03:42.071Z")");
    EXPECT_EQ(json(time + 1ns), R"("2024-02-29T04:03:42.000000001Z")");
    EXPECT_EQ(json(sys_days(1600y / March / 1)), R"("1600-03-01")");
    EXPECT_EQ(json(sys_seconds(-1s)), R"("1969-12-31T23:59:59Z")");
    EXPECT_EQ(json(sys_time<milliseconds>(-1ms)), R"("1969-12-31T23:59:59.999Z")");
    using thirtieth = duration<std::int64_t, std::ratio<1, 30>>;
    EXPECT_EQ(json(time_point<system_clock, thirtieth>(thirtieth(31))), R"("1970-01-01T00:00:01.033333333Z")");
    EXPECT_EQ(json(sys_days(year(-5) / March / 1)), R"("-0005-03-01")");
    EXPECT_EQ(json(sys_days(20000y / March / 1)), R"("20000-03-01")");
    for (sys_days day = 1583y / January / 1; day < 2600y / January / 1; day += days(1)) {
        const year_month_day date = day;
        char expected_text[32];
        std::snprintf(expected_text, sizeof expected_text, "\"%04d-%02u-%02u\"", int(date.year()),
                      unsigned(date.month()), unsigned(date.day()));
        ASSERT_EQ(json(day), expected_text);
    }
}

TEST(json_value, the_time_of_a_file) {
    using namespace std::chrono;
    const auto time = file_clock::from_sys(sys_time<nanoseconds>(sys_days(year(2024) / 2 / 29)));
    EXPECT_EQ(json(time).substr(0, 11), "\"2024-02-29");
}

TEST(json_value, bits_places_and_trees) {
    EXPECT_EQ(json(std::bitset<5>(0b01101)), R"("01101")");
#if defined(__cpp_lib_source_location)
    const auto here = std::source_location::current();
    EXPECT_NE(json(here).find("json_value_test.cpp\",\"line\":"), std::string::npos);
#endif
    tree of_three;
    of_three.resize(2);
    of_three[1].resize(1);
    EXPECT_EQ(json(of_three), "[[],[[]]]");
}

} // namespace
