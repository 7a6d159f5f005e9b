// SPDX-License-Identifier: Apache-2.0
#include "support/limited_buffer.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_writer.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace detail = mlflow::trace::detail;
using namespace std::string_literals;
using namespace std::string_view_literals;

template <class Write>
std::string written(Write write) {
    detail::buffer out;
    EXPECT_TRUE(write(out));
    return std::string(out.view());
}

// From memory of its own, so that a sanitizer sees a read past the end.
std::string json(std::string_view text) {
    const std::vector<char> bytes(text.begin(), text.end());
    return written([&](auto& out) { return detail::append_json_string(out, {bytes.data(), bytes.size()}); });
}

// The same by the rules of RFC 8259, one code point at a time.
std::string plainly(std::string_view text) {
    std::string out = "\"";
    while (!text.empty()) {
        const detail::utf8_step step = detail::decode_utf8(text);
        const char c = text[0];
        const auto named = "\"\"\\\\\bb\tt\nn\ff\rr"sv;
        std::size_t at = 0;
        while (at < named.size() && named[at] != c) at += 2;
        if (at < named.size()) out += {'\\', named[at + 1]};
        else if (step.code_point < 0x20) out += "\\u00"s + "01"[c / 16] + "0123456789abcdef"[c % 16];
        else out += step.valid ? text.substr(0, step.length) : "\xEF\xBF\xBD"sv;
        text.remove_prefix(step.length);
    }
    return out + '"';
}

TEST(json_writer, escapes_what_json_requires_and_nothing_else) {
    EXPECT_EQ(json(""), R"("")");
    EXPECT_EQ(json("plain / text\x7F"), "\"plain / text\x7F\"");
    EXPECT_EQ(json("say \"no\" \\ \b\t\n\f\r"), R"("say \"no\" \\ \b\t\n\f\r")");
    EXPECT_EQ(json("\0\x01\x1F"sv), R"("\u0000\u0001\u001f")");
    EXPECT_EQ(json("gr\xC3\xBCn \xE2\x82\xAC \xF0\x9F\x98\x80"), "\"gr\xC3\xBCn \xE2\x82\xAC \xF0\x9F\x98\x80\"");
    EXPECT_EQ(json("a\xFFz\xE2\x82"), "\"a\xEF\xBF\xBDz\xEF\xBF\xBD\"");
}

TEST(json_writer, every_special_at_every_offset_of_every_length) {
    for (const auto special : {"\""sv, "\\"sv, "\n"sv, "\0"sv, "\x1F"sv, "\xC3\xBC"sv, "\xE2\x82\xAC"sv,
                               "\xF0\x9F\x98\x80"sv, "\xFF"sv, "\xF0\x9F\x98"sv, "\xED\xA0\x80"sv}) {
        for (std::size_t size = 0; size <= 140; ++size) {
            const std::size_t stride = size < 70 ? 1 : 3;
            for (std::size_t at = 0; at <= size; at += stride) {
                const std::string text = std::string(at, 'a') + std::string(special) + std::string(size - at, 'z');
                ASSERT_EQ(json(text), plainly(text)) << size << ' ' << at;
            }
        }
    }
}

TEST(json_writer, any_bytes_at_any_density) {
    constexpr std::string_view pieces[]{
        "\""sv,   "\\"sv,       "\n"sv,           "\x01"sv, "\xC3\xBC"sv, "\xE4\xB8\xAD"sv, "\xF0\x9F\x98\x80"sv,
        "\xC3"sv, "\xE4\xB8"sv, "\xF0\x9F\x98"sv, "\xFF"sv, "\x80"sv,     "\x7F"sv,         "\0"sv};
    std::mt19937 random(1);
    for (int round = 0; round < 20000; ++round) {
        const std::size_t one_in = 1 + random() % 30;
        const std::size_t size = random() % 300;
        std::string text;
        while (text.size() < size) {
            if (random() % one_in != 0) text += static_cast<char>('a' + random() % 26);
            else text += pieces[random() % std::size(pieces)];
        }
        ASSERT_EQ(json(text), plainly(text)) << round;
    }
}

TEST(json_writer, appends_after_what_is_there) {
    detail::buffer out;
    ASSERT_TRUE(detail::append_json_chars(out, "a\n"));
    ASSERT_TRUE(detail::append_json_string(out, "b"));
    EXPECT_EQ(out.view(), R"(a\n"b")");
}

TEST(json_writer, does_not_reserve_for_escapes_that_are_not_there) {
    detail::buffer out;
    ASSERT_TRUE(detail::append_json_string(out, std::string(1U << 20U, 'a')));
    EXPECT_LE(out.capacity(), 3U << 20U);
}

TEST(json_writer, needs_exactly_the_room_of_the_text_and_never_writes_past_it) {
    for (const std::string& text :
         {""s, "short"s, std::string(100, 'a'), std::string(40, '\n'), std::string(63, '\x01'),
          std::string(200, '\x01'), std::string(70, '\xFF'),
          "gr\xC3\xBCn \"\\\x02 \xE2\x82\xAC\xE2\x82 and more than one block of 32 bytes, or even two"s}) {
        const std::string whole = plainly(text);
        const auto write = [&](auto& out) { return detail::append_json_string(out, text); };
        EXPECT_EQ(test::first_capacity_that_fits(whole, write), whole.size());
        for (std::size_t spare = 1; spare < 600; ++spare) {
            test::limited_buffer out(whole.size() + spare);
            EXPECT_TRUE(write(out));
            EXPECT_EQ(out.view(), whole);
        }
    }
}

TEST(json_writer, integers) {
    const auto integer = [](std::int64_t value) {
        return written([=](auto& out) { return detail::append_json_int(out, value); });
    };
    const auto natural = [](std::uint64_t value) {
        return written([=](auto& out) { return detail::append_json_uint(out, value); });
    };
    EXPECT_EQ(integer(0), "0");
    EXPECT_EQ(integer(-7), "-7");
    EXPECT_EQ(integer(std::numeric_limits<std::int64_t>::min()), "-9223372036854775808");
    EXPECT_EQ(integer(std::numeric_limits<std::int64_t>::max()), "9223372036854775807");
    EXPECT_EQ(natural(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
    for (std::uint64_t power = 1; power < 1000000000000000000U; power *= 10) {
        for (const std::uint64_t value : {power - 1, power, power + 1}) {
            EXPECT_EQ(natural(value), std::to_string(value));
            EXPECT_EQ(integer(-static_cast<std::int64_t>(value)), std::to_string(-static_cast<std::int64_t>(value)));
        }
    }
    EXPECT_EQ(test::first_capacity_that_fits("-1042", [](auto& out) { return detail::append_json_int(out, -1042); }),
              5U);
}

TEST(json_writer, literals) {
    EXPECT_EQ(written([](auto& out) { return detail::append_json_bool(out, true); }), "true");
    EXPECT_EQ(written([](auto& out) { return detail::append_json_bool(out, false); }), "false");
    EXPECT_EQ(written([](auto& out) { return detail::append_json_null(out); }), "null");
}

} // namespace
