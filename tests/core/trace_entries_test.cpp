// SPDX-License-Identifier: Apache-2.0
#include "../support/environment.hpp"
#include <mlflow/trace/core/trace_entries.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using mt::entry_kind;

std::string shown(const mt::trace_entries& entries) {
    std::string all;
    for (const mt::trace_entry entry : entries)
        all += std::to_string(static_cast<int>(entry.kind)) + std::string(entry.key) + '=' +
               std::string(entry.value) + ' ';
    return all;
}

TEST(trace_entries, stand_in_the_order_in_which_they_were_set) {
    mt::trace_entries entries;
    EXPECT_TRUE(entries.empty());
    EXPECT_EQ(entries.find(entry_kind::tag, "a").data(), nullptr);
    EXPECT_TRUE(entries.set(entry_kind::tag, "a", "1"));
    EXPECT_TRUE(entries.set(entry_kind::metadata, "a", "2"));
    EXPECT_TRUE(entries.set(entry_kind::tag, "b", ""));
    EXPECT_EQ(shown(entries), "1a=1 0a=2 1b= ");
    EXPECT_EQ(entries.find(entry_kind::metadata, "a"), "2");
    EXPECT_NE(entries.find(entry_kind::tag, "b").data(), nullptr) << "empty, and there";
}

TEST(trace_entries, that_are_set_again_have_the_last_value_at_the_end) {
    mt::trace_entries entries;
    for (const char* const key : {"a", "b", "c"}) EXPECT_TRUE(entries.set(entry_kind::tag, key, "first"));
    EXPECT_TRUE(entries.set(entry_kind::tag, "a", "longer than before"));
    EXPECT_TRUE(entries.set(entry_kind::tag, "c", ""));
    EXPECT_EQ(shown(entries), "1b=first 1a=longer than before 1c= ");
    entries.clear();
    EXPECT_TRUE(entries.empty());
}

TEST(trace_entries, take_keys_and_values_of_up_to_65535_bytes) {
    mt::trace_entries entries;
    const std::string longest(65'535, 'x'), longer(65'536, 'x');
    EXPECT_TRUE(entries.set(entry_kind::tag, "key", longest));
    EXPECT_TRUE(entries.set(entry_kind::tag, longest, "value"));
    const std::size_t before = entries.bytes();
    EXPECT_FALSE(entries.set(entry_kind::tag, "key", longer));
    EXPECT_FALSE(entries.set(entry_kind::tag, longer, "value"));
    EXPECT_EQ(entries.bytes(), before);
    EXPECT_EQ(entries.find(entry_kind::tag, "key"), longest);
    EXPECT_EQ(entries.find(entry_kind::tag, longest), "value");
}

// Few and many entries, which have a table; set again with values of the same and of another length; copies. The
// model is a plain list. MLFLOW_TRACE_SEED sets the first of the random runs, MLFLOW_TRACE_SCHEDULES how many.
TEST(trace_entries, random_entries_are_those_of_a_plain_list) {
    const std::uint64_t seed = support::number_from("MLFLOW_TRACE_SEED", std::random_device()());
    const std::uint64_t runs = support::number_from("MLFLOW_TRACE_SCHEDULES", 200);
    mt::trace_entries entries; // used again, as by a pool
    for (std::uint64_t run = seed; run < seed + runs; ++run) {
        SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(run));
        std::mt19937_64 random(run);
        const std::size_t keys = 1 + random() % (random() % 4 == 0 ? 500 : 60);
        std::vector<std::string> expected;
        const auto same = [](std::uint64_t kind, const std::string& key) { return std::to_string(kind) + key + '='; };
        entries.clear();
        for (std::size_t step = 0; step < 2 * keys; ++step) {
            const std::uint64_t kind = random() % 2;
            const std::string key = "key" + std::to_string(random() % keys);
            const std::string value(random() % 4 == 0 ? random() % 300 : 5, static_cast<char>('a' + random() % 26));
            ASSERT_TRUE(entries.set(static_cast<entry_kind>(kind), key, value));
            std::erase_if(expected, [&](const std::string& one) { return one.starts_with(same(kind, key)); });
            expected.push_back(same(kind, key) + value + ' ');
            const std::string absent = "none" + std::to_string(step);
            ASSERT_EQ(entries.find(entry_kind::tag, absent).data(), nullptr);
            ASSERT_EQ(entries.find(static_cast<entry_kind>(kind), key), value);
        }
        std::string all;
        for (const std::string& one : expected) all += one;
        ASSERT_EQ(shown(entries), all);
        for (const std::string& one : expected) {
            const auto equals = one.find('=');
            const auto kind = static_cast<entry_kind>(one[0] - '0');
            ASSERT_EQ(entries.find(kind, one.substr(1, equals - 1)), one.substr(equals + 1, one.size() - equals - 2));
        }
        std::vector<char> place(entries.bytes());
        mt::trace_entries copy;
        copy.refer_to(entries, place.data());
        ASSERT_TRUE(copy.set(entry_kind::tag, "key0", "copied"));
        ASSERT_EQ(copy.find(entry_kind::tag, "key0"), "copied");
    }
}

TEST(trace_entries, that_were_moved_from_are_empty) {
    mt::trace_entries many, few;
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(many.set(entry_kind::tag, "key" + std::to_string(i), "value"));
    ASSERT_TRUE(few.set(entry_kind::tag, "few", "value"));
    mt::trace_entries made = std::move(many);
    EXPECT_EQ(many.find(entry_kind::tag, "key99").data(), nullptr); // NOLINT(bugprone-use-after-move)
    EXPECT_TRUE(many.set(entry_kind::tag, "again", "value"));
    few = std::move(made);
    EXPECT_EQ(few.find(entry_kind::tag, "key99"), "value");
    EXPECT_TRUE(made.set(entry_kind::tag, "again", "value")); // NOLINT(bugprone-use-after-move)
    EXPECT_EQ(made.find(entry_kind::tag, "key99").data(), nullptr);
}

} // namespace
