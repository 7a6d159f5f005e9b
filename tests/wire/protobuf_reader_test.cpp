// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace detail = mlflow::trace::detail;
using detail::protobuf_reader;
using detail::wire_type;
using namespace std::string_literals;
using namespace std::string_view_literals;

// In memory of its own, so that a sanitizer sees a read past the end.
bool well_formed(std::string_view message) {
    const std::vector<char> bytes(message.begin(), message.end());
    protobuf_reader at({bytes.data(), bytes.size()});
    while (at.next()) {
    }
    return !at.failed();
}

TEST(protobuf_reader, reads_each_wire_type) {
    const auto message = "\x08\x96\x01"
                         "\x12\x02hi"
                         "\x1d\x01\x02\x03\x84"
                         "\x21\x01\x02\x03\x04\x05\x06\x07\x88"
                         "\xfa\xff\xff\xff\x0f\x00"sv;
    protobuf_reader at(message);
    ASSERT_TRUE(at.next());
    EXPECT_EQ(at.field(), 1U);
    EXPECT_EQ(at.type(), wire_type::varint);
    EXPECT_EQ(at.number(), 150U);
    EXPECT_EQ(at.raw(), "\x08\x96\x01"sv);
    ASSERT_TRUE(at.next());
    EXPECT_EQ(at.field(), 2U);
    EXPECT_EQ(at.type(), wire_type::length_delimited);
    EXPECT_EQ(at.bytes(), "hi");
    EXPECT_EQ(at.number(), 0U);
    ASSERT_TRUE(at.next());
    EXPECT_EQ(at.type(), wire_type::fixed32);
    EXPECT_EQ(at.number(), 0x84030201U);
    EXPECT_EQ(at.bytes(), "");
    ASSERT_TRUE(at.next());
    EXPECT_EQ(at.type(), wire_type::fixed64);
    EXPECT_EQ(at.number(), 0x8807060504030201U);
    ASSERT_TRUE(at.next());
    EXPECT_EQ(at.field(), 0x1fffffffU);
    EXPECT_EQ(at.bytes(), "");
    EXPECT_FALSE(at.next());
    EXPECT_FALSE(at.failed());
}

TEST(protobuf_reader, varints_have_up_to_ten_bytes_and_may_be_over_long) {
    const auto number = [](std::string_view varint) {
        const std::string message = "\x08" + std::string(varint);
        protobuf_reader at(message);
        EXPECT_TRUE(at.next());
        return at.number();
    };
    EXPECT_EQ(number("\x00"sv), 0U);
    EXPECT_EQ(number("\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00"sv), 1U);
    EXPECT_EQ(number("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), UINT64_MAX);
    EXPECT_FALSE(well_formed("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"sv));
    EXPECT_TRUE(well_formed("\x8a\x80\x80\x00\x83\x80\x80\x00"
                            "abc"sv));
}

TEST(protobuf_reader, refuses_what_is_malformed) {
    EXPECT_TRUE(well_formed(""));
    EXPECT_FALSE(well_formed("\x00\x00"sv)) << "field 0";
    EXPECT_FALSE(well_formed("\x80\x80\x80\x80\x10\x00"sv)) << "a field number over 29 bits";
    for (const char tag : {'\x0b', '\x0c', '\x0e', '\x0f'}) EXPECT_FALSE(well_formed(tag + "\0\0\0"s)) << int{tag};
    EXPECT_FALSE(well_formed("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
                             "abc"sv));
    for (const auto whole : {"\x08\x96\x01"sv, "\x12\x02hi"sv, "\x1d\x01\x02\x03\x84"sv,
                             "\x21\x01\x02\x03\x04\x05\x06\x07\x88"sv, "\xfa\x01\x01x"sv}) {
        EXPECT_TRUE(well_formed(whole));
        for (std::size_t size = 1; size < whole.size(); ++size) EXPECT_FALSE(well_formed(whole.substr(0, size)));
    }
}

TEST(protobuf_reader, stays_where_it_failed) {
    protobuf_reader at("\x0a\x05only"sv);
    EXPECT_FALSE(at.next());
    EXPECT_TRUE(at.failed());
    EXPECT_FALSE(at.next());
    EXPECT_EQ(at.bytes(), "");
    EXPECT_EQ(at.raw(), "");
}

} // namespace
