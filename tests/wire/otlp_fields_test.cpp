// SPDX-License-Identifier: Apache-2.0
// Short attributes are written by copies that overlap. Keys and texts of every size are read back, with a character
// outside ASCII, and with invalid UTF-8, at every offset.
#include "../support/text_at_the_end.hpp"
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/spans/span_writer.hpp>
#include <mlflow/trace/wire/key_values.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
namespace d = mt::detail;

using support::text_at_the_end;

// The only field of the buffer, which must be an attribute, as key and text.
std::pair<std::string, std::string> read_back(const d::buffer& written) {
    d::protobuf_reader at(written.view());
    EXPECT_TRUE(at.next());
    EXPECT_EQ(at.field(), d::otlp::attributes);
    const auto [key, text] = d::text_attribute(at.bytes());
    EXPECT_FALSE(at.next());
    EXPECT_FALSE(at.failed());
    return {std::string(key), std::string(text)};
}

std::pair<std::string, std::string> recorded(std::string_view key, std::string_view text) {
    const text_at_the_end own_key(key);
    const text_at_the_end own_text(text);
    d::recording_buffer out;
    bool json_like = false;
    EXPECT_TRUE(d::append_attribute(out, d::otlp::attributes, own_key.view(), own_text.view(), json_like));
    const auto found = read_back(out);

    d::recording_buffer fast;
    const bool is_short = d::append_short_attribute(fast, d::short_key(own_key.view()), own_text.view(), json_like);
    EXPECT_EQ(fast.empty(), !is_short);
    if (is_short) {
        EXPECT_EQ(fast.view(), out.view());
    }
    return found;
}

TEST(otlp_fields, keys_and_texts_of_every_size_are_read_back) {
    for (std::size_t key_size = 1; key_size < 140; ++key_size)
        for (std::size_t size = 0; size < 140; ++size) {
            std::string key(key_size, 'k');
            std::string text(size, 't');
            for (std::size_t i = 0; i < key_size; ++i) key[i] = static_cast<char>('a' + i % 26);
            for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('A' + i % 26);
            ASSERT_EQ(recorded(key, text), std::pair(key, text));
        }
}

TEST(otlp_fields, what_is_not_ascii_is_found_at_every_offset) {
    for (std::size_t size = 1; size < 130; ++size)
        for (std::size_t at = 0; at < size; ++at) {
            std::string invalid(size, 'x');
            invalid[at] = '\xff';
            const std::string replaced = std::string(at, 'x') + "\xEF\xBF\xBD" + std::string(size - at - 1, 'x');
            const std::string valid = std::string(at, 'x') + "\xC3\xA9" + std::string(size - at - 1, 'x');
            ASSERT_EQ(recorded("key", invalid), std::pair(std::string("key"), replaced));
            ASSERT_EQ(recorded(invalid, "text"), std::pair(replaced, std::string("text")));
            ASSERT_EQ(recorded(valid, valid), std::pair(valid, valid));
        }
}

TEST(otlp_fields, numbers_are_the_same_by_every_way) {
    for (const std::size_t size : {1U, 7U, 8U, 15U, 16U, 17U, 63U, 64U, 65U, 100U, 120U, 140U})
        for (const std::int64_t value :
             {std::int64_t{0}, std::int64_t{127}, std::int64_t{128}, std::int64_t{-1},
              std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()}) {
            const auto same = [&](const auto& number) {
                const std::string key(size, 'k');
                d::recording_buffer out;
                d::recording_buffer fast;
                bool json_like = false;
                ASSERT_TRUE(d::append_attribute(out, d::otlp::attributes, key, number, json_like));
                const bool is_short = d::append_short_attribute(fast, d::short_key(key), number, json_like);
                ASSERT_EQ(is_short, size <= d::longest_encoded_key);
                if (is_short) {
                    ASSERT_EQ(fast.view(), out.view());
                }
            };
            same(value);
            same(static_cast<double>(value));
            same(value != 0);
        }
}

} // namespace
