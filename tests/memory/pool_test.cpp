// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstddef>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace detail = mlflow::trace::detail;

std::atomic<int> living{0};

// Each test has a pool of its own.
template <int Test, bool IsLookedAt>
struct object {
    object* next = nullptr;
    object* next_chain = nullptr;
    std::size_t chain_bytes = 0;
    detail::buffer body;

    object() { ++living; }
    ~object() { --living; }

    static constexpr bool is_looked_at = IsLookedAt;
    static constexpr bool has_blocks = true;
    bool recycle() noexcept {
        body.clear();
        return true;
    }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(object) + body.capacity(); }
    void strip() noexcept { body.release(); }
};

template <class T>
T* take_chain(int count) {
    T* chain = nullptr;
    for (int i = 0; i < count; ++i) {
        T* const one = detail::pool<T>::instance().take();
        one->body.append(std::string(1'000, 'x'));
        one->next = chain;
        chain = one;
    }
    return chain;
}

template <class Function>
void on_another_thread(Function&& function) {
    std::thread(function).join();
}

TEST(pool, what_one_thread_takes_and_another_gives_back_does_not_pile_up) {
    using type = object<1, true>;
    auto& pool = detail::pool<type>::instance();
    living = 0;
    type* handed_over = nullptr;
    std::atomic<int> turn{0};
    constexpr int rounds = 20'000;
    std::thread taker([&] {
        for (int i = 0; i < rounds; ++i) {
            handed_over = pool.take();
            turn.store(1);
            turn.notify_one();
            turn.wait(1);
        }
    });
    for (int i = 0; i < rounds; ++i) {
        turn.wait(0);
        pool.give_back(handed_over);
        turn.store(0);
        turn.notify_one();
    }
    taker.join();
    EXPECT_LE(living, 2'000);
}

TEST(pool, what_a_thread_was_given_back_goes_with_it_to_others) {
    using type = object<6, true>;
    auto& pool = detail::pool<type>::instance();
    living = 0;
    for (int i = 0; i < 200; ++i) {
        type* const one = pool.take();
        on_another_thread([&] { pool.give_back(one); });
    }
    EXPECT_LE(living, 10);
}

TEST(pool, a_long_chain_is_for_several_threads) {
    using type = object<2, false>;
    auto& pool = detail::pool<type>::instance();
    living = 0;
    on_another_thread([&] { pool.give(take_chain<type>(1'000)); });
    ASSERT_EQ(living, 1'000);
    type* const here = take_chain<type>(1); // the rest of its piece is for later
    on_another_thread([&] { pool.give(take_chain<type>(800)); });
    EXPECT_EQ(living, 1'000);
    pool.give(here);
}

TEST(pool, a_thread_that_takes_what_it_gave_back_shares_nothing) {
    using type = object<7, true>;
    auto& pool = detail::pool<type>::instance();
    on_another_thread([&] {
        for (int i = 0; i < 100; ++i) {
            pool.give(take_chain<type>(4));
            EXPECT_EQ(pool.kept_bytes(), 0U);
        }
    });
    EXPECT_GT(pool.kept_bytes(), 0U) << "at its end they are for others";
}

TEST(pool, what_a_thread_keeps_of_what_it_gave_back_is_bounded) {
    using type = object<8, true>;
    auto& pool = detail::pool<type>::instance();
    on_another_thread([&] {
        pool.give(take_chain<type>(1'000));
        EXPECT_GE(pool.kept_bytes(), std::size_t{900} * 1'000);
    });
}

TEST(pool, frees_objects_at_which_nobody_looks) {
    using type = object<3, false>;
    auto& pool = detail::pool<type>::instance();
    living = 0;
    on_another_thread([&] { pool.give(take_chain<type>(1'000)); });
    EXPECT_GE(pool.kept_bytes(), 1'000'000U);
    pool.shrink_to(500'000);
    EXPECT_LE(pool.kept_bytes(), 500'000U);
    EXPECT_GE(pool.kept_bytes(), 300'000U);
    EXPECT_LE(living, 500);
    pool.shrink_to(0);
    EXPECT_EQ(pool.kept_bytes(), 0U);
    EXPECT_EQ(living, 0);
}

TEST(pool, keeps_objects_at_which_somebody_may_look_and_frees_their_blocks) {
    using type = object<4, true>;
    auto& pool = detail::pool<type>::instance();
    living = 0;
    std::set<const type*> known;
    on_another_thread([&] {
        type* const chain = take_chain<type>(1'000);
        for (const type* one = chain; one; one = one->next) known.insert(one);
        pool.give(chain);
    });
    const int made = living;
    pool.shrink_to(0);
    EXPECT_EQ(living, made);
    EXPECT_LE(pool.kept_bytes(), static_cast<std::size_t>(made) * sizeof(type)) << "without their blocks";
    type* again = nullptr;
    for (int i = 0; i < 900; ++i) {
        type* const one = pool.take();
        EXPECT_TRUE(known.count(one) == 1 || made > 1'000);
        EXPECT_EQ(one->body.capacity(), 0U);
        one->next = again;
        again = one;
    }
    EXPECT_EQ(living, made) << "they are used again";
    pool.give(again);
}

TEST(pool, gives_back_what_was_not_needed) {
    using type = object<5, false>;
    auto& pool = detail::pool<type>::instance();
    living = 0;
    on_another_thread([&] { pool.give(take_chain<type>(10'000)); }); // a burst
    const auto work = [&] { on_another_thread([&] { pool.give(take_chain<type>(2'000)); }); };
    EXPECT_EQ(living, 10'000);
    work();
    EXPECT_TRUE(pool.free_surplus(0));
    EXPECT_GE(living, 2'000);
    EXPECT_LE(living, 3'000);
    const int left = living;
    work();
    EXPECT_TRUE(pool.free_surplus(0));
    EXPECT_EQ(living, left) << "a steady load has what it needs";
}

} // namespace
