// SPDX-License-Identifier: Apache-2.0
// Spans that end on another thread than the one on which they are current.
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::schema<mt::required<mt::user>>, mt::thread_local_context, mt::memory_exporter>;

template <class Span>
void end_elsewhere(Span span) {
    std::thread([moved = std::move(span)]() mutable { moved.end(); }).join();
}

TEST(threads, the_spans_around_one_that_ended_elsewhere_stay_current) {
    tracer_type tracer;
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1"});
        auto outer = tracer.start_span("outer");
        end_elsewhere(tracer.start_span("inner"));
        auto next = tracer.start_span("next");
        EXPECT_EQ(next.trace_id(), trace.trace_id());
        next.end();
        end_elsewhere(std::move(outer));
        auto last = tracer.start_span("last");
        EXPECT_EQ(last.trace_id(), trace.trace_id());
    }
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].find("next")->parent, traces[0].find("outer")->id);
    EXPECT_EQ(traces[0].find("last")->parent, traces[0].find("chat")->id);
}

TEST(threads, what_is_off_stays_off_when_a_span_inside_it_ended_elsewhere) {
    tracer_type tracer;
    const auto off = tracer.untraced();
    end_elsewhere(tracer.start_span("not recorded"));
    end_elsewhere(tracer.start_trace("nor this", mt::user{"user-1"}));
    auto span = tracer.start_span("nor this one");
    EXPECT_FALSE(span.recording());
    EXPECT_FALSE(tracer.start_trace("still not", mt::user{"user-1"}).recording());
}

TEST(threads, a_trace_that_ended_elsewhere_is_not_current_any_more) {
    tracer_type tracer;
    auto trace = tracer.start_trace("chat", mt::user{"user-1"});
    const auto ended = trace.trace_id();
    end_elsewhere(std::move(trace));
    EXPECT_FALSE(mt::current_trace_id().valid());
    EXPECT_NE(tracer.start_span("next").trace_id(), ended);
}

// One thread starts spans inside its trace while another ends that trace and reuses what it was made of.
TEST(threads, spans_never_land_in_the_trace_of_another_user) {
    tracer_type tracer;
    std::atomic<tracer_type::trace*> handed_over{nullptr};
    std::atomic<bool> done{false};
    std::thread other([&] {
        while (!done.load()) {
            tracer_type::trace* const trace = handed_over.load();
            if (!trace) {
                std::this_thread::yield();
                continue;
            }
            trace->end();
            auto theirs = tracer.start_trace("theirs", mt::user{"user-other"});
            auto span = tracer.start_span("theirs");
            span.end();
            handed_over.store(nullptr);
        }
    });
    for (int i = 0; i < 2'000; ++i) {
        auto trace = tracer.start_trace("mine", mt::user{"user-mine"});
        handed_over.store(&trace);
        while (handed_over.load()) {
            auto span = tracer.start_span("mine");
            auto inner = tracer.start_span("mine");
            tracer.update_current_trace(mt::tag("whose", "mine"));
            static_cast<void>(mt::capture().attach());
            std::this_thread::yield();
        }
    }
    done.store(true);
    other.join();

    std::map<std::string, std::string> names;
    for (const auto& part : tracer.exporter().take()) {
        for (const auto& span : part.spans) {
            const auto [known, is_new] = names.emplace(part.id.hex().view(), span.name);
            EXPECT_EQ(known->second, span.name);
        }
        const std::string name = part.spans.at(0).name;
        EXPECT_TRUE(!part.tags.contains("whose") || name == "mine");
        if (const std::string user = part.metadata["mlflow.trace.user"]; !user.empty()) {
            EXPECT_EQ(user, name == "mine" ? "user-mine" : "user-other");
        }
    }
    EXPECT_GE(names.size(), 4'000U);
    EXPECT_EQ(tracer.account().open, 0U);
}

} // namespace
