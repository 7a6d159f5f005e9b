// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<segment>>;
template <class Schema = mt::open_schema, class Context = mt::thread_local_context, class Recording = mt::record_all>
using recorder = mt::tracer<Schema, Context, mt::memory_exporter, Recording>;

// Refused values, as the application's handler sees them.
struct refusals {
    std::vector<mt::error> seen;
    static void add(void* context, const mt::error& error) noexcept {
        static_cast<refusals*>(context)->seen.push_back({error.kind(), {}, error.actual(), error.limit()});
    }
};

template <class Tracer>
void expect_balanced(const Tracer& tracer) {
    const auto a = tracer.account();
    EXPECT_EQ(a.started, a.exported + a.failed + a.dropped + a.queued + a.open);
}

TEST(tracer, nests_spans_by_the_call_stack) {
    recorder<> tracer;
    {
        auto root = tracer.start_trace("root");
        {
            auto child = tracer.start_span("child", mt::span_type::tool);
            auto grandchild = tracer.start_span("grandchild");
        }
        auto sibling = tracer.start_span("sibling");
        EXPECT_EQ(tracer.account().open, 4U);
        expect_balanced(tracer);
    }
    auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    const auto& trace = traces[0];
    ASSERT_EQ(trace.spans.size(), 4U);
    const auto* root = trace.root();
    EXPECT_EQ(root->name, "root");
    EXPECT_EQ(trace.find("child")->parent, root->id);
    EXPECT_EQ(trace.find("child")->attributes["mlflow.spanType"], "TOOL");
    EXPECT_EQ(trace.find("grandchild")->parent, trace.find("child")->id);
    EXPECT_EQ(trace.find("sibling")->parent, root->id);
    for (const auto& span : trace.spans) {
        EXPECT_EQ(span.code, mt::status::ok);
        EXPECT_LE(root->start_unix_nano, span.start_unix_nano);
        EXPECT_LE(span.start_unix_nano, span.end_unix_nano);
        EXPECT_LE(span.end_unix_nano, root->end_unix_nano);
    }
    EXPECT_EQ(tracer.account().exported, 4U);
    EXPECT_EQ(tracer.account().open, 0U);
}

TEST(tracer, a_new_trace_inside_another_is_its_own) {
    recorder<> tracer;
    {
        auto outer = tracer.start_trace("outer");
        {
            auto inner = tracer.start_trace("inner", mt::nested);
            EXPECT_NE(outer.trace_id(), inner.trace_id());
        }
        auto span = tracer.start_span("after");
        EXPECT_EQ(span.trace_id(), outer.trace_id());
    }
    EXPECT_EQ(tracer.exporter().take().size(), 2U);
}

TEST(tracer, spans_may_end_in_any_order) {
    recorder<> tracer;
    auto root = tracer.start_trace("root");
    auto first = tracer.start_span("first");
    auto second = tracer.start_span("second");
    first.end();
    auto third = tracer.start_span("third"); // inside the second, which is still open
    second.end();
    third.end();
    auto fourth = tracer.start_span("fourth");
    fourth.end();
    root.end();
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.find("third")->parent, trace.find("second")->id);
    EXPECT_EQ(trace.find("fourth")->parent, trace.root()->id);
}

TEST(tracer, a_span_that_ends_after_its_root_arrives) {
    recorder<> tracer;
    auto root = tracer.start_trace("root");
    auto late = root.start_span("late");
    const auto id = root.trace_id();
    root.end();
    EXPECT_EQ(tracer.exporter().traces().size(), 1U);
    late.attribute("still", "open");
    late.end();
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_EQ(traces[1].id, id);
    EXPECT_FALSE(traces[1].has_root);
    EXPECT_EQ(traces[1].spans.at(0).attributes["still"], "open");
    EXPECT_EQ(traces[1].spans.at(0).parent, traces[0].root()->id);
    EXPECT_EQ(tracer.account().exported, 2U);
}

TEST(tracer, a_span_may_outlive_its_tracer) {
    std::optional<recorder<>::span> span;
    {
        recorder<> tracer;
        span.emplace(tracer.start_span("alone"));
    }
    span->attribute("key", "value");
    span.reset();
    EXPECT_FALSE(mt::current_trace_id().valid());
}

TEST(tracer, after_shutdown_spans_are_dropped_and_counted) {
    recorder<> tracer;
    auto span = tracer.start_span("late");
    EXPECT_TRUE(tracer.shutdown(1s));
    EXPECT_TRUE(tracer.shutdown(1s));
    span.end();
    EXPECT_EQ(tracer.account().dropped, 1U);
    EXPECT_TRUE(tracer.exporter().traces().empty());
    expect_balanced(tracer);
}

