// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/ids.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

TEST(ids, are_written_as_hexadecimal) {
    constexpr mt::trace_id id{0x0123456789abcdef, 0x00000000000000ff};
    static_assert(id.hex().view() == "0123456789abcdef00000000000000ff");
    EXPECT_EQ(id.mlflow_id().view(), "tr-0123456789abcdef00000000000000ff");
    EXPECT_EQ((mt::span_id{0xa0}.hex().view()), "00000000000000a0");
    EXPECT_EQ((mt::span_id{~std::uint64_t{0}}.hex().view()), "ffffffffffffffff");
    const std::string_view converted = id.hex();
    EXPECT_EQ(converted.size(), 32U);
}

TEST(ids, are_valid_unless_all_zero) {
    EXPECT_FALSE(mt::trace_id{}.valid());
    EXPECT_FALSE(mt::span_id{}.valid());
    EXPECT_TRUE((mt::trace_id{0, 1}.valid()));
    EXPECT_TRUE((mt::trace_id{1, 0}.valid()));
    EXPECT_TRUE(mt::span_id{1}.valid());
}

TEST(ids, compare_all_their_bytes) {
    EXPECT_EQ((mt::trace_id{1, 2}), (mt::trace_id{1, 2}));
    EXPECT_NE((mt::trace_id{1, 2}), (mt::trace_id{2, 1}));
    EXPECT_NE(mt::span_id{1}, mt::span_id{2});
    EXPECT_NE((mt::trace_id{1, 2}.hex()), (mt::trace_id{1, 3}.hex()));
}

} // namespace
