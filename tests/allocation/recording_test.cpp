// SPDX-License-Identifier: Apache-2.0
// Recording allocates nothing once warm: malloc itself is counted, over all threads.
#include "counted_malloc.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <vector>

#ifdef MALLOC_IS_COUNTED

namespace {

namespace mt = mlflow::trace;
using counted_malloc::allocations;
using counted_malloc::memory_is_out;

// Encodes what it gets, as an exporter to a server does, and lets it go.
class encoding_exporter {
public:
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        request_.clear();
        if (mt::append_otlp_request(request_, batch, resource_, mt::otlp_receiver::mlflow))
            outcome.exported_spans = batch.span_count();
        return outcome;
    }

private:
    mt::detail::buffer request_;
    mt::resource_attributes resource_;
};

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
template <class Exporter>
using tracer_to = mt::tracer<schema, mt::thread_local_context, Exporter>;

const std::string text(500, 'x');
const std::vector<int> numbers{1, 2, 3};

template <class Span>
void fill(Span& span) {
    span.attribute("a", "text").attribute("b", 1).attribute("c", 0.5).attribute("d", true).attribute("e", numbers);
    span.usage({.input = 1, .output = 2}).model("builtin").event("seen", mt::arg("at", 3)).chunk("piece");
    span.inputs(mt::arg("question", text), mt::arg("k", 5)).outputs(text);
}

// Four LLM spans, three deep.
template <class Tracer>
void record_trace(Tracer& tracer, const mt::user& user, const mt::session& session) {
    auto root =
        tracer.start_trace("chat", user, session, mt::tag{"stage", "test"}, mt::client_request_id{"request-1"});
    fill(root);
    {
        auto agent = tracer.start_span("agent", mt::span_type::agent);
        fill(agent);
        auto model = tracer.start_span("model", mt::span_type::llm);
        fill(model);
    }
    auto tool = tracer.start_span("tool", mt::span_type::tool);
    fill(tool);
}

TEST(recording_allocates, nothing_on_one_thread_once_warm) {
    tracer_to<encoding_exporter> tracer;
    const auto user = mt::user::parse("user-1042").value();
    const auto session = mt::session::parse("session-7").value();
    for (int i = 0; i < 10; ++i) record_trace(tracer, user, session);
    const long before = allocations.load();
    for (int i = 0; i < 10'000; ++i) record_trace(tracer, user, session);
    EXPECT_EQ(allocations.load() - before, 0);
    EXPECT_EQ(tracer.account().exported, 4U * 10'010);
}

TEST(recording_allocates, nothing_for_metrics_once_warm) {
    using metrics = mt::otlp_metrics<mt::memory_transport, mt::session, mt::by_tag<"stage">>;
    tracer_to<metrics> tracer({.exporter = {.interval = std::chrono::hours(1)}});
    const auto user = mt::user::parse("user-1042").value();
    const auto session = mt::session::parse("session-7").value();
    for (int i = 0; i < 10; ++i) record_trace(tracer, user, session);
    const long before = allocations.load();
    for (int i = 0; i < 1'000; ++i) record_trace(tracer, user, session);
    EXPECT_EQ(allocations.load() - before, 0);
    EXPECT_TRUE(tracer.flush(std::chrono::seconds(10)));
    EXPECT_EQ(tracer.account().exported, 4U * 1'010);
}

// Waits while it is held.
class held_exporter : public encoding_exporter {
public:
    mt::export_result export_traces(mt::trace_batch& batch) {
        is_held.wait(true);
        return encoding_exporter::export_traces(batch);
    }
    static inline std::atomic<bool> is_held{false};
};

TEST(recording_allocates, nothing_with_a_live_consumer_once_warm) {
    tracer_to<mt::batch<held_exporter>> tracer({.exporter = {.delay = std::chrono::milliseconds(1)}});
    const auto user = mt::user::parse("user-1042").value();
    const auto session = mt::session::parse("session-7").value();
    const auto record_round = [&](int traces) {
        for (int i = 0; i < traces; ++i) record_trace(tracer, user, session);
    };
    // More traces wait at once, and larger batches are sent, than later can be.
    for (int i = 0; i < 3; ++i) {
        held_exporter::is_held = true;
        record_round(1'500);
        held_exporter::is_held = false;
        held_exporter::is_held.notify_all();
        ASSERT_TRUE(tracer.flush(std::chrono::seconds(10)));
    }
    // On a machine with other work the pool may take the warming up for a burst and return its memory in the first
    // rounds. A span that allocates would allocate in all of them.
    constexpr int rounds_in_a_row = 20;
    int rounds_without = 0;
    for (int round = 0; round < 10 * rounds_in_a_row && rounds_without < rounds_in_a_row; ++round) {
        const long before = allocations.load();
        record_round(500);
        ASSERT_TRUE(tracer.flush(std::chrono::seconds(10)));
        rounds_without = allocations.load() == before ? rounds_without + 1 : 0;
    }
    EXPECT_EQ(rounds_without, rounds_in_a_row);
    EXPECT_EQ(tracer.account().dropped, 0U);
}

TEST(out_of_memory, spans_that_end_after_their_root_are_counted) {
    tracer_to<encoding_exporter> tracer;
    const auto user = mt::user::parse("user-1042").value();
    const auto session = mt::session::parse("session-7").value();
    mt::trace_batch left_by_others; // else it would be used again
    {
        auto root = tracer.start_trace("root", user, session);
        auto first = tracer.start_span("late");
        auto second = tracer.start_span("later");
        root.end();
        memory_is_out = true;
        while (auto* const one = mt::detail::pool<mt::trace_data>::instance().take()) left_by_others.push_back(one);
        second.end();
        first.end();
        memory_is_out = false;
    }
    const auto account = tracer.account();
    EXPECT_EQ(account.started, 3U);
    EXPECT_EQ(account.exported, 1U);
    EXPECT_EQ(account.dropped, 2U);
    EXPECT_EQ(account.open, 0U);
}

} // namespace

#endif
