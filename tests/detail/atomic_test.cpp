// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/detail/atomic.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace {

namespace detail = mlflow::trace::detail;

enum class colour : std::uint8_t { red, green };

// As large as std::atomic, and as well aligned.
template <class T>
constexpr bool is_laid_out_as_standard =
    sizeof(detail::atomic<T>) == sizeof(std::atomic<T>) && alignof(detail::atomic<T>) == alignof(std::atomic<T>);
static_assert(is_laid_out_as_standard<bool> && is_laid_out_as_standard<colour> && is_laid_out_as_standard<void*> &&
              is_laid_out_as_standard<std::uint32_t> && is_laid_out_as_standard<std::uint64_t>);
static_assert(!std::is_copy_constructible_v<detail::atomic<int>>);

TEST(atomic_test, reads_and_writes) {
    detail::atomic<colour> value{colour::green};
    EXPECT_EQ(value.load(), colour::green);
    value.store(colour::red, detail::memory_order_release);
    EXPECT_EQ(value.load(detail::memory_order_acquire), colour::red);
    EXPECT_EQ(value.exchange(colour::green), colour::red);
    EXPECT_EQ(value, colour::green);
    EXPECT_EQ((value = colour::red), colour::red);
    EXPECT_EQ(detail::atomic<int>().load(), 0);
}

TEST(atomic_test, counts) {
    detail::atomic<std::uint32_t> value{5};
    EXPECT_EQ(value.fetch_add(3), 5U);
    EXPECT_EQ(value.fetch_sub(1), 8U);
    EXPECT_EQ(value++, 7U);
    EXPECT_EQ(++value, 9U);
    EXPECT_EQ(value.fetch_or(6), 9U);
    EXPECT_EQ(value, 15U);
}

TEST(atomic_test, exchanges_what_is_expected_only) {
    int first = 0, second = 0;
    detail::atomic<int*> value{&first};
    int* expected = &second;
    EXPECT_FALSE(value.compare_exchange_strong(expected, &second));
    EXPECT_EQ(expected, &first);
    EXPECT_TRUE(value.compare_exchange_strong(expected, &second, detail::memory_order_acq_rel));
    EXPECT_EQ(value, &second);
    while (!value.compare_exchange_weak(expected = &second, nullptr, detail::memory_order_release)) {
    }
    EXPECT_EQ(value.load(), nullptr);
}

TEST(atomic_test, loses_no_count_among_threads) {
    detail::atomic<std::uint64_t> added{0}, exchanged{0};
    int unguarded = 0; // by the flag below
    detail::atomic<bool> is_taken{false};
    std::vector<std::thread> threads;
    for (int number = 0; number < 4; ++number)
        threads.emplace_back([&] {
            for (int turn = 0; turn < 10'000; ++turn) {
                added.fetch_add(1, detail::memory_order_relaxed);
                std::uint64_t seen = exchanged.load(detail::memory_order_relaxed);
                while (!exchanged.compare_exchange_weak(seen, seen + 1, detail::memory_order_relaxed)) {
                }
                while (is_taken.exchange(true, detail::memory_order_acquire)) std::this_thread::yield();
                ++unguarded;
                is_taken.store(false, detail::memory_order_release);
            }
        });
    for (std::thread& each : threads) each.join();
    EXPECT_EQ(added, 40'000U);
    EXPECT_EQ(exchanged, 40'000U);
    EXPECT_EQ(unguarded, 40'000);
}

} // namespace
