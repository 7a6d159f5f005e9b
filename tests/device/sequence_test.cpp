// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/device/sequence.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>

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

TEST(SequenceAccount, CountsNothingTwiceThatIsOlderThanItsWindow) {
    mt::sequence_account<> account;
    for (int times = 0; times < 2; ++times)
        for (std::uint32_t sequence = 0; sequence <= 1'500; ++sequence) account.add(sequence);
    EXPECT_EQ(account.received(), 1'501U);
    EXPECT_EQ(account.doubled(), 1'501U);
    EXPECT_EQ(account.lost(), 0U);
}

TEST(SequenceAccount, LetsWhatIsOlderThanItsWindowComeAgain) {
    mt::sequence_account<> account;
    for (std::uint32_t sequence = 0; sequence <= 1'500; ++sequence) account.add(sequence);
    for (std::uint32_t sequence = 0; sequence <= 1'500; ++sequence) account.remove(sequence);
    EXPECT_EQ(account.received(), 0U);
    EXPECT_EQ(account.lost(), 1'501U);
    for (int times = 0; times < 100; ++times) {
        account.add(0);
        EXPECT_EQ(account.received(), 1U);
        account.remove(0);
    }
    for (int times = 0; times < 100; ++times) account.remove(0); // none of those numbers is left
    EXPECT_EQ(account.lost(), 1'501U);
    for (std::uint32_t sequence = 0; sequence <= 1'500; ++sequence) account.add(sequence);
    EXPECT_EQ(account.received(), 1'501U);
    EXPECT_EQ(account.lost(), 0U);
}

TEST(SequenceAccount, IsNotMisledByNumbersFarApart) {
    mt::sequence_account<> account;
    account.remove(0);
    for (const std::uint32_t sequence : {0U, 0x7fff'ffffU, 0xffff'fffeU}) EXPECT_TRUE(account.add(sequence));
    EXPECT_TRUE(account.has(0xffff'fffe));
    EXPECT_EQ(account.lost(), 0xffff'fffcU);
    EXPECT_TRUE(account.add(1)); // after more than all numbers there are
    EXPECT_EQ(account.lost(), 0U);
    EXPECT_TRUE(account.add(0x4000'0000));
    EXPECT_LT(account.lost(), 0x4000'0000U);
}

// UBSan checks the arithmetic.
TEST(SequenceAccount, TakesANumberFromAnywhere) {
    constexpr std::uint32_t half = 0x8000'0000;
    for (const std::uint32_t from : {0U, 1U, 0x7fff'ffffU, half, 0xffff'ffffU})
        for (const std::uint32_t ahead : {1U, half - 1, half}) {
            mt::sequence_account<> account;
            account.add(from);
            EXPECT_TRUE(account.add(from + ahead));
            EXPECT_EQ(account.received(), 2U);
            EXPECT_EQ(account.lost(), ahead - 1);
            EXPECT_EQ(account.first(), from);
            EXPECT_TRUE(account.has(from + ahead));
        }
}

// What the account says, from sets of all numbers.
template <std::uint32_t Window>
struct plain_account {
    std::set<std::uint32_t> recent; // numbers in the window that have arrived
    std::uint32_t first = 0, newest = 0;
    std::uint32_t older = 0; // the count of those before the window
    std::uint32_t doubled = 0;
    bool is_begun = false;

    [[nodiscard]] std::uint32_t begin() const { return newest - first < Window ? first : newest - Window + 1; }
    [[nodiscard]] std::uint32_t received() const { return older + static_cast<std::uint32_t>(recent.size()); }
    [[nodiscard]] std::uint32_t lost() const { return is_begun ? newest - first + 1 - received() : 0; }
    // Whether it is counted.
    bool add(std::uint32_t sequence) {
        if (!is_begun) first = newest = sequence;
        is_begun = true;
        if (recent.contains(sequence)) return ++doubled, false;
        if (sequence >= first && sequence < begin() && older == begin() - first) return ++doubled, false;
        first = std::min(first, sequence);
        newest = std::max(newest, sequence);
        if (sequence < begin()) ++older;
        else recent.insert(sequence);
        for (; !recent.empty() && *recent.begin() < begin(); ++older) recent.erase(recent.begin());
        return true;
    }
    void remove(std::uint32_t sequence) {
        if (is_begun && sequence >= first && sequence < begin()) older -= older > 0 ? 1 : 0;
        else recent.erase(sequence);
    }
};

template <std::uint32_t Window>
void compare_with_a_plain_account(unsigned seed) {
    std::mt19937 random(seed);
    mt::sequence_account<Window> account;
    plain_account<Window> plain;
    const auto below = [&random](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
    const auto offset =
        static_cast<std::uint32_t>(random()); // the account's numbers wrap, those of the plain one do not
    std::uint32_t at = 1'000'000;
    std::set<std::uint32_t> counted;
    for (int step = 0; step < 3'000; ++step) {
        std::uint32_t sequence = ++at;
        switch (below(8)) {
        case 0: at = sequence += below(below(4) == 0 ? 3 * Window : 8); break; // some are lost
        case 1: sequence -= below(8); break;                                   // reordered
        case 2:
        case 3: sequence -= below(3 * Window); break;                                // sent again
        case 4: at = sequence = at - std::min(at - 1'000, below(2 * Window)); break; // all is sent again
        default: break;
        }
        if (below(4) == 0 && !counted.empty()) {
            const auto removed = counted.lower_bound(sequence);
            sequence = removed == counted.end() ? *counted.begin() : *removed;
            counted.erase(sequence);
            plain.remove(sequence);
            account.remove(sequence + offset);
        } else {
            const auto before = account.received();
            const bool is_counted = plain.add(sequence);
            account.add(sequence + offset);
            EXPECT_EQ(account.received() != before, is_counted);
            if (is_counted) counted.insert(sequence);
        }
        ASSERT_EQ(account.received(), plain.received()) << "seed " << seed << ", step " << step;
        ASSERT_EQ(account.lost(), plain.lost()) << "seed " << seed << ", step " << step;
        ASSERT_EQ(account.doubled(), plain.doubled) << "seed " << seed << ", step " << step;
        ASSERT_EQ(account.first(), plain.first + offset) << "seed " << seed << ", step " << step;
        for (std::uint32_t back = 0; back < Window + 3; ++back)
            ASSERT_EQ(account.has(plain.newest - back + offset), plain.recent.contains(plain.newest - back))
                << "seed " << seed << ", step " << step;
        ASSERT_LE(account.lost(), plain.newest - plain.first + 1);
    }
}

TEST(SequenceAccount, CountsAsAPlainAccountDoes) {
    const unsigned first_seed = std::random_device()();
    for (unsigned seed = first_seed; seed != first_seed + 5; ++seed) {
        compare_with_a_plain_account<1>(seed);
        compare_with_a_plain_account<16>(seed);
        compare_with_a_plain_account<32>(seed);
        compare_with_a_plain_account<64>(seed);
    }
}

} // namespace
