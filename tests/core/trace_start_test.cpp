// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/trace_start.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

constexpr std::uint64_t largest = ~std::uint64_t{0};

TEST(trace_start, a_ratio_holds_its_share_of_all_numbers) {
    static_assert(mt::sample_ratio(0.5).holds(0));
    EXPECT_TRUE(mt::sample_ratio(0.5).holds(largest / 2));
    EXPECT_FALSE(mt::sample_ratio(0.5).holds(largest / 2 + 1));
    EXPECT_TRUE(mt::sample_ratio(0.25).holds(largest / 4));
    EXPECT_FALSE(mt::sample_ratio(0.25).holds(largest / 3));
}

TEST(trace_start, a_ratio_outside_counts_as_the_nearer_end) {
    const double infinity = std::numeric_limits<double>::infinity();
    for (const double all : {1.0, 1.5, infinity}) EXPECT_TRUE(mt::sample_ratio(all).holds(largest)) << all;
    for (const double none : {0.0, -0.0, -1.0, -infinity, std::numeric_limits<double>::quiet_NaN()})
        EXPECT_FALSE(mt::sample_ratio(none).holds(0)) << none;
    EXPECT_FALSE(mt::sample_ratio(std::nextafter(1.0, 0.0)).holds(largest));
    EXPECT_FALSE(mt::sample_ratio(std::numeric_limits<double>::denorm_min()).holds(0)) << "less than one of all";
}

TEST(trace_start, finds_values_where_it_is_told_to_look) {
    const auto find = [](std::string_view key) noexcept {
        return key == "mlflow.trace.user" ? std::string_view("user-1") : std::string_view{};
    };
    const mt::trace_id id{1, 2};
    const mt::trace_start start(id, "chat", mt::span_type::agent, nullptr, nullptr, nullptr, find);
    EXPECT_EQ(start.id, id);
    EXPECT_EQ(start.name, "chat");
    EXPECT_EQ(start.user(), "user-1");
    EXPECT_EQ(start.session().data(), nullptr);
    EXPECT_EQ(start.metadata("other").data(), nullptr);
    const std::string_view known = "session-1";
    const mt::trace_start with_session(id, "chat", mt::span_type::agent, nullptr, nullptr, &known, find);
    EXPECT_EQ(with_session.session(), "session-1") << "without a search";
}

} // namespace
