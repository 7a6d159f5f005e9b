// SPDX-License-Identifier: Apache-2.0
// A counter of which everything is made up, so that years pass in a test. MLFLOW_TRACE_SEED sets the first of the
// random runs, MLFLOW_TRACE_SCHEDULES how many.
#include "../support/environment.hpp"
#include <mlflow/trace/platform/cycle_clock.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <utility>

namespace {

constexpr std::uint64_t second = 1'000'000'000;

struct counter {
    static inline double cycles_now = 0;
    static inline double nano_now = 0;
    static inline double cycles_per_nano = 3;
    static inline double slew = 1; // of the other clock, as by NTP
    static inline bool invariant = true;
    static inline double interruption = 0;

    static void start(double rate) {
        cycles_now = 1e12;
        nano_now = 5e15;
        cycles_per_nano = rate;
        slew = 1;
        invariant = true;
        interruption = 0;
    }
    static void pass(double true_nano) {
        cycles_now += true_nano * cycles_per_nano;
        nano_now += true_nano * slew;
    }
    static std::uint64_t cycles() { return static_cast<std::uint64_t>(cycles_now); }
    static std::uint64_t nano() {
        const auto now = static_cast<std::uint64_t>(nano_now);
        if (interruption != 0) pass(std::exchange(interruption, 0)); // between both readings
        return now;
    }
    static bool is_invariant() { return invariant; }
};
using clock_type = mlflow::trace::detail::cycle_clock<counter>;

double error_of(clock_type& clock) { return static_cast<double>(clock.nano()) - counter::nano_now; }
void run_for(clock_type& clock, double nano, double step = 1e6) {
    for (double passed = 0; passed < nano; passed += step) {
        counter::pass(step);
        static_cast<void>(clock.nano());
    }
}

TEST(cycle_clock, counts_cycles_once_the_rate_is_known) {
    counter::start(2.45);
    clock_type clock;
    EXPECT_EQ(clock.nano(), counter::nano());
    EXPECT_FALSE(clock.counts_cycles());
    run_for(clock, 30e6);
    EXPECT_TRUE(clock.counts_cycles());
    run_for(clock, 10e9);
    EXPECT_NEAR(error_of(clock), 0, 100);
}

TEST(cycle_clock, reads_the_other_clock_where_the_counter_is_not_invariant) {
    counter::start(2);
    counter::invariant = false;
    clock_type clock;
    run_for(clock, 1e9);
    EXPECT_FALSE(clock.counts_cycles());
    EXPECT_EQ(clock.nano(), counter::nano());
}

TEST(cycle_clock, stays_within_a_millisecond_of_a_clock_that_is_slewed) {
    counter::start(3);
    clock_type clock;
    run_for(clock, 5e9);
    for (const double slew : {1 + 500e-6, 1 - 500e-6, 1.0}) { // the most that Linux slews
        counter::slew = slew;
        for (int i = 0; i < 20; ++i) {
            for (int part = 0; part < 10; ++part) {
                run_for(clock, 1e8);
                EXPECT_NEAR(error_of(clock), 0, 1.01e6);
            }
        }
    }
    run_for(clock, 60e9);
    EXPECT_NEAR(error_of(clock), 0, 50e3);
    EXPECT_TRUE(clock.counts_cycles());
}

TEST(cycle_clock, is_given_up_when_the_counter_ran_while_the_system_slept) {
    counter::start(3);
    clock_type clock;
    run_for(clock, 5e9);
    counter::cycles_now += 3 * 8e12; // CLOCK_MONOTONIC stands still
    const std::uint64_t before = clock.nano();
    EXPECT_FALSE(clock.counts_cycles());
    EXPECT_GE(clock.nano(), before);
    counter::pass(1e9);
    EXPECT_EQ(clock.nano(), before + second) << "intervals are right again";
}

TEST(cycle_clock, is_given_up_when_the_counter_begins_anew) {
    counter::start(3);
    clock_type clock;
    run_for(clock, 5e9);
    counter::cycles_now = 0;
    counter::pass(5e9);
    static_cast<void>(clock.nano()); // the time of the last correction: the platform keeps it from going back
    EXPECT_FALSE(clock.counts_cycles());
    EXPECT_NEAR(error_of(clock), 0, 1e3);
}

TEST(cycle_clock, a_processor_that_is_a_few_cycles_behind_does_not_matter) {
    counter::start(3);
    clock_type clock;
    run_for(clock, 5e9);
    std::uint64_t last = clock.nano();
    for (int i = 0; i < 3'000; ++i) {
        counter::pass(1e6);
        last = clock.nano();
        const double now = counter::cycles_now;
        counter::cycles_now -= 50;
        EXPECT_GE(clock.nano() + 20, last);
        counter::cycles_now = now;
    }
    EXPECT_TRUE(clock.counts_cycles());
}

TEST(cycle_clock, an_interruption_between_both_readings_spoils_nothing) {
    counter::start(3);
    clock_type clock;
    counter::interruption = 5e6;
    static_cast<void>(clock.nano());
    counter::pass(15e6);
    counter::interruption = 5e6;
    static_cast<void>(clock.nano());
    run_for(clock, 1e9);
    for (int i = 0; i < 20; ++i) {
        counter::pass(1e9);
        counter::interruption = 60e6;
        static_cast<void>(clock.nano());
        run_for(clock, 1e9);
        EXPECT_NEAR(error_of(clock), 0, 5e3);
    }
    EXPECT_TRUE(clock.counts_cycles());
}

// Pauses from nanoseconds to hours, slews, counters of any rate, sleeps.
TEST(cycle_clock, random_runs_do_not_go_back_and_end_near_the_other_clock) {
    const std::uint64_t seed = support::number_from("MLFLOW_TRACE_SEED", std::random_device()());
    const std::uint64_t runs = support::number_from("MLFLOW_TRACE_SCHEDULES", 300);
    for (std::uint64_t run = seed; run < seed + runs; ++run) {
        SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(run));
        std::mt19937_64 random(run);
        const auto between = [&](double least, double most) {
            return std::uniform_real_distribution<>(least, most)(random);
        };
        counter::start(between(0.02, 6));
        clock_type clock;
        std::uint64_t last = clock.nano();
        const bool sleeps = random() % 4 == 0;
        for (int step = 0; step < 2'000; ++step) {
            constexpr double longest[] = {100, 1e5, 1e8, 1e10, 1e13};
            counter::pass(between(0, longest[random() % 100 == 0 ? 4 : random() % 4]));
            if (random() % 10 == 0) counter::interruption = between(0, 1e7);
            if (random() % 50 == 0) counter::slew = 1 + between(-5e-4, 5e-4);
            if (sleeps && random() % 500 == 0) counter::cycles_now *= between(0, 3);
            const std::uint64_t now = clock.nano();
            ASSERT_TRUE(now >= last || sleeps) << "step " << step;
            last = now;
        }
        counter::slew = 1;
        run_for(clock, 2e9, 1e8); // the latest correction may have been interrupted
        const std::uint64_t before = clock.nano();
        const double source_before = counter::nano_now;
        run_for(clock, 120e9, 1e8);
        const double passed = static_cast<double>(clock.nano() - before);
        ASSERT_NEAR(passed, counter::nano_now - source_before, 121e6) << "at most a thousandth is made up for";
    }
}

} // namespace
