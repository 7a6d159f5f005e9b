// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/recording/session_ratio.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <map>
#include <string>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mt = mlflow::trace;

namespace {

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::optional<mt::session>, mt::optional<segment>>;
template <class Recording>
using recorder = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, Recording>;

struct discard {
    static constexpr bool is_thread_safe = true;
    mt::export_result export_traces(mt::trace_batch& batch) noexcept {
        return {.exported_spans = batch.span_count()};
    }
};

// How many turns of each session a process of its own records.
template <std::size_t Sessions>
std::array<unsigned char, Sessions> recorded_elsewhere(double ratio, int turns) {
    std::array<unsigned char, Sessions> recorded{};
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) return recorded;
    const pid_t child = fork();
    if (child == 0) {
        mt::tracer<schema, mt::thread_local_context, discard, mt::record_session_ratio<>> tracer(
            {.recording = {.ratio = ratio}});
        for (int turn = 0; turn < turns; ++turn)
            for (std::size_t i = 0; i < Sessions; ++i) {
                const auto session = mt::session::parse("session-" + std::to_string(i)).value();
                if (tracer.start_trace("turn", mt::anonymous, session).recording()) ++recorded[i];
            }
        const bool all_are_written =
            tracer.late_sessions() == 0 &&
            write(ends[1], recorded.data(), recorded.size()) == static_cast<ssize_t>(recorded.size());
        _exit(all_are_written ? 0 : 1);
    }
    close(ends[1]);
    std::size_t have = 0;
    for (ssize_t more = 1; more > 0 && have < Sessions; have += static_cast<std::size_t>(more > 0 ? more : 0))
        more = read(ends[0], recorded.data() + have, Sessions - have);
    close(ends[0]);
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_EQ(have, Sessions);
    EXPECT_EQ(status, 0);
    return recorded;
}

TEST(session_ratio, sessions_are_kept_whole_and_alike_in_every_process) {
    constexpr double ratio = 0.3;
    constexpr int sessions = 10'000;
    constexpr int turns = 34; // 1,020,000 starts
    std::array<int, sessions> recorded{};
    for (int process = 0; process < 3; ++process) {
        const auto turns_of = recorded_elsewhere<sessions>(ratio, turns);
        for (std::size_t i = 0; i < sessions; ++i) recorded[i] += turns_of[i];
    }
    int kept = 0;
    for (const int count : recorded) {
        EXPECT_TRUE(count == 0 || count == 3 * turns) << count;
        kept += count != 0 ? 1 : 0;
    }
    const double deviation = std::sqrt(sessions * ratio * (1 - ratio));
    EXPECT_NEAR(kept, sessions * ratio, 4 * deviation);
}

TEST(session_ratio, the_hash_is_spread_evenly_over_ids_that_are_alike) {
    for (const char* const form :
         {"%d", "user-%d", "%08d-0000-7000-8000-000000000000", "a very long prefix of all of them %d"}) {
        std::map<unsigned, int> buckets;
        for (int i = 0; i < 16'000; ++i) {
            char text[80];
            std::snprintf(text, sizeof text, form, i);
            ++buckets[static_cast<unsigned>(mt::detail::spread_hash(text) >> 60U)];
        }
        ASSERT_EQ(buckets.size(), 16U) << form;
        for (const auto& [bucket, count] : buckets) EXPECT_NEAR(count, 1000, 150) << form << ' ' << bucket;
    }
    EXPECT_EQ(mt::detail::spread_hash("session-1"), mt::detail::spread_hash(std::string("session-1")));
}

TEST(session_ratio, each_value_of_a_key_may_have_a_share_of_its_own) {
    recorder<mt::record_session_ratio<segment>> tracer(
        {.recording = {.ratio = 0, .ratios = {{segment{"pro"}, 1.0}, {segment{"free"}, 0.0}}}});
    EXPECT_TRUE(tracer.start_trace("x", mt::anonymous, mt::session{"s"}, segment{"pro"}).recording());
    EXPECT_FALSE(tracer.start_trace("x", mt::anonymous, mt::session{"s"}, segment{"free"}).recording());
    EXPECT_FALSE(tracer.start_trace("x", mt::anonymous, mt::session{"s"}, segment{"other"}).recording());
    EXPECT_FALSE(tracer.start_trace("x", mt::anonymous, mt::session{"s"}).recording());
    const auto scope = tracer.scope(segment{"pro"});
    EXPECT_TRUE(tracer.start_trace("x", mt::anonymous, mt::session{"s"}).recording());
    EXPECT_TRUE(tracer.start_trace("x", mt::anonymous).recording()) << "without a session, by the trace";
}

TEST(session_ratio, a_session_that_becomes_known_later_is_counted) {
    recorder<mt::record_session_ratio<>> tracer({.recording = {.ratio = 1}});
    static_cast<void>(tracer.start_trace("never known", mt::anonymous));
    static_cast<void>(tracer.start_trace("known", mt::anonymous, mt::session{"s"}));
    EXPECT_EQ(tracer.late_sessions(), 0U);
    {
        auto late = tracer.start_trace("late", mt::anonymous);
        EXPECT_TRUE(late.set(mt::session{"s"}));
    }
    {
        auto late = tracer.start_span("late too");
        EXPECT_TRUE(tracer.update_current_trace(mt::session{"s"}));
    }
    EXPECT_EQ(tracer.late_sessions(), 2U);
    const auto scope = tracer.scope(mt::session{"s"});
    tracer.start_span("in time").end();
    EXPECT_EQ(tracer.late_sessions(), 2U);
}

} // namespace
