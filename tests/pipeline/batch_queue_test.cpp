// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/pipeline/batch_queue.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace {

namespace mt = mlflow::trace;

// As a `batch` counts: what has been taken over, and how much of it is gone.
struct counted_queue {
    mt::detail::batch_queue queue;
    std::size_t accepted = 0;

    void append(std::size_t traces) {
        for (; traces > 0; --traces, ++accepted) {
            auto* const one = mt::detail::pool<mt::trace_data>::instance().take();
            one->span_count = 1;
            queue.append(mt::trace_batch(one));
        }
    }
    void drop(std::size_t traces) {
        for (; traces > 0; --traces) mt::trace_batch dropped(queue.pop_to_drop());
    }
    std::size_t taken_up_to() const { return accepted - queue.spans_not_taken(); }
};

TEST(batch_queue, what_was_dropped_behind_older_ones_is_not_taken_for_them) {
    counted_queue waiting;
    waiting.append(10);
    mt::trace_batch in_hands = waiting.queue.take_recorded(std::size_t{1} << 30U);
    ASSERT_EQ(in_hands.span_count(), 10U);
    waiting.append(10);
    waiting.drop(10);
    EXPECT_EQ(waiting.taken_up_to(), 0U);
    waiting.queue.put_back(std::move(in_hands));
    EXPECT_EQ(waiting.queue.span_count(), 10U);
    EXPECT_EQ(waiting.taken_up_to(), 0U) << "the ten that wait are the older ones";
    const mt::trace_batch taken = waiting.queue.take({100, 1'000'000, 1'000'000'000});
    EXPECT_EQ(taken.span_count(), 10U);
    EXPECT_EQ(waiting.taken_up_to(), 20U);
}

TEST(batch_queue, takes_as_many_as_fit_and_one_of_any_size) {
    counted_queue waiting;
    waiting.append(5);
    EXPECT_EQ(waiting.queue.take({2, 1'000'000, 1'000'000'000}).span_count(), 2U);
    EXPECT_EQ(waiting.queue.take({2, 1'000'000, 1}).span_count(), 1U);
    EXPECT_EQ(waiting.queue.clear(), 2U);
    EXPECT_TRUE(waiting.queue.take({2, 1'000'000, 1'000'000'000}).empty());
}

} // namespace
