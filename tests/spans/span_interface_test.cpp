// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/span_interface.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace mt = mlflow::trace;

namespace {

using schema = mt::open_schema;
template <class Recording>
using tracer_with = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, Recording>;

// Every function of a span, a trace, a scope and a tracer, whether anything is recorded or not.
template <class Recording>
struct SpanInterface : testing::Test {
    tracer_with<Recording> traces;
    static constexpr bool is_on = std::is_same_v<Recording, mt::record_all>;
};
using recordings = testing::Types<mt::record_all, mt::record_nothing>;
TYPED_TEST_SUITE(SpanInterface, recordings);

template <class Span>
void call_all(Span& span, const mt::trace_id& other) {
    span.attribute("text", "value").attribute("number", 1).attribute("made", [] { return 2; });
    span.inputs(mt::arg("question", "q"), mt::arg("k", 5)).inputs(7);
    span.outputs(mt::arg("answer", "a")).outputs("whole");
    span.event("moment").event("moment", mt::arg("at", 1)).chunk("piece");
    span.type(mt::span_type::llm).model("m").provider("p").level(mt::log_level::warning);
    span.usage({.input = 1, .output = 2}).cost({.input = 0.5});
    span.link(other, mt::span_id{}).link(other, mt::span_id{}, mt::arg("why", "cause"));
    span.set_status(mt::status::ok).set_status(mt::status::error, "message");
    span.exception("type", "message").exception(std::runtime_error("thrown"));
    try {
        throw std::runtime_error("thrown");
    } catch (...) {
        span.current_exception();
    }
}

TYPED_TEST(SpanInterface, HasEveryCallOfASpan) {
    auto span = this->traces.start_span("span", mt::span_type::tool);
    EXPECT_EQ(span.recording(), this->is_on);
    EXPECT_EQ(span.id().valid(), this->is_on);
    EXPECT_EQ(span.trace_id().valid(), this->is_on);
    EXPECT_EQ(span.remote().trace_id.valid(), this->is_on);
    EXPECT_TRUE(std::string(span.url()).empty());
    call_all(span, span.trace_id());
    EXPECT_EQ(span.run([] { return 3; }), 3);
    auto child = span.start_span("child", mt::span_type::agent);
    EXPECT_EQ(child.recording(), this->is_on);
    child.end();
    span.end();
    EXPECT_FALSE(span.recording());
    call_all(span, {}); // nothing, on a span that has ended
}

TYPED_TEST(SpanInterface, HasEveryCallOfATraceAndAScope) {
    const auto scope = this->traces.scope(mt::user{"user-1"}, mt::tag("tier", "gold"));
    static_assert(!std::is_copy_constructible_v<decltype(scope)> && !std::is_move_constructible_v<decltype(scope)>);
    auto trace = this->traces.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"});
    call_all(trace, {});
    EXPECT_TRUE(trace.set(mt::client_request_id{"request"}, mt::tag("key", "value")));
    EXPECT_TRUE(trace.metadata("own", "value"));
    trace.previews("request", "response");
    EXPECT_TRUE(this->traces.update_current_trace(mt::tag("other", "value")));
    EXPECT_EQ(this->traces.current_trace_id().valid(), this->is_on);
    EXPECT_TRUE(std::string(this->traces.trace_url(trace.trace_id())).empty());
}

TYPED_TEST(SpanInterface, HasEveryCallOfATracer) {
    {
        const auto untraced = this->traces.untraced();
        EXPECT_FALSE(this->traces.start_span("hidden").recording());
    }
    const auto captured = this->traces.capture();
    const auto attached = captured.attach();
    EXPECT_EQ(this->traces.bind([](int i) { return i + 1; })(1), 2);
    EXPECT_EQ((mt::traced<"increment", "i">(this->traces, [](int i) { return i + 1; })(1)), 2);
    EXPECT_TRUE(this->traces.flush(std::chrono::seconds(5)));
    EXPECT_EQ(this->traces.account().started, this->is_on ? 1U : 0U);
    EXPECT_EQ(this->traces.refused_values(), 0U);
    EXPECT_EQ(this->traces.late_sessions(), 0U);
    EXPECT_TRUE(std::string(this->traces.last_error().message()).empty());
    EXPECT_TRUE(this->traces.shutdown(std::chrono::seconds(5)));
}

TYPED_TEST(SpanInterface, LetsAnExceptionOfRunGoOn) {
    auto span = this->traces.start_span("span");
    EXPECT_THROW(span.run([]() -> int { throw std::runtime_error("thrown"); }), std::runtime_error);
}

// A value is made only where it is recorded.
TYPED_TEST(SpanInterface, MakesAValueOnlyForARecordedSpan) {
    int made = 0;
    {
        auto span = this->traces.start_span("span");
        span.attribute("made", [&] { return ++made; });
        EXPECT_EQ(made, this->is_on ? 1 : 0);
        span.end();
        span.attribute("late", [&] { return ++made; });
    }
    EXPECT_EQ(made, this->is_on ? 1 : 0);
}

TEST(RecordedSpan, RejectsUsageAndCostThatMlflowCannotRead) {
    tracer_with<mt::record_all>::options chosen;
    chosen.on_error = [](void*, const mt::error&) noexcept {};
    tracer_with<mt::record_all> traces(chosen);
    auto span = traces.start_span("span");
    span.usage({.input = std::uint64_t{1} << 63U});
    EXPECT_EQ(traces.refused_values(), 1U);
    span.usage({.input = (std::uint64_t{1} << 63U) - 1, .output = 1}); // their sum
    EXPECT_EQ(traces.refused_values(), 2U);
    span.cost({.input = std::numeric_limits<double>::infinity()});
    EXPECT_EQ(traces.refused_values(), 3U);
    span.usage({.input = (std::uint64_t{1} << 63U) - 1}).cost({.output = std::numeric_limits<double>::max()});
    EXPECT_EQ(traces.refused_values(), 3U);
}

} // namespace
