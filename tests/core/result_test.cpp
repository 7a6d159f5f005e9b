// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/result.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace mt = mlflow::trace;

namespace {

static_assert(!std::is_default_constructible_v<mt::result<int>>);
static_assert(!std::is_convertible_v<mt::result<int>, bool>, "explicitly only");
static_assert(std::is_nothrow_move_constructible_v<mt::result<std::unique_ptr<int>>>);

mt::failure failed() { return {mt::error(mt::error_kind::timeout, "host", "no answer")}; }

TEST(result, holds_a_value_or_an_error) {
    using number_or_error = mt::result<std::unique_ptr<int>>;
    number_or_error good = std::make_unique<int>(7);
    ASSERT_TRUE(good);
    EXPECT_EQ(**good, 7);
    number_or_error moved = std::move(good);
    EXPECT_EQ(*moved.value(), 7);
    moved = number_or_error(
        mt::failure{mt::error(mt::error_kind::other, "it", "a reason that is too long to be kept in place")});
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().message().substr(0, 12), "it: a reason");
    EXPECT_EQ(*std::move(moved).value_or(std::make_unique<int>(8)), 8);
    EXPECT_EQ(mt::result<int>(7).value_or(8), 7);
    EXPECT_DEATH(static_cast<void>(moved.value()), "");
}

TEST(result, copies_and_moves_between_value_and_error) {
    const std::string text(100, 't');
    mt::result<std::string> first = text;
    mt::result<std::string> second = failed();
    mt::result<std::string> copy = first;
    EXPECT_EQ(*copy, text);
    first = second;
    ASSERT_FALSE(first.has_value());
    EXPECT_EQ(first.error(), second.error());
    second = std::move(copy);
    EXPECT_EQ(second->size(), 100U);
    second = *&second; // itself
    EXPECT_EQ(*second, text);
    EXPECT_EQ(*std::move(second), text);
}

TEST(result, gives_what_it_does_not_hold_to_nobody) {
    mt::result<int> good = 7;
    mt::result<int> bad = failed();
    EXPECT_DEATH(static_cast<void>(good.error()), "");
    EXPECT_DEATH(static_cast<void>(*bad), "");
    EXPECT_EQ(std::move(bad).error().message(), "host: no answer");
}

} // namespace
