// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/core/split_trace.hpp>
#include <mlflow/trace/spans/span_writer.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
namespace detail = mlflow::trace::detail;

struct collecting {
    struct options {
        mt::trace_batch* into = nullptr;
    };
    explicit collecting(options chosen) noexcept : into(chosen.into) {}
    mt::export_result export_traces(mt::trace_batch& batch) noexcept {
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        into->append(std::move(batch));
        return outcome;
    }
    mt::trace_batch* into;
};
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, collecting>;

// Small traces, of one and of several spans, one that ended after its root, and a large one.
mt::trace_batch recorded() {
    mt::trace_batch into;
    tracer_type tracer({.exporter = {&into}});
    tracer
        .start_trace("ping", mt::user{"user-1042"}, mt::session{"session-7"}, mt::tag{"stage", "test"},
                     mt::client_request_id{"request-1"})
        .end();
    tracer_type::span late;
    {
        auto trace = tracer.start_trace("chat", mt::anonymous, mt::no_session);
        trace.inputs("question").outputs("answer");
        auto inner = tracer.start_span("inner", mt::span_type::tool);
        inner.attribute("number", 7).event("seen");
        late = tracer.start_span("late");
        inner.set_status(mt::status::error, "not there").level(mt::log_level::error);
    }
    late.end();
    tracer.start_trace("large", mt::anonymous, mt::no_session).inputs(std::string(20'000, 'x'));
    return into;
}

void expect_same(const mt::recorded_values& left, const mt::recorded_values& right) {
    EXPECT_TRUE(std::equal(left.begin(), left.end(), right.begin(), right.end()));
}

TEST(packed, says_the_same) {
    const mt::trace_batch original = recorded();
    mt::trace_batch packed = recorded();
    packed.clear();
    for (const mt::trace_data& trace : original) packed.push_back(detail::packed(trace));
    ASSERT_EQ(packed.size(), 4U);
    EXPECT_EQ(packed.span_count(), original.span_count());
    EXPECT_EQ(packed.bytes(), original.bytes());
    auto copy = packed.begin();
    for (const mt::trace_data& trace : original) {
        const mt::recorded_trace expected = mt::decode(trace);
        const mt::recorded_trace found = mt::decode(*copy);
        EXPECT_EQ(found.id, expected.id);
        EXPECT_EQ(found.has_root, expected.has_root);
        EXPECT_EQ(found.client_request_id, expected.client_request_id);
        expect_same(found.metadata, expected.metadata);
        expect_same(found.tags, expected.tags);
        EXPECT_EQ(copy->start_unix_nano, trace.start_unix_nano);
        EXPECT_EQ(copy->duration_nano, trace.duration_nano);
        EXPECT_EQ(copy->check_identity, trace.check_identity);
        ASSERT_EQ(found.spans.size(), expected.spans.size());
        const mt::span_data* of_copy = copy->spans;
        for (const mt::span_data* span = trace.spans; span; span = span->next, of_copy = of_copy->next) {
            EXPECT_EQ(of_copy->body.view(), span->body.view());
            EXPECT_EQ(of_copy->id, span->id);
            EXPECT_EQ(of_copy->is_root, span->is_root);
            EXPECT_EQ(of_copy->has_parent, span->has_parent);
            EXPECT_EQ(of_copy->needs_rewrite, span->needs_rewrite);
            EXPECT_EQ(of_copy->lost_something, span->lost_something);
            EXPECT_EQ(of_copy->code, span->code);
            EXPECT_EQ(of_copy->level, span->level);
            EXPECT_EQ(of_copy->has_own_level, span->has_own_level);
            EXPECT_EQ(copy->root == of_copy, trace.root == span);
        }
        EXPECT_EQ(of_copy, nullptr);
        ++copy;
    }
}

TEST(packed, are_those_that_hold_far_more_than_they_say) {
    mt::trace_batch traces = recorded();
    const std::size_t before = traces.memory();
    const std::size_t spans = traces.span_count();
    std::vector<bool> is_worth_it;
    for (const mt::trace_data& trace : traces) is_worth_it.push_back(detail::is_worth_packing(trace));
    EXPECT_FALSE(is_worth_it.back()) << "the large one";
    detail::pack(traces);
    EXPECT_EQ(traces.span_count(), spans);
    EXPECT_LE(traces.memory(), before);
    std::vector<bool> is_packed;
    std::size_t memory = 0;
    for (const mt::trace_data& trace : traces) {
        is_packed.push_back(trace.block != nullptr);
        memory += trace.memory();
        EXPECT_FALSE(detail::is_worth_packing(trace));
    }
    EXPECT_EQ(is_packed, is_worth_it);
    EXPECT_EQ(traces.memory(), memory);
    detail::pack(traces); // again: nothing
    EXPECT_EQ(traces.memory(), memory);
}

// Its parts may go different ways, in any order, and the block goes with the last of them.
TEST(packed, can_be_divided) {
    mt::trace_batch traces = recorded();
    traces.clear();
    {
        tracer_type tracer({.exporter = {&traces}});
        auto trace = tracer.start_trace("chat", mt::anonymous, mt::no_session);
        for (int i = 0; i < 5; ++i) static_cast<void>(tracer.start_span("inner " + std::to_string(i)));
    }
    mt::trace_data* const whole = detail::packed(*traces.begin());
    traces.clear();
    ASSERT_NE(whole, nullptr);
    const std::size_t memory = whole->memory();
    mt::trace_data* const half = detail::split_off_half(*whole);
    ASSERT_NE(half, nullptr);
    EXPECT_EQ(whole->span_count, 3U);
    EXPECT_EQ(half->span_count, 3U);
    EXPECT_GE(whole->memory() + half->memory(), memory);
    mt::trace_batch second(half);
    mt::trace_batch(whole).clear();
    EXPECT_EQ(mt::decode(*second.begin()).spans.size(), 3U);
    EXPECT_EQ(mt::decode(*second.begin()).spans[0].name, "inner 0");
}

// As an exporter's decorator does, which does not know what is packed.
TEST(packed, can_be_written_to) {
    mt::trace_batch traces;
    {
        mt::trace_batch original = recorded();
        detail::pack(original);
        while (mt::trace_data* const trace = original.pop_front()) {
            EXPECT_TRUE(trace->entries.set(mt::entry_kind::tag, "stage", std::string(300, 's')));
            EXPECT_TRUE(trace->entries.set(mt::entry_kind::tag, "stage", "production"));
            for (mt::span_data* span = trace->spans; span; span = span->next) {
                const std::string before(span->body.view());
                EXPECT_TRUE(detail::append_attribute(span->body, detail::otlp::attributes, "added",
                                                     std::string(900, 'a'), span->needs_rewrite));
                EXPECT_EQ(span->body.view().substr(0, before.size()), before);
            }
            traces.push_back(trace);
        }
    }
    ASSERT_EQ(traces.size(), 4U);
    const auto first = mt::decode(*traces.begin());
    EXPECT_EQ(first.metadata["mlflow.trace.user"], "user-1042");
    for (const mt::trace_data& trace : traces) {
        const auto read = mt::decode(trace);
        EXPECT_EQ(read.tags["stage"], "production");
        for (const auto& span : read.spans) EXPECT_EQ(span.attributes["added"], std::string(900, 'a')) << span.name;
    }
    // Once more packed, what was written to goes along.
    mt::trace_batch again;
    for (const mt::trace_data& trace : traces) again.push_back(detail::packed(trace));
    EXPECT_EQ(mt::decode(*again.begin()).tags["stage"], "production");
}

} // namespace
