// SPDX-License-Identifier: Apache-2.0
// Exporters of an application that do not count what they are given: the account is balanced all the same.
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>

namespace {

namespace mt = mlflow::trace;

constexpr std::size_t very_many = std::numeric_limits<std::size_t>::max();

// What it says of two spans.
template <std::size_t Exported, std::size_t Failed>
struct miscounting {
    mt::export_result export_traces(mt::trace_batch&) const {
        return {.exported_spans = Exported, .failed_spans = Failed};
    }
};

// Defers, and says anything about itself.
struct boasting {
    static constexpr bool is_thread_safe = true;
    mt::export_result export_traces(mt::trace_batch&) const { return {}; }
    bool flush(std::chrono::steady_clock::time_point) const { return true; }
    bool shutdown(std::chrono::steady_clock::time_point) const { return true; }
    mt::span_account account() const { return {.exported = 100, .queued = very_many}; }
};

template <class Exporter>
mt::span_account account_of_two_spans(std::string& error) {
    mt::tracer<mt::open_schema, mt::thread_local_context, Exporter> tracer;
    {
        auto root = tracer.start_trace("root");
        static_cast<void>(tracer.start_span("inner"));
    }
    tracer.flush(std::chrono::seconds(10));
    error = tracer.last_error().message();
    return tracer.account();
}

template <class Exporter>
void expect(std::uint64_t exported) {
    std::string error;
    const auto account = account_of_two_spans<Exporter>(error);
    EXPECT_EQ(account.started, 2U);
    EXPECT_EQ(account.exported, exported);
    EXPECT_EQ(account.failed, 2U - exported);
    EXPECT_EQ(account.dropped + account.queued + account.open, 0U);
    EXPECT_NE(error, "");
}

template <std::size_t Exported, std::size_t Failed>
void expect_everywhere(std::uint64_t exported) {
    expect<miscounting<Exported, Failed>>(exported);
    expect<mt::batch<miscounting<Exported, Failed>>>(exported);
}

TEST(miscounting_exporter, is_counted_by_what_there_is) {
    expect_everywhere<0, 0>(0);
    expect_everywhere<1, 0>(1);
    expect_everywhere<100, 0>(2);
    expect_everywhere<very_many, 0>(2);
    expect_everywhere<0, 100>(0);
    expect_everywhere<2, 1>(1);
    expect_everywhere<very_many, very_many>(0);
    expect<mt::batch<mt::retry<miscounting<0, 0>>>>(0);
}

TEST(miscounting_exporter, that_defers_cannot_say_more_than_there_is) {
    std::string error;
    const auto account = account_of_two_spans<boasting>(error);
    EXPECT_EQ(account.exported, 2U);
    EXPECT_EQ(account.queued + account.failed + account.dropped + account.open, 0U);
}

} // namespace
