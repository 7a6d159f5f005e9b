// SPDX-License-Identifier: Apache-2.0
#include "support/limited_buffer.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace detail = mlflow::trace::detail;
using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr std::size_t npos = detail::utf8_scan::npos;

static_assert(detail::scan_utf8("user-1042").code_points == 9);
static_assert(detail::scan_utf8("gr\xC3\xBC\xC3\x9F"
                                "e")
                  .code_points == 5);
static_assert(detail::scan_utf8("a\nb").control_at == 1);
static_assert(detail::scan_utf8("ab\xFF").invalid_at == 2);

std::string encode(std::uint32_t code_point) {
    const auto byte = [](std::uint32_t value) { return static_cast<char>(value); };
    const auto tail = [&](unsigned shift) { return byte(0x80 | ((code_point >> shift) & 0x3F)); };
    if (code_point < 0x80) return {byte(code_point)};
    if (code_point < 0x800) return {byte(0xC0 | code_point >> 6), tail(0)};
    if (code_point < 0x10000) return {byte(0xE0 | code_point >> 12), tail(6), tail(0)};
    return {byte(0xF0 | code_point >> 18), tail(12), tail(6), tail(0)};
}

std::string replaced(std::string_view text) {
    detail::buffer out;
    EXPECT_TRUE(detail::append_utf8(out, text));
    return std::string(out.view());
}

TEST(utf8, accepts_exactly_the_scalar_values) {
    for (std::uint32_t code_point = 0; code_point < 0x200000; ++code_point) {
        const bool valid = code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
        const bool control = code_point < 0x20 || (code_point >= 0x7F && code_point <= 0x9F);
        const std::string text = encode(code_point);
        const detail::utf8_scan scan = detail::scan_utf8(text);
        ASSERT_EQ(scan.invalid_at, valid ? npos : 0) << code_point;
        ASSERT_EQ(scan.control_at, control ? 0 : npos) << code_point;
        ASSERT_EQ(detail::is_valid_utf8(text), valid) << code_point;
        if (valid) {
            ASSERT_EQ(scan.code_points, 1U) << code_point;
            ASSERT_EQ(detail::decode_utf8(text).code_point, code_point);
        }
    }
}

TEST(utf8, the_short_way_agrees_with_the_plain_one_on_four_bytes) {
    // Each class of byte that the tables distinguish, in each place.
    constexpr auto bytes = "\x00\x41\x7F\x80\x81\x8F\x90\x9F\xA0\xBF\xC0\xC1\xC2\xDF\xE0\xE1\xEC\xED\xEE\xEF\xF0\xF1"
                           "\xF3\xF4\xF5\xF7\xF8\xFF"sv;
    for (const char a : bytes)
        for (const char b : bytes)
            for (const char c : bytes)
                for (const char d : bytes) {
                    const char text[]{a, b, c, d};
                    const detail::utf8_step step = detail::decode_utf8({text, 4});
                    const std::size_t expected = step.valid && step.length > 1 ? step.length : 0;
                    ASSERT_EQ(detail::utf8_sequence_length(text), expected);
                }
}

TEST(utf8, overlong_forms_are_invalid) {
    for (const auto text : {"\xC0\x80"sv, "\xC1\xBF"sv, "\xE0\x80\x80"sv, "\xE0\x9F\xBF"sv, "\xF0\x80\x80\x80"sv,
                            "\xF0\x8F\xBF\xBF"sv, "\xF8\x88\x80\x80\x80"sv, "\xFE"sv, "\xFF"sv}) {
        EXPECT_FALSE(detail::is_valid_utf8(text));
        EXPECT_EQ(detail::scan_utf8(text).invalid_at, 0U);
    }
}

TEST(utf8, finds_the_first_invalid_byte_and_control_at_every_offset) {
    for (std::size_t at = 0; at < 70; ++at) {
        std::string umlauts(at % 2, 'a');
        while (umlauts.size() < at) umlauts += "\xC3\xBC";
        for (const std::string& before : {std::string(at, 'a'), umlauts}) {
            for (const auto bad : {"\xE2\x82"sv, "\xFF"sv, "\xED\xA0\x80"sv}) {
                for (const std::size_t after : {0U, 1U, 3U, 20U}) {
                    const std::string text = before + std::string(bad) + std::string(after, 'z');
                    const std::vector<char> bytes(text.begin(), text.end()); // a sanitizer sees a read past it
                    EXPECT_FALSE(detail::is_valid_utf8({bytes.data(), bytes.size()}));
                    EXPECT_EQ(detail::valid_utf8_prefix({bytes.data(), bytes.size()}), before.size());
                    EXPECT_EQ(detail::scan_utf8(text).invalid_at, before.size());
                    EXPECT_EQ(detail::scan_utf8(text).control_at, npos);
                }
            }
            EXPECT_TRUE(detail::is_valid_utf8(before));
            for (const auto control : {"\0"sv, "\t"sv, "\x7F"sv, "\xC2\x80"sv, "\xC2\x9F"sv}) {
                const std::string text = before + std::string(control) + "\n";
                EXPECT_EQ(detail::scan_utf8(text).control_at, before.size());
                EXPECT_TRUE(detail::is_valid_utf8(text));
            }
        }
    }
}

// The examples of the Unicode standard 15, section 3.9, tables 3-8 to 3-11.
TEST(utf8, replaces_maximal_subparts) {
    const std::string r = "\xEF\xBF\xBD";
    EXPECT_EQ(replaced("\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41"), r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(replaced("\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41"), r + r + r + r + r + r + r + r + "A");
    EXPECT_EQ(replaced("\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42"), r + r + r + r + r + "A" + r + r + "B");
    EXPECT_EQ(replaced("\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41"), r + r + r + r + "A");
    EXPECT_EQ(replaced("\xF0\x9F\x98"), r);
    EXPECT_EQ(replaced("ok \xE2\x82\xAC"), "ok \xE2\x82\xAC");
    EXPECT_EQ(replaced(""), "");
}

TEST(utf8, stops_when_the_buffer_is_full) {
    const std::string text = "good \xFF bad\xE2\x82"s;
    const std::string whole = replaced(text);
    EXPECT_EQ(test::first_capacity_that_fits(whole, [&](auto& out) { return detail::append_utf8(out, text); }),
              whole.size());
}

} // namespace
