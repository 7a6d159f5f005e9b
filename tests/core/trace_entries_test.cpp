// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/trace_entries.hpp>

#include <gtest/gtest.h>

#include <string>

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

} // namespace
