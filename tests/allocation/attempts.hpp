// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "counted_malloc.hpp"

#ifdef MALLOC_IS_COUNTED

#include <gtest/gtest.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <new>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>

// Something is tried again and again, and each time another allocation fails.
namespace attempts {

// What the application may meet itself, where it makes a tracer or asks it something.
template <class Run>
void tried(const Run& run) {
    try {
        run();
    } catch (const std::bad_alloc&) {
    } catch (const std::system_error&) { // no thread
    }
}

// `try_number(number, has_come)` is an attempt.
using by_number = std::function<const char*(long, bool&)>;

// Each in a process of its own.
inline void expect_good_in_fresh_processes(const by_number& try_number, bool may_end = false) {
    constexpr int good = 0, is_over = 10, bad = 11, is_out_of_memory = 12;
    int tried_numbers = 0;
    for (long number = 1, quiet = 0; quiet < 3; ++number) { // which thread comes first is not always the same
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            if (may_end) std::set_terminate([] { ::_exit(is_out_of_memory); });
            bool has_come = false;
            const char* const wrong = try_number(number, has_come);
            if (wrong) std::fprintf(stderr, "allocation %ld: %s\n", number, wrong);
            ::_exit(wrong ? bad : has_come ? good : is_over);
        }
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFEXITED(status)) << "allocation " << number << " ends the program";
        EXPECT_NE(WEXITSTATUS(status), bad) << "allocation " << number;
        quiet = WEXITSTATUS(status) == is_over ? quiet + 1 : 0;
        ++tried_numbers;
    }
    EXPECT_GT(tried_numbers, 10);
}

// Again and again in this one, where the pools have what they need: a block that is lost each time shows.
inline void expect_no_leak(const by_number& try_number) {
    bool has_come = false;
    for (int i = 0; i < 3; ++i) ASSERT_EQ(try_number(0, has_come), nullptr);
    for (long number = 1, quiet = 0; quiet < 3; ++number) {
        constexpr int rounds = 6;
        long live[rounds];
        bool came_once = false;
        for (long& after : live) {
            const char* const wrong = try_number(number, has_come);
            ASSERT_EQ(wrong, nullptr) << "allocation " << number << ": " << wrong;
            came_once = came_once || has_come;
            ASSERT_EQ(try_number(0, has_come), nullptr);
            after = counted_malloc::live;
        }
        bool grows = true;
        for (int i = 1; i < rounds; ++i) grows = grows && live[i] > live[i - 1];
        EXPECT_FALSE(grows) << "allocation " << number << " loses " << (live[rounds - 1] - live[0]) << " blocks in "
                            << rounds - 1 << " rounds";
        quiet = came_once ? 0 : quiet + 1;
    }
}

inline void expect_good(const by_number& try_number) {
    expect_good_in_fresh_processes(try_number);
    if (!testing::Test::HasFatalFailure()) expect_no_leak(try_number);
}

} // namespace attempts

#endif