TEST(tracer, two_tracers_on_one_thread_keep_apart) {
    recorder<> one, other;
    {
        auto first = one.start_trace("first", mt::user{"a"});
        auto second = other.start_span("second"); // not inside the first, which is another tracer's
        auto third = one.start_span("third");
        EXPECT_NE(first.trace_id(), second.trace_id());
        EXPECT_EQ(first.trace_id(), third.trace_id());
    }
    EXPECT_EQ(one.exporter().take().at(0).spans.size(), 2U);
    EXPECT_EQ(other.exporter().take().at(0).metadata.size(), 0U);
}

TEST(tracer, a_span_ended_on_another_thread_leaves_no_trace_behind) {
    recorder<> tracer;
    auto span = tracer.start_span("moved");
    std::thread([moved = std::move(span)]() mutable { moved.end(); }).join();
    EXPECT_FALSE(mt::current_trace_id().valid());
    auto next = tracer.start_span("next");
    next.end();
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_NE(traces[0].id, traces[1].id);
}

TEST(tracer, explicit_context_nests_only_by_hand) {
    recorder<mt::open_schema, mt::explicit_context> tracer;
    {
        auto root = tracer.start_trace("root");
        auto stranger = tracer.start_span("stranger");
        auto child = root.start_span("child");
        EXPECT_NE(stranger.trace_id(), root.trace_id());
        EXPECT_EQ(child.trace_id(), root.trace_id());
    }
    EXPECT_EQ(tracer.exporter().take().size(), 2U);
}

TEST(tracer, metadata_is_written_once) {
    refusals refused;
    recorder<schema> tracer({.on_error = &refusals::add, .error_context = &refused});
    {
        auto trace = tracer.start_trace("chat", mt::user{"first"}, mt::no_session);
        EXPECT_TRUE(trace.set(mt::user{"first"}));
        EXPECT_FALSE(trace.set(mt::user{"second"}));
        EXPECT_TRUE(trace.set(mt::tag{"t", "1"}));
        EXPECT_TRUE(trace.set(mt::tag{"t", "2"}));
        EXPECT_TRUE(tracer.update_current_trace(segment{"pro"}, mt::client_request_id{"r-1"}));
        EXPECT_FALSE(tracer.update_current_trace(mt::client_request_id{"r-2"}));
        EXPECT_FALSE(trace.set(mt::tag{"bad\nkey", "v"}));
        EXPECT_FALSE(trace.set(mt::tag{"mlflow.traceName", "v"}));
        EXPECT_FALSE(trace.set(mt::tag{"a//b", "v"}));
        EXPECT_FALSE(trace.set(mt::tag{"long", std::string(4097, 'x')}));
    }
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.metadata["mlflow.trace.user"], "first");
    EXPECT_FALSE(trace.metadata.contains("mlflow.trace.session"));
    EXPECT_EQ(trace.metadata["app.segment"], "pro");
    EXPECT_EQ(trace.client_request_id, "r-1");
    EXPECT_EQ(trace.tags.size(), 1U);
    EXPECT_EQ(trace.tags["t"], "2");
    ASSERT_EQ(refused.seen.size(), 6U);
    EXPECT_EQ(refused.seen[0].kind(), mt::error_kind::already_set);
    EXPECT_EQ(refused.seen[5].limit(), 4096U);
    EXPECT_EQ(tracer.refused_values(), 6U);
}

TEST(tracer, that_there_is_no_value_is_said_once_too) {
    refusals refused;
    recorder<schema> tracer({.on_error = &refusals::add, .error_context = &refused});
    {
        auto trace = tracer.start_trace("chat", mt::anonymous, mt::session{"s"});
        EXPECT_TRUE(trace.set(mt::anonymous));
        EXPECT_FALSE(trace.set(mt::user{"u"}));
        EXPECT_FALSE(trace.set(mt::no_session));
        const auto scope = tracer.scope(mt::user{"u"});
    }
    EXPECT_EQ(refused.seen.size(), 3U);
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_FALSE(trace.metadata.contains("mlflow.trace.user"));
    EXPECT_EQ(trace.metadata["mlflow.trace.session"], "s");
}

TEST(tracer, updates_need_an_open_trace) {
    refusals refused;
    recorder<schema> tracer({.on_error = &refusals::add, .error_context = &refused});
    EXPECT_FALSE(tracer.update_current_trace(segment{"pro"}));
    ASSERT_EQ(refused.seen.size(), 1U);
    EXPECT_EQ(refused.seen[0].kind(), mt::error_kind::no_open_trace);
    EXPECT_FALSE(mt::update_current_trace(segment{"pro"}));

    using unknown = mt::key<"app.unknown">;
    auto trace = tracer.start_trace("chat", mt::anonymous, mt::no_session);
    EXPECT_TRUE(mt::update_current_trace(segment{"pro"}, mt::tag{"a", "b"}));
    EXPECT_FALSE(mt::update_current_trace(unknown{"x"}));
    ASSERT_EQ(refused.seen.size(), 2U);
    EXPECT_EQ(refused.seen[1].kind(), mt::error_kind::not_in_schema);
    EXPECT_EQ(mt::current_trace_id(), trace.trace_id());
}

