// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/pipeline/diagnostics.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <new>
#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

void append(void* context, std::string_view line) noexcept { *static_cast<std::string*>(context) += line; }

TEST(diagnostics, writes_one_line_per_interval) {
    std::string log;
    int described = 0;
    mt::detail::diagnostic_line line({.write = &append, .context = &log, .interval = std::chrono::hours(1)});
    for (int i = 0; i < 3; ++i)
        line.say([&] {
            ++described;
            return std::string("the queue is full");
        });
    EXPECT_EQ(log, "mlflow_trace: the queue is full\n");
    EXPECT_EQ(described, 1) << "described only if a line is due";
}

TEST(diagnostics, without_an_interval_writes_each_line) {
    std::string log;
    mt::detail::diagnostic_line line({.write = &append, .context = &log, .interval = std::chrono::milliseconds(0)});
    for (int i = 0; i < 2; ++i) line.say([] { return std::string("x"); });
    EXPECT_EQ(log, "mlflow_trace: x\nmlflow_trace: x\n");
}

TEST(diagnostics, the_last_line_does_not_wait) {
    std::string log;
    mt::detail::diagnostic_line line({.write = &append, .context = &log, .interval = std::chrono::hours(1)});
    line.say([] { return std::string("first"); });
    line.say_at_once([] { return std::string("last"); });
    EXPECT_EQ(log, "mlflow_trace: first\nmlflow_trace: last\n");
}

TEST(diagnostics, a_text_from_outside_stays_one_line) {
    std::string log;
    mt::detail::diagnostic_line({.write = &append, .context = &log}).say_at_once([] {
        return std::string("a\nb\x1b[31m");
    });
    EXPECT_EQ(log.find('\n'), log.size() - 1);
    EXPECT_EQ(log.find('\x1b'), std::string::npos);
}

TEST(diagnostics, null_disables_logging) {
    mt::detail::diagnostic_line line({.write = nullptr});
    line.say_at_once([] {
        ADD_FAILURE() << "described for nobody";
        return std::string();
    });
}

TEST(diagnostics, no_memory_for_a_line_is_no_line) {
    std::string log;
    mt::detail::diagnostic_line({.write = &append, .context = &log}).say([]() -> std::string {
        throw std::bad_alloc();
    });
    EXPECT_EQ(log, "");
}

} // namespace
