// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/platform/arena.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace mt = mlflow::trace;

namespace {

TEST(Arena, GivesAlignedMemoryUntilItIsFull) {
    mt::arena<1024> arena;
    std::vector<void*> blocks;
    while (void* const block = arena.reallocate(nullptr, 100)) {
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignof(std::max_align_t), 0U);
        std::memset(block, 0xff, 100);
        blocks.push_back(block);
    }
    EXPECT_GE(blocks.size(), 7U);
    EXPECT_EQ(arena.reallocate(nullptr, SIZE_MAX), nullptr);
    EXPECT_EQ(arena.reallocate(blocks.front(), SIZE_MAX), nullptr);
    for (void* const block : blocks) EXPECT_EQ(arena.reallocate(block, 0), nullptr);
    EXPECT_EQ(arena.used_bytes(), 0U);
    EXPECT_NE(arena.reallocate(nullptr, 900), nullptr) << "free neighbours are one block again";
}

constinit mt::arena<1024> before_any_constructor;

TEST(Arena, IsReadyBeforeItsConstructorRuns) { EXPECT_NE(before_any_constructor.reallocate(nullptr, 900), nullptr); }

TEST(Arena, FreesNothingForNothing) {
    mt::arena<1024> arena;
    EXPECT_EQ(arena.reallocate(nullptr, 0), nullptr);
    EXPECT_EQ(arena.used_bytes(), 0U);
}

TEST(Arena, GrowsInPlaceWhereTheNextBlockIsFree) {
    mt::arena<1024> arena;
    void* const block = arena.reallocate(nullptr, 10);
    EXPECT_EQ(arena.reallocate(block, 500), block);
    void* const next = arena.reallocate(nullptr, 100);
    EXPECT_EQ(arena.reallocate(block, 700), nullptr) << "no room, and the old block stays";
    EXPECT_EQ(arena.reallocate(block, 400), block);
    EXPECT_NE(next, nullptr);
}

TEST(Arena, KeepsNothingOfItsNeighboursWhenItCannotGrow) {
    mt::arena<1024> arena;
    void* const block = arena.reallocate(nullptr, 16);
    void* const gap = arena.reallocate(nullptr, 200);
    void* const end = arena.reallocate(nullptr, 600);
    ASSERT_NE(end, nullptr);
    EXPECT_EQ(arena.reallocate(gap, 0), nullptr);
    const std::size_t used = arena.used_bytes();
    EXPECT_EQ(arena.reallocate(block, 900), nullptr);
    EXPECT_EQ(arena.used_bytes(), used);
    EXPECT_EQ(arena.reallocate(nullptr, 200), gap);
}

// Contents survive any order of growing, shrinking and freeing, and no two blocks overlap.
TEST(Arena, KeepsContents) {
    struct held {
        unsigned char* bytes;
        std::size_t size;
        unsigned char mark;
    };
    mt::arena<16 * 1024> arena;
    std::vector<held> blocks;
    std::mt19937 random(7);
    unsigned char mark = 0;
    std::size_t refused = 0;
    for (int step = 0; step < 20'000; ++step) {
        const std::size_t size = random() % 600 + 1;
        if (blocks.empty() || random() % 3 == 0) {
            auto* const fresh = static_cast<unsigned char*>(arena.reallocate(nullptr, size));
            if (fresh) blocks.push_back({fresh, size, ++mark});
            else ++refused;
            if (fresh) std::memset(fresh, mark, size);
            continue;
        }
        const std::size_t chosen = random() % blocks.size();
        held& block = blocks[chosen];
        for (std::size_t at = 0; at < block.size; ++at) ASSERT_EQ(block.bytes[at], block.mark) << "step " << step;
        if (random() % 2 == 0) {
            EXPECT_EQ(arena.reallocate(block.bytes, 0), nullptr);
            blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(chosen));
        } else if (auto* const moved = static_cast<unsigned char*>(arena.reallocate(block.bytes, size))) {
            const std::size_t kept = size < block.size ? size : block.size;
            for (std::size_t at = 0; at < kept; ++at) ASSERT_EQ(moved[at], block.mark) << "step " << step;
            std::memset(moved, block.mark, size);
            block = {moved, size, block.mark};
        }
    }
    EXPECT_GT(refused, 0U) << "the arena was never full: the test is too easy";
    for (const held& block : blocks) EXPECT_EQ(arena.reallocate(block.bytes, 0), nullptr);
    EXPECT_EQ(arena.used_bytes(), 0U);
}

} // namespace