TEST(tracer, an_open_schema_takes_keys_known_at_run_time) {
    recorder<> tracer;
    {
        auto trace = tracer.start_trace("chat");
        EXPECT_TRUE(trace.metadata("app.build", "42"));
        EXPECT_FALSE(trace.metadata("app.build", "43"));
        EXPECT_FALSE(trace.metadata("mlflow.trace.sesion", "x"));
        EXPECT_FALSE(trace.metadata("name", "x"));
        EXPECT_FALSE(trace.metadata("app.empty", ""));
    }
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.metadata.size(), 1U);
    EXPECT_EQ(trace.metadata["app.build"], "42");
}

TEST(tracer, required_values_that_nobody_gave_are_reported_at_the_end) {
    refusals refused;
    using late_schema = mt::schema<mt::required<mt::user>, mt::late<mt::session>>;
    recorder<late_schema> tracer({.on_error = &refusals::add, .error_context = &refused});
    {
        auto span = tracer.start_span("nobody's");
    }
    EXPECT_EQ(refused.seen.size(), 2U);
    {
        auto trace = tracer.start_trace("chat", mt::user{"u"});
        trace.set(mt::session{"known only now"});
    }
    {
        auto trace = tracer.start_trace("chat", mt::anonymous);
        trace.set(mt::no_session);
    }
    EXPECT_EQ(refused.seen.size(), 2U);
    {
        auto trace = tracer.start_trace("chat", mt::user{"u"});
    }
    ASSERT_EQ(refused.seen.size(), 3U);
    EXPECT_EQ(refused.seen[2].kind(), mt::error_kind::missing);
    EXPECT_EQ(tracer.exporter().take().size(), 4U) << "nothing is lost by it";
}

TEST(tracer, reserved_attributes_are_refused_and_others_kept) {
    recorder<> tracer;
    {
        auto span = tracer.start_span("span");
        for (const char* key : {"user.id", "session.id", "gen_ai.conversation.id", "mlflow.traceRequestId",
                                "mlflow.trace.user", "mlflow.spanInputs", "mlflow.llm.cost", ""})
            span.attribute(key, "x");
        span.attribute("user.idle", 1).attribute("mlflow.chat.tools", "[]");
    }
    EXPECT_EQ(tracer.refused_values(), 8U);
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.attributes.size(), 4U); // with the span's type and level
    EXPECT_EQ(span.attributes["user.idle"], "1");
}

TEST(tracer, invalid_utf8_becomes_a_replacement_character) {
    recorder<> tracer;
    {
        tracer.start_span("na\xffme").attribute("k\xC3", "v\xED\xA0\x80").inputs("\xfe");
    }
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.name, "na\xEF\xBF\xBDme");
    EXPECT_EQ(span.attributes["k\xEF\xBF\xBD"].substr(0, 4), "v\xEF\xBF\xBD");
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], "\"\xEF\xBF\xBD\"");
}

TEST(tracer, large_texts_are_whole) {
    recorder<> tracer;
    const std::string large(10'000'000, '"');
    {
        tracer.start_span("large").inputs(large);
    }
    EXPECT_EQ(tracer.exporter().take().at(0).spans.at(0).attributes["mlflow.spanInputs"].size(),
              2 * large.size() + 2);
}

TEST(tracer, what_is_not_sampled_has_no_children_either) {
    recorder<mt::open_schema, mt::thread_local_context, mt::record_ratio> tracer({.recording = {.ratio = 0}});
    {
        auto root = tracer.start_trace("root", mt::user{"u"});
        EXPECT_FALSE(root.recording());
        auto child = tracer.start_span("child");
        child.attribute("a", 1).inputs("x");
        EXPECT_TRUE(tracer.update_current_trace(mt::session{"s"}));
        EXPECT_FALSE(mt::current_trace_id().valid());
    }
    EXPECT_TRUE(tracer.exporter().take().empty());
    EXPECT_EQ(tracer.account().started, 0U);
}

