// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/device/record_ring.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace mt = mlflow::trace;

namespace {

std::string text_of(const mt::record_ring& ring, mt::record_ring::place record) {
    const auto [first, second] = ring.bytes(record);
    return std::string(first) + std::string(second);
}

bool push(mt::record_ring& ring, const std::string& text, std::vector<std::string>* left = nullptr) {
    const auto leaving = [&](mt::record_ring::place oldest) {
        if (left) left->push_back(text_of(ring, oldest));
    };
    if (!ring.begin(text.size(), leaving)) return false;
    for (const char byte : text) ring.put({&byte, 1});
    ring.end();
    return true;
}

TEST(RecordRing, CountsAMillionRecordsExactly) {
    for (const auto policy : {mt::ring_full::drop_newest, mt::ring_full::drop_oldest}) {
        std::vector<char> memory(500);
        mt::record_ring ring(memory, policy);
        std::mt19937 random(7);
        std::uint32_t taken = 0;
        std::uint32_t waiting = 0;
        for (std::uint32_t i = 0; i < 1'000'000; ++i) {
            const auto dropped = ring.dropped();
            const bool is_in = ring.begin(random() % 40 + 1, [](mt::record_ring::place) {});
            if (is_in) ring.end();
            waiting += (is_in ? 1U : 0U);
            if (policy == mt::ring_full::drop_oldest) waiting -= ring.dropped() - dropped;
            if (random() % 4 == 0 && !ring.empty()) {
                ring.pop_front();
                ++taken;
                --waiting;
            }
        }
        EXPECT_EQ(taken + waiting + ring.dropped(), 1'000'000U);
        EXPECT_GT(ring.dropped(), 500'000U);
        for (; !ring.empty(); ring.pop_front()) --waiting;
        EXPECT_EQ(waiting, 0U);
    }
}

TEST(RecordRing, IsAQueue) {
    for (unsigned seed = 1; seed <= 50; ++seed) {
        std::mt19937 random(seed);
        const auto policy = seed % 2 == 0 ? mt::ring_full::drop_newest : mt::ring_full::drop_oldest;
        std::vector<char> memory(30 + random() % 300);
        mt::record_ring ring(memory, policy);
        std::deque<std::string> model;
        std::size_t used = 0;
        const auto pop_model = [&] {
            used -= model.front().size() + mt::record_ring::cost;
            model.pop_front();
        };
        for (int step = 0; step < 500; ++step) {
            if (random() % 3 == 0 && !model.empty()) {
                ring.pop_front();
                pop_model();
            } else {
                std::string text(1 + random() % 60, '\0');
                for (char& byte : text) byte = static_cast<char>(random());
                std::vector<std::string> left;
                std::vector<std::string> expected;
                const std::size_t cost = text.size() + mt::record_ring::cost;
                const bool fits = cost <= memory.size();
                while (fits && policy == mt::ring_full::drop_oldest && used + cost > memory.size()) {
                    expected.push_back(model.front());
                    pop_model();
                }
                const bool is_in = fits && used + cost <= memory.size();
                ASSERT_EQ(push(ring, text, &left), is_in) << "seed " << seed;
                ASSERT_EQ(left, expected) << "seed " << seed;
                if (is_in) {
                    model.push_back(text);
                    used += cost;
                }
            }
            auto at = ring.front();
            for (const std::string& text : model) {
                ASSERT_EQ(text_of(ring, at), text) << "seed " << seed;
                ASSERT_EQ(ring.crc(at), mt::detail::framing::crc_of(text, mt::detail::framing::crc_begin));
                at = ring.after(at);
            }
            ASSERT_EQ(at.size, 0U) << "seed " << seed;
            ASSERT_EQ(ring.used_bytes(), used);
        }
    }
}

TEST(RecordRing, DropsNothingThatIsDone) {
    std::vector<char> memory(40);
    mt::record_ring ring(memory, mt::ring_full::drop_oldest);
    push(ring, std::string(20, 'a'));
    EXPECT_FALSE(ring.is_done(ring.front()));
    ring.set_done(ring.front());
    push(ring, std::string(20, 'b'));
    EXPECT_EQ(ring.dropped(), 0U);
    EXPECT_FALSE(ring.is_done(ring.front()));
    push(ring, std::string(20, 'c'));
    EXPECT_EQ(ring.dropped(), 1U);
}

TEST(RecordRing, TakesWhatFitsExactly) {
    std::vector<char> memory(40);
    mt::record_ring ring(memory, mt::ring_full::drop_newest);
    EXPECT_FALSE(push(ring, std::string(32, 'x')));
    EXPECT_TRUE(push(ring, std::string(31, 'x')));
    EXPECT_FALSE(push(ring, "x"));
    EXPECT_EQ(ring.dropped(), 2U);
    EXPECT_EQ(ring.after(ring.front()).size, 0U);
    mt::record_ring nothing({}, mt::ring_full::drop_oldest);
    EXPECT_FALSE(push(nothing, "x"));
}

} // namespace
