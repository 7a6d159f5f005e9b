// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

namespace mt = mlflow::trace;

namespace {

template <class Recording>
using recorder =
    mt::tracer<mt::schema<mt::required<mt::user>>, mt::thread_local_context, mt::memory_exporter, Recording>;

mt::remote_span caller(bool is_sampled) { return {{0x4bf9, 0x2f35}, {0x00f0}, is_sampled}; }

TEST(RemoteSpan, IsLinkedToAndItsTraceLeftAlone) {
    recorder<mt::record_all> tracer;
    mt::trace_id own;
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, caller(true));
        own = trace.trace_id();
        EXPECT_EQ(trace.remote().trace_id, own);
        EXPECT_EQ(trace.remote().id, trace.id());
        EXPECT_TRUE(trace.remote().is_sampled);
    }
    EXPECT_NE(own, caller(true).trace_id) << "what a client sends names no trace of ours";
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].id, own);
    ASSERT_EQ(traces[0].spans.size(), 1U);
    const auto& span = traces[0].spans[0];
    EXPECT_FALSE(span.parent.valid());
    ASSERT_EQ(span.links.size(), 1U);
    EXPECT_EQ(span.links[0].trace_id, caller(true).trace_id);
    EXPECT_EQ(span.links[0].id, caller(true).id);
}

TEST(RemoteSpan, IsFollowedByParentBasedSamplers) {
    recorder<mt::parent_based<>> tracer;
    static_cast<void>(tracer.start_trace("recorded", mt::user{"user-1042"}, caller(true)));
    {
        const auto trace = tracer.start_trace("not recorded", mt::user{"user-1042"}, caller(false));
        EXPECT_FALSE(trace.recording());
        EXPECT_FALSE(tracer.start_span("inside it").recording());
    }
    static_cast<void>(tracer.start_trace("without a caller", mt::user{"user-1042"}));
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_EQ(traces[0].spans[0].name, "recorded");
    EXPECT_EQ(traces[1].spans[0].name, "without a caller");
}

TEST(RemoteSpan, LeavesTracesWithoutOneToTheSamplerInside) {
    using recording = mt::recording_policy<mt::parent_based<mt::record_ratio>>;
    recorder<recording>::options options;
    options.recording.sampler.ratio = 0;
    recorder<recording> tracer(options);
    EXPECT_TRUE(tracer.start_trace("asked for", mt::user{"user-1042"}, caller(true)).recording());
    EXPECT_FALSE(tracer.start_trace("of our own", mt::user{"user-1042"}).recording());
    EXPECT_FALSE(tracer.start_trace("not asked for", mt::user{"user-1042"}, caller(false)).recording());
}

TEST(RemoteSpan, IsTakenWhereTracingIsOff) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, mt::record_nothing> tracer;
    EXPECT_FALSE(tracer.start_trace("chat", caller(true)).recording());
}

} // namespace
