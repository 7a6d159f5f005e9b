// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/device/sequence.hpp>

#include <gtest/gtest.h>

#include <cstdint>

namespace mt = mlflow::trace;

namespace {

TEST(SequenceAccount, CountsWhatIsMissingUntilItComes) {
    mt::sequence_account<> account;
    EXPECT_EQ(account.lost(), 0U);
    for (const std::uint32_t sequence : {0U, 1U, 5U}) EXPECT_TRUE(account.add(sequence));
    EXPECT_EQ(account.lost(), 3U);
    EXPECT_TRUE(account.add(3));
    EXPECT_EQ(account.lost(), 2U);
    EXPECT_EQ(account.reordered(), 1U);
    EXPECT_FALSE(account.add(3));
    EXPECT_FALSE(account.add(5));
    EXPECT_EQ(account.doubled(), 2U);
    EXPECT_EQ(account.received(), 4U);
}

TEST(SequenceAccount, BeginsWhereItComesIn) {
    mt::sequence_account<> account;
    account.add(100);
    account.add(98);
    EXPECT_EQ(account.first(), 98U);
    EXPECT_EQ(account.lost(), 1U);
    EXPECT_FALSE(account.has(99));
    EXPECT_FALSE(account.has(97));
}

TEST(SequenceAccount, GoesOverTheEndOfItsNumbers) {
    mt::sequence_account<> account;
    account.add(0xffff'fffe);
    account.add(1);
    EXPECT_EQ(account.lost(), 2U);
    EXPECT_TRUE(account.add(0xffff'ffff));
    EXPECT_TRUE(account.add(0));
    EXPECT_FALSE(account.add(0));
    EXPECT_EQ(account.lost(), 0U);
}

TEST(SequenceAccount, TakesWhatIsOlderThanItsWindow) {
    mt::sequence_account<64> account;
    account.add(0);
    account.add(1'000);
    EXPECT_FALSE(account.has(0)) << "it cannot know";
    EXPECT_TRUE(account.add(3));
    EXPECT_EQ(account.lost(), 998U);
    for (std::uint32_t sequence = 937; sequence < 1'000; ++sequence) EXPECT_TRUE(account.add(sequence));
    for (std::uint32_t sequence = 937; sequence <= 1'000; ++sequence) EXPECT_FALSE(account.add(sequence));
}

TEST(SequenceAccount, LetsWhatWasNotKeptComeAgain) {
    mt::sequence_account<> account;
    account.add(0);
    account.add(1);
    account.remove(1);
    account.remove(7);
    EXPECT_EQ(account.lost(), 1U);
    EXPECT_TRUE(account.add(1));
    EXPECT_EQ(account.lost(), 0U);
}

} // namespace
