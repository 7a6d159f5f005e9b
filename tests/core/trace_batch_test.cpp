// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/trace_batch.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using mt::entry_kind;

std::vector<std::string> listed(const mt::trace_entries& entries) {
    std::vector<std::string> all;
    for (const auto entry : entries) all.push_back(std::string(entry.key) + "=" + std::string(entry.value));
    return all;
}

TEST(trace_entries, keep_their_order_and_replace) {
    mt::trace_entries entries;
    EXPECT_TRUE(entries.empty());
    EXPECT_EQ(entries.find(entry_kind::tag, "a").data(), nullptr);
    EXPECT_TRUE(entries.set(entry_kind::tag, "a", "1"));
    EXPECT_TRUE(entries.set(entry_kind::metadata, "a", "2"));
    EXPECT_TRUE(entries.set(entry_kind::tag, "b", ""));
    EXPECT_EQ(entries.find(entry_kind::tag, "a"), "1");
    EXPECT_EQ(entries.find(entry_kind::metadata, "a"), "2");
    EXPECT_NE(entries.find(entry_kind::tag, "b").data(), nullptr) << "empty is not absent";
    EXPECT_TRUE(entries.set(entry_kind::tag, "a", "a longer value"));
    EXPECT_EQ(listed(entries), (std::vector<std::string>{"a=2", "b=", "a=a longer value"}));
    entries.clear();
    EXPECT_TRUE(entries.empty());
}

TEST(trace_entries, refuse_what_is_too_large_and_keep_the_old) {
    mt::trace_entries entries;
    const std::string most(65'535, 'x');
    EXPECT_TRUE(entries.set(entry_kind::tag, most, most));
    EXPECT_EQ(entries.find(entry_kind::tag, most), most);
    EXPECT_FALSE(entries.set(entry_kind::tag, most, most + "x"));
    EXPECT_FALSE(entries.set(entry_kind::tag, most + "x", ""));
    EXPECT_EQ(entries.find(entry_kind::tag, most), most);
}

mt::trace_data* make_trace(std::size_t spans) {
    auto* trace = mt::detail::pool<mt::trace_data>::instance().take();
    trace->span_count = spans;
    trace->bytes = spans * 10;
    return trace;
}

TEST(trace_batch, owns_counts_and_moves) {
    mt::trace_batch batch(make_trace(1));
    batch.push_back(make_trace(2));
    EXPECT_EQ(batch.size(), 2U);
    EXPECT_EQ(batch.span_count(), 3U);
    EXPECT_EQ(batch.bytes(), 30U);
    mt::trace_batch other(make_trace(4));
    batch.append(std::move(other));
    EXPECT_TRUE(other.empty());
    EXPECT_EQ(other.span_count(), 0U);
    EXPECT_EQ(batch.span_count(), 7U);
    std::vector<std::size_t> order;
    for (const auto& trace : batch) order.push_back(trace.span_count);
    EXPECT_EQ(order, (std::vector<std::size_t>{1, 2, 4}));

    mt::trace_data* const first = batch.pop_front();
    EXPECT_EQ(first->span_count, 1U);
    EXPECT_EQ(batch.span_count(), 6U);
    other = std::move(batch);
    EXPECT_TRUE(batch.empty());
    other.push_back(first);
    EXPECT_EQ(other.span_count(), 7U);
    other.clear();
    EXPECT_EQ(other.pop_front(), nullptr);
    EXPECT_EQ(other.bytes(), 0U);
}

} // namespace
