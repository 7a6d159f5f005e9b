// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/uuid_v7.hpp>
#include <mlflow/trace/metadata/check.hpp>
#include <mlflow/trace/platform/hosted.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

struct fixed_clock {
    static std::uint64_t wall_nano() noexcept { return 1'645'557'742'000'000'000 + 999'999; }
    static mt::trace_id new_trace_id() noexcept { return {0, ~std::uint64_t{0}}; }
};

// RFC 9562, A.6.
TEST(uuid_v7, is_that_of_the_rfc) {
    EXPECT_EQ(mt::uuid_v7(0x017F22E279B0, 0xCC3, 0x18C4DC0C0C07398F).view(), "017f22e2-79b0-7cc3-98c4-dc0c0c07398f");
}

TEST(uuid_v7, keeps_version_and_variant_whatever_it_is_given) {
    EXPECT_EQ(mt::uuid_v7(0, 0, 0).view(), "00000000-0000-7000-8000-000000000000");
    constexpr std::uint64_t all = ~std::uint64_t{0};
    EXPECT_EQ(mt::uuid_v7(all, all, all).view(), "ffffffff-ffff-7fff-bfff-ffffffffffff");
}

TEST(uuid_v7, has_the_fraction_of_the_millisecond_in_it) {
    EXPECT_EQ(mt::new_uuid_v7<fixed_clock>().view(), "017f22e2-79b0-7fff-bfff-ffffffffffff");
}

TEST(uuid_v7, sorts_by_time_and_is_new_each_time) {
    EXPECT_LT(mt::uuid_v7(1, 0xfff, 9).view(), mt::uuid_v7(2, 0, 0).view());
    EXPECT_LT(mt::uuid_v7(2, 1, 9).view(), mt::uuid_v7(2, 2, 0).view());
    const auto one = mt::new_uuid_v7<mt::hosted_platform>(), two = mt::new_uuid_v7<mt::hosted_platform>();
    EXPECT_TRUE(mt::uuid::allows(one.view()));
    EXPECT_NE(one, two);
}

} // namespace
