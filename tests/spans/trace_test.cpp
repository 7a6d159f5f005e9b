// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/trace.hpp>

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

namespace mt = mlflow::trace;

namespace {

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::optional<segment>>;
template <class Schema>
using tracer_for = mt::tracer<Schema, mt::thread_local_context, mt::memory_exporter>;
template <class Tracer>
typename Tracer::options quiet() {
    return {.on_error = [](void*, const mt::error&) noexcept {}};
}

template <class Trace>
concept takes_names = requires(Trace& trace) { trace.metadata("name", "value"); };
static_assert(takes_names<tracer_for<mt::open_schema>::trace> && !takes_names<tracer_for<schema>::trace>);
static_assert(!std::is_copy_constructible_v<tracer_for<schema>::trace>);

TEST(trace, sets_the_rest_after_a_value_that_is_rejected) {
    tracer_for<schema> traces(quiet<tracer_for<schema>>());
    {
        auto trace = traces.start_trace("chat", mt::user{"user-1"});
        EXPECT_FALSE(trace.set(mt::user{"user-2"}, segment{"pro"}, mt::tag("mlflow.own", "x"), mt::tag("own", "y")));
        EXPECT_TRUE(trace.set(mt::user{"user-1"}, segment{"pro"})) << "the same again";
        EXPECT_TRUE(trace.set(mt::tag("own", "z"))) << "a tag may change";
        EXPECT_TRUE(trace.set()) << "nothing";
    }
    EXPECT_EQ(traces.refused_values(), 2U);
    const auto recorded = traces.exporter().take().at(0);
    EXPECT_EQ(recorded.metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(recorded.metadata["app.segment"], "pro");
    EXPECT_EQ(recorded.tags["own"], "z");
}

TEST(trace, that_has_ended_takes_nothing_and_reports_nothing) {
    tracer_for<mt::open_schema> traces(quiet<tracer_for<mt::open_schema>>());
    auto trace = traces.start_trace("chat");
    trace.end();
    EXPECT_FALSE(trace.set(mt::user{"user-1"}));
    EXPECT_FALSE(trace.metadata("name", "value"));
    trace.previews("request", "response");
    EXPECT_EQ(traces.refused_values(), 0U);
    EXPECT_TRUE(traces.exporter().take().at(0).metadata.empty());
}

TEST(trace, previews_are_cut_to_1000_characters) {
    tracer_for<mt::open_schema> traces;
    std::string wide;
    for (int i = 0; i < 1'001; ++i) wide += "\xC3\xBC";
    {
        auto trace = traces.start_trace("chat");
        trace.previews(wide, "first");
        trace.previews("", "second"); // an empty one changes nothing
    }
    const auto recorded = traces.exporter().take().at(0);
    EXPECT_EQ(recorded.request_preview, wide.substr(0, 2'000));
    EXPECT_EQ(recorded.response_preview, "second");
}

TEST(trace, of_an_open_schema_takes_names_that_mlflow_does_not_keep_for_itself) {
    tracer_for<mt::open_schema> traces(quiet<tracer_for<mt::open_schema>>());
    {
        auto trace = traces.start_trace("chat");
        EXPECT_TRUE(trace.metadata("app.anything", "value"));
        EXPECT_FALSE(trace.metadata("mlflow.trace.user", "user-1"));
        EXPECT_FALSE(trace.metadata("app.other", std::string(251, 'v')));
        EXPECT_FALSE(trace.metadata("app.anything", "another"));
    }
    EXPECT_EQ(traces.refused_values(), 3U);
    EXPECT_EQ(traces.exporter().take().at(0).metadata.size(), 1U);
}

} // namespace