TEST(tracer, off_at_compile_time_takes_all_calls_and_records_nothing) {
    recorder<mt::open_schema, mt::thread_local_context, mt::record_nothing> tracer({.enabled = true});
    const auto scope = tracer.scope(mt::user{"u"});
    auto trace = tracer.start_trace("root", mt::user{"u"}, mt::span_type::agent);
    trace.previews("q", "a");
    EXPECT_TRUE(trace.set(mt::tag("k", "v")) && trace.metadata("app.k", "v"));
    auto span = tracer.start_span("child").start_span("grandchild");
    span.attribute("a", 1).inputs("x").outputs(mt::arg("y", 2)).event("e").chunk("c").level(mt::log_level::info);
    EXPECT_EQ(span.run([] { return 42; }), 42);
    EXPECT_FALSE(trace.recording() || span.recording() || mt::current_trace_id().valid());
    auto same = mt::traced<"name", "x">(tracer, [](int x) { return x; });
    EXPECT_EQ(same(7), 7);
    EXPECT_TRUE(tracer.update_current_trace(mt::session{"s"}) && tracer.flush(std::chrono::seconds(1)));
    EXPECT_EQ(tracer.account().started, 0U);
}

TEST(tracer, a_callable_is_called_only_for_what_is_recorded) {
    recorder<mt::open_schema> tracer;
    int calls = 0;
    const auto dear = [&calls] { return ++calls; };
    auto span = tracer.start_span("span");
    span.inputs(mt::arg("n", dear)).outputs(dear).attribute("a", dear);
    span.end();
    span.outputs(dear);
    EXPECT_EQ(calls, 3);
    const auto recorded = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(recorded.attributes["mlflow.spanInputs"], R"({"n":1})");
    EXPECT_EQ(recorded.attributes["mlflow.spanOutputs"], "2");
    EXPECT_EQ(recorded.attributes["a"], "3");
}

TEST(tracer, a_ratio_records_its_share_of_whole_traces) {
    recorder<mt::open_schema, mt::thread_local_context, mt::record_ratio> tracer(
        {.recording = mt::record_ratio::options{.ratio = 0.25}});
    for (int i = 0; i < 4000; ++i) {
        auto root = tracer.start_span("root");
        auto child = tracer.start_span("child");
    }
    const auto traces = tracer.exporter().take();
    EXPECT_GT(traces.size(), 800U); // 1000 expected, with a standard deviation of 27
    EXPECT_LT(traces.size(), 1200U);
    for (const auto& trace : traces) EXPECT_EQ(trace.spans.size(), 2U);
}

TEST(tracer, ids_are_valid_after_the_end) {
    recorder<> tracer;
    auto root = tracer.start_trace("root");
    const auto trace_id = root.trace_id();
    auto child = tracer.start_span("child");
    const auto child_id = child.id();
    child.end();
    EXPECT_EQ(child.id(), child_id);
    EXPECT_EQ(child.trace_id(), trace_id);
    EXPECT_FALSE(child.remote().trace_id.valid()) << "nobody goes on from a span that has ended";
    auto moved = std::move(root);
    EXPECT_EQ(moved.trace_id(), trace_id);
    moved.end();
    EXPECT_EQ(moved.trace_id(), trace_id);
    moved = {};
    EXPECT_FALSE(moved.trace_id().valid());
}

TEST(tracer, disabled_records_nothing) {
    recorder<> tracer({.enabled = false});
    {
        auto root = tracer.start_trace("root");
        auto child = tracer.start_span("child");
        EXPECT_FALSE(child.recording());
        EXPECT_TRUE(tracer.update_current_trace(mt::user{"u"}));
    }
    EXPECT_TRUE(tracer.exporter().take().empty());
    EXPECT_EQ(tracer.refused_values(), 0U);
}

struct recording_exporter {
    static inline mt::tracer<mt::open_schema, mt::thread_local_context, recording_exporter>* tracer = nullptr;
    mt::export_result export_traces(mt::trace_batch& batch) {
        {
            auto span = tracer->start_span("by the exporter");
        }
        expect_balanced(*tracer);
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
};

TEST(tracer, an_exporter_that_records_itself_neither_hangs_nor_recurses) {
    mt::tracer<mt::open_schema, mt::thread_local_context, recording_exporter> tracer;
    recording_exporter::tracer = &tracer;
    {
        auto span = tracer.start_span("span");
    }
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_EQ(tracer.account().dropped, 1U);
    expect_balanced(tracer);
}

TEST(tracer, untraced_parts_are_left_out) {
    recorder<> tracer;
    {
        auto trace = tracer.start_trace("open");
        {
            const auto off = tracer.untraced();
            auto span = tracer.start_span("hidden");
            auto own = tracer.start_trace("hidden too");
        }
        auto span = tracer.start_span("seen");
    }
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].spans.size(), 2U);
    EXPECT_EQ(traces[0].find("hidden"), nullptr);
}

} // namespace
