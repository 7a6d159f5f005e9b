// SPDX-License-Identifier: Apache-2.0
#include "static_tracers.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
using static_memory_tests::board;
using static_memory_tests::static_tracer;

namespace {

constexpr mt::static_sizes roomy{.traces = 4, .spans = 8, .bytes = 4'096};
constexpr mt::static_sizes tight{.traces = 2, .spans = 2, .bytes = 300};

class static_memory : public testing::Test {
protected:
    void SetUp() override { board::reports.clear(); }

    template <class Tracer>
    auto options() {
        return typename Tracer::options{.exporter = {.into = &traces, .room = nullptr}};
    }
    using faults = std::vector<std::pair<mt::error_kind, std::string>>;

    std::vector<mt::recorded_trace> traces;
};

TEST_F(static_memory, RecordsATraceOfAUserWithItsSpans) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    {
        auto trace =
            device.start_trace("assistant", mt::user{"user-1042"}, mt::borrowed<mt::session>("kitchen-7"),
                               mt::tag{"room", "kitchen"}, mt::client_request_id{"r-1"}, mt::span_type::agent);
        trace.inputs(mt::arg("question", "How warm is it?"), mt::arg("k", 5));
        auto span = device.start_span("generate", mt::span_type::llm);
        span.usage({.input = 12, .output = 3}).attribute("n", 2).attribute<"gain">(0.5).attribute("is_loud", true);
        span.end();
        trace.outputs("It is \"warm\".\n");
        trace.previews("q", "a");
    }
    ASSERT_EQ(traces.size(), 1U);
    const mt::recorded_trace& trace = traces[0];
    EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-1042");
    EXPECT_EQ(trace.metadata["mlflow.trace.session"], "kitchen-7");
    EXPECT_EQ(trace.tags["room"], "kitchen");
    EXPECT_EQ(trace.client_request_id, "r-1");
    EXPECT_EQ(trace.request_preview, "q");
    EXPECT_EQ(trace.response_preview, "a");
    ASSERT_EQ(trace.spans.size(), 2U);
    const mt::recorded_span& root = *trace.root();
    EXPECT_EQ(root.name, "assistant");
    EXPECT_EQ(root.attributes["mlflow.spanInputs"], R"({"question":"How warm is it?","k":5})");
    EXPECT_EQ(root.attributes["mlflow.spanOutputs"], R"("It is \"warm\".\n")");
    EXPECT_EQ(root.attributes["mlflow.spanType"], "AGENT");
    EXPECT_EQ(root.code, mt::status::ok);
    EXPECT_LT(root.start_unix_nano, root.end_unix_nano);
    const mt::recorded_span& generate = *trace.find("generate");
    EXPECT_EQ(generate.parent, root.id);
    EXPECT_EQ(generate.attributes["mlflow.chat.tokenUsage"],
              R"({"input_tokens":12,"output_tokens":3,"total_tokens":15})");
    EXPECT_EQ(generate.attributes["n"], "2");
    EXPECT_EQ(generate.attributes["gain"], "0.5");
    EXPECT_EQ(generate.attributes["is_loud"], "true");
    EXPECT_EQ(device.account().exported, 2U);
    EXPECT_EQ(board::reports, faults{});
}

TEST_F(static_memory, SetsMetadataOnceAndTagsAgain) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    {
        auto trace = device.start_trace("turn", mt::user{"a"});
        EXPECT_TRUE(trace.set(mt::user{"a"}));
        EXPECT_FALSE(trace.set(mt::user{"b"}));
        EXPECT_FALSE(trace.set(mt::anonymous));
        EXPECT_TRUE(trace.set(mt::no_session));
        EXPECT_TRUE(trace.set(mt::no_session));
        EXPECT_FALSE(trace.set(mt::session{"s"}));
        EXPECT_TRUE(trace.set(mt::tag{"t", "1"}, mt::tag{"t", "2"}, mt::tag{"u", "1"}));
        EXPECT_TRUE(trace.metadata("app.key", std::string(200, 'x')));
        EXPECT_FALSE(trace.metadata("app.key", "y"));
        EXPECT_FALSE(trace.metadata("", "y"));
        EXPECT_TRUE(trace.set(mt::maybe<mt::client_request_id>(mt::client_request_id{"id"})));
        EXPECT_FALSE(trace.set(mt::borrowed<mt::client_request_id>("other")));
    }
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "a");
    EXPECT_FALSE(traces[0].metadata.contains("mlflow.trace.session"));
    EXPECT_EQ(traces[0].metadata["app.key"], std::string(200, 'x'));
    ASSERT_EQ(traces[0].tags.size(), 2U);
    EXPECT_EQ(traces[0].tags["t"], "2");
    EXPECT_EQ(traces[0].client_request_id, "id");
    EXPECT_EQ(board::reports, (faults{{mt::error_kind::already_set, "mlflow.trace.user"},
                                      {mt::error_kind::already_set, "mlflow.trace.user"},
                                      {mt::error_kind::already_set, "mlflow.trace.session"},
                                      {mt::error_kind::already_set, "app.key"},
                                      {mt::error_kind::empty, ""},
                                      {mt::error_kind::already_set, "client_request_id"}}));
}

TEST_F(static_memory, KeepsTheBeginningOfATextThatDoesNotFit) {
    using tracer = static_tracer<tight>;
    tracer device(options<tracer>());
    std::string text;
    for (int i = 0; i < 500; ++i) text += "ä\n";
    {
        auto trace = device.start_trace("turn", mt::user{"a"});
        trace.inputs(text);
        trace.attribute("late", true);
        EXPECT_FALSE(trace.set(mt::user{"b"}));
    }
    const std::string inputs = traces[0].spans[0].attributes["mlflow.spanInputs"];
    EXPECT_GT(inputs.size(), 60U);
    EXPECT_TRUE(inputs.starts_with("\"ä\\nä\\n")) << inputs;
    EXPECT_TRUE(inputs.ends_with("… [cut]\"")) << inputs;
    EXPECT_EQ(inputs.find("�"), std::string::npos) << inputs;
    ASSERT_FALSE(board::reports.empty());
    EXPECT_EQ(board::reports[0], (std::pair(mt::error_kind::out_of_memory, std::string("mlflow.spanInputs"))));
    EXPECT_EQ(board::reports.back(), (std::pair(mt::error_kind::already_set, std::string("mlflow.trace.user"))));
}

TEST_F(static_memory, CountsWhatHasNoRoom) {
    using tracer = static_tracer<tight>;
    tracer device(options<tracer>());
    {
        auto first = device.start_trace("1", mt::user{"a"});
        auto child = first.start_span("child");
        auto no_place = first.start_span("third span");
        EXPECT_FALSE(no_place.recording());
        auto second = device.start_trace("2", mt::user{"b"}, mt::nested);
        auto too_many = device.start_trace("3", mt::user{"c"}, mt::nested);
        EXPECT_FALSE(too_many.recording());
        auto of_none = too_many.start_span("of a trace that is not recorded");
        EXPECT_FALSE(of_none.recording());
        second.attribute("long", std::string(150, 'x'));
        auto no_bytes = second.start_span(std::string(150, 'y'));
        EXPECT_FALSE(no_bytes.recording());
        EXPECT_EQ(device.account().open, 3U);
    }
    const mt::span_account account = device.account();
    EXPECT_EQ(account.started, 6U);
    EXPECT_EQ(account.exported, 3U);
    EXPECT_EQ(account.dropped, 3U);
    EXPECT_EQ(account.open, 0U);
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_EQ(traces[0].spans.size(), 1U); // the nested one ended first
    EXPECT_EQ(traces[1].spans.size(), 2U);
}

TEST_F(static_memory, CountsWhatTheExporterHasNoRoomForAndWhatEndsAfterTheShutdown) {
    using tracer = static_tracer<roomy>;
    std::size_t room = 1;
    tracer device(tracer::options{.exporter = {.into = &traces, .room = &room}});
    for (int i = 0; i < 2; ++i) {
        auto trace = device.start_trace("turn");
        auto child = device.start_span("child");
    }
    auto last = device.start_trace("last");
    EXPECT_TRUE(device.shutdown(std::chrono::seconds(1)));
    last.end();
    const mt::span_account account = device.account();
    EXPECT_EQ(account.started, 5U);
    EXPECT_EQ(account.exported, 2U);
    EXPECT_EQ(account.failed, 2U);
    EXPECT_EQ(account.dropped, 1U);
}

TEST_F(static_memory, ExportsATraceWhenItsLastSpanHasEnded) {
    using tracer = static_tracer<roomy, mt::explicit_context>;
    tracer device(options<tracer>());
    auto trace = device.start_trace("turn", mt::user{"a"});
    auto child = trace.start_span("child");
    auto grandchild = child.start_span("grandchild");
    trace.end();
    child.end();
    EXPECT_TRUE(traces.empty());
    auto moved = std::move(grandchild);
    moved.attribute("late", 1).end();
    moved.end();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].find("grandchild")->parent, child.id());
    EXPECT_EQ(traces[0].find("grandchild")->attributes["late"], "1");
    moved.attribute("after the end", 1);
    EXPECT_EQ(trace.trace_id(), traces[0].id);
}

// What is current, in any order of ending.
TEST_F(static_memory, GoesBackToTheInnermostSpanThatIsOpen) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    auto trace = device.start_trace("turn");
    auto a = device.start_span("a");
    auto b = device.start_span("b");
    auto c = device.start_span("c");
    b.end();
    EXPECT_EQ(device.start_span("in c").remote().id.valid(), true);
    c.end();
    device.start_span("in a").end();
    auto nested = device.start_trace("nested", mt::nested);
    a.end();
    trace.end(); // the nested trace is open, and current
    device.start_span("in nested").end();
    nested.end();
    EXPECT_EQ(device.current_trace_id(), mt::trace_id{});
    ASSERT_EQ(traces.size(), 2U);
    const mt::recorded_trace& outer = traces[0];
    EXPECT_EQ(outer.find("in c")->parent, c.id());
    EXPECT_EQ(outer.find("in a")->parent, a.id());
    EXPECT_EQ(traces[1].find("in nested")->parent, nested.id());
    device.start_span("alone").end();
    EXPECT_EQ(traces[2].root()->name, "alone");
}

// Two traces in one context that does not distinguish them: from then on, nothing is given to either of them by
// context.
TEST_F(static_memory, MixesNoUsers) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    auto a = device.start_trace("a", mt::user{"a"});
    auto b = device.start_trace("b", mt::user{"b"});
    device.start_span("whose?").end();
    a.start_span("of a").end();
    a.end();
    b.end();
    ASSERT_EQ(traces.size(), 3U);
    EXPECT_EQ(traces[0].spans[0].name, "whose?");
    EXPECT_FALSE(traces[0].metadata.contains("mlflow.trace.user"));
    EXPECT_EQ(traces[1].metadata["mlflow.trace.user"], "a");
    EXPECT_EQ(traces[1].find("of a")->parent, a.id());
    EXPECT_EQ(traces[2].spans.size(), 1U);
    EXPECT_EQ(board::reports, (faults{{mt::error_kind::interleaved, "start_trace"}}));
}

TEST_F(static_memory, MixesNoUsersOfTheCurrentTraceEither) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    auto a = device.start_trace("a", mt::user{"a"});
    auto b = device.start_trace("b", mt::user{"b"});
    EXPECT_FALSE(device.update_current_trace(mt::tag{"whose", "a's"}));
    EXPECT_FALSE(device.current_trace_id().valid());
    a.end();
    b.end();
    EXPECT_TRUE(traces[0].tags.empty() && traces[1].tags.empty());
}

// The new trace starts before the old one ends.
TEST_F(static_memory, ATraceReplacesTheOneBefore) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    tracer::trace turn;
    for (const auto* name : {"1", "2", "3"}) {
        turn = device.start_trace(name, mt::tag{"turn", name});
        device.start_span("work").attribute("turn", name);
    }
    turn.end();
    ASSERT_EQ(traces.size(), 3U);
    for (const auto& trace : traces) {
        ASSERT_EQ(trace.spans.size(), 2U);
        EXPECT_EQ(trace.find("work")->attributes["turn"], trace.tags["turn"]);
    }
    EXPECT_EQ(board::reports, faults{});
}

// What is inside a trace that is not recorded, or has no place, gets into no other trace.
TEST_F(static_memory, HidesWhatIsInsideATraceThatIsNotRecorded) {
    struct by_name {
        static bool sample(const mt::trace_start& start) noexcept { return !start.name.starts_with("hidden"); }
    };
    using tracer = static_tracer<roomy, mt::global_context, mt::open_schema, by_name>;
    tracer device(options<tracer>());
    {
        auto outer = device.start_trace("outer", mt::user{"c"});
        tracer::trace turn;
        for (int i = 0; i < 3; ++i) {
            turn = device.start_trace("hidden", mt::user{"x"}, mt::nested);
            device.start_span("secret").inputs("of x");
            EXPECT_TRUE(device.update_current_trace(mt::tag{"secret", "of x"}));
        }
        auto sampled = device.start_trace("inside hidden", mt::user{"y"}, mt::nested);
        turn.end();
        device.start_span("work of y").end();
        sampled.end();
        device.start_span("work of c").end();
    }
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_TRUE(traces[0].find("work of y"));
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "y");
    EXPECT_EQ(traces[1].spans.size(), 2U);
    EXPECT_TRUE(traces[1].tags.empty());
    EXPECT_EQ(device.account().open, 0U);

    using small = static_tracer<mt::static_sizes{.traces = 1, .spans = 4, .bytes = 300}>;
    traces.clear();
    small little(options<small>());
    {
        auto outer = little.start_trace("outer", mt::user{"c"});
        {
            auto no_place = little.start_trace("dropped", mt::user{"x"}, mt::nested);
            little.start_span("secret of x").end();
        }
        little.start_span("work of c").end();
    }
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].spans.size(), 2U);
    EXPECT_FALSE(traces[0].find("secret of x"));
}

// An error handler that ends the trace whose value it is told of, and starts another one in its place.
TEST_F(static_memory, AnErrorHandlerMayReplaceTheTrace) {
    using tracer = static_tracer<mt::static_sizes{.traces = 1, .spans = 2, .bytes = 200}>;
    static tracer* traces_of_device = nullptr;
    static std::optional<tracer::trace> current;
    auto chosen = options<tracer>();
    chosen.on_error = [](void*, const mt::error&) noexcept {
        current.reset();
        current.emplace(traces_of_device->start_trace("next", mt::user{"b"}));
    };
    tracer device(chosen);
    traces_of_device = &device;
    current.emplace(device.start_trace("first", mt::user{"a"}));
    current->inputs(std::string_view(std::string(500, 's')));
    EXPECT_FALSE(device.update_current_trace(mt::user{"z"}, mt::tag{"secret", "of b"}));
    current.reset();
    ASSERT_EQ(traces.size(), 4U); // each of the three errors ended one
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "a");
    EXPECT_TRUE(traces[0].root()->attributes["mlflow.spanInputs"].ends_with("… [cut]\""));
    for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_EQ(traces[i].metadata["mlflow.trace.user"], "b");
        EXPECT_TRUE(traces[i].tags.empty());
        EXPECT_EQ(traces[i].root()->attributes["mlflow.spanInputs"], "");
    }
    EXPECT_EQ(device.account().exported, 4U);
}

TEST_F(static_memory, SamplesAsEveryTracer) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    device.start_trace("none", mt::sample_ratio{0.0}).end();
    device.start_trace("all", mt::sample_ratio{1.0}).end();
    EXPECT_EQ(device.account().started, 1U);

    struct not_nobody {
        static bool sample(const mt::trace_start& start) noexcept { return start.user() != "nobody"; }
    };
    using choosy = static_tracer<roomy, mt::global_context, mt::open_schema, not_nobody>;
    choosy chosen(options<choosy>());
    auto call = mt::traced<"call", "user">(chosen, [](const mt::user&) { return 1; });
    call(mt::user{"nobody"});
    call(mt::user{"somebody"});
    EXPECT_EQ(chosen.account().started, 1U);

    auto off = options<tracer>();
    off.enabled = false;
    tracer disabled(off);
    EXPECT_TRUE(disabled.update_current_trace(mt::user{"a"}));
    EXPECT_EQ(board::reports, faults{});
}

TEST_F(static_memory, RecordsTextOfAnyType) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    const char* const text = "a pointer";
    const char* const null = nullptr;
    {
        auto trace = device.start_trace("turn");
        trace.attribute("text", text).attribute("null", null).inputs(text).outputs(null);
        std::vector<int> numbers(3, 1);
        trace.attribute("deep", std::vector<std::vector<std::vector<int>>>{{numbers}});
    }
    const auto& attributes = traces[0].root()->attributes;
    EXPECT_EQ(attributes["text"], "a pointer");
    EXPECT_EQ(attributes["null"], "");
    EXPECT_EQ(attributes["mlflow.spanInputs"], "\"a pointer\"");
    EXPECT_EQ(attributes["mlflow.spanOutputs"], "null");
    EXPECT_EQ(attributes["deep"], "[[[1,1,1]]]");
}

// Code of the application that runs while a value is written.
struct recording_range {
    std::function<void()> act;
    [[nodiscard]] auto begin() const {
        act();
        return std::begin(values);
    }
    [[nodiscard]] auto end() const { return std::end(values); }
    int values[2] = {1, 2};
};

TEST_F(static_memory, SurvivesCodeThatRecordsOrEndsWhileItsValueIsWritten) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    {
        auto trace = device.start_trace("turn", mt::user{"a"});
        trace.attribute("by a callable", [&] {
            trace.attribute("inside", 1);
            device.start_span("child").attribute("n", 1);
            return 7;
        });
        trace.inputs(recording_range{[&] { trace.attribute("in the middle", 1); }});
    }
    EXPECT_EQ(traces[0].root()->attributes["by a callable"], "7");
    EXPECT_EQ(traces[0].root()->attributes["inside"], "1");
    EXPECT_EQ(traces[0].find("child")->attributes["n"], "1");
    EXPECT_EQ(traces[0].root()->attributes["mlflow.spanInputs"], "[1,2]");
    EXPECT_FALSE(traces[0].root()->attributes.contains("in the middle"));
    EXPECT_EQ(board::reports, (faults{{mt::error_kind::out_of_memory, "in the middle"}}));

    std::optional ending(device.start_trace("ended by a range", mt::user{"b"}));
    std::optional<tracer::trace> other;
    ending->inputs(recording_range{[&] {
        ending->end();
        other = device.start_trace("other", mt::user{"c"}); // must not get the memory that is being written to
    }});
    other->end();
    ASSERT_EQ(traces.size(), 3U);
    EXPECT_EQ(traces[1].metadata["mlflow.trace.user"], "b");
    EXPECT_EQ(traces[2].metadata["mlflow.trace.user"], "c");

    auto ended = device.start_trace("ended by a callable", mt::user{"d"});
    ended.attribute("key", [&] {
        ended.end();
        return 1;
    });
    EXPECT_EQ(board::reports.back(), (std::pair(mt::error_kind::span_ended, std::string("key"))));
    EXPECT_EQ(device.account().open, 0U);
}

TEST_F(static_memory, ReportsExceptions) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    EXPECT_THROW(
        {
            auto trace = device.start_trace("turn");
            trace.attribute("key", []() -> int { throw std::runtime_error("no value"); });
            trace.inputs(recording_range{[] { throw std::runtime_error("no value"); }});
            trace.run([] { throw std::runtime_error("it broke"); });
        },
        std::runtime_error);
    const mt::recorded_span& root = traces[0].spans[0];
    EXPECT_EQ(root.code, mt::status::error);
    EXPECT_EQ(root.status_message, "std::runtime_error: it broke");
    ASSERT_EQ(root.events.size(), 1U);
    EXPECT_EQ(root.events[0].attributes["exception.message"], "it broke");
    EXPECT_EQ(root.attributes["mlflow.spanLogLevel"], "40");
    EXPECT_EQ(board::reports[0], (std::pair(mt::error_kind::callback_failed, std::string("key"))));
}

// A reader may take the last status of a span only, instead of uniting all of them.
TEST_F(static_memory, TheLastStatusOfASpanIsWhole) {
    using tracer = static_tracer<tight, mt::global_context>;
    const auto last_status = [this](mt::status code, std::string_view message, auto&& then) {
        std::string body;
        tracer device(typename tracer::options{.exporter = {.into = &traces, .room = nullptr, .last_body = &body}});
        {
            auto trace = device.start_trace("turn");
            trace.set_status(code, message);
            then(trace);
        }
        std::string last;
        for (mt::detail::protobuf_reader at(body); at.next();)
            if (at.field() == mt::detail::otlp::span_status) last = at.bytes();
        std::pair<std::string, std::uint64_t> told;
        for (mt::detail::protobuf_reader at(last); at.next();)
            if (at.field() == mt::detail::otlp::status_message) told.first = at.bytes();
            else if (at.field() == mt::detail::otlp::status_code) told.second = at.number();
        EXPECT_EQ(told.second, static_cast<std::uint64_t>(traces.back().spans[0].code));
        return told;
    };
    using status = std::pair<std::string, std::uint64_t>;
    const auto nothing = [](auto&) {};
    const auto cold = [&](auto&& then) { return last_status(mt::status::error, "the boiler is cold", then); };
    EXPECT_EQ(cold(nothing), status("the boiler is cold", 2));
    EXPECT_EQ(cold([](auto& trace) { trace.set_status(mt::status::error); }), status("the boiler is cold", 2));
    EXPECT_EQ(cold([](auto& trace) { trace.set_status(mt::status::error, "no gas"); }), status("no gas", 2));
    EXPECT_EQ(cold([](auto& trace) { trace.set_status(mt::status::ok); }), status("", 1));
    EXPECT_EQ(last_status(mt::status::error, std::string(500, 'x'), nothing), status("", 2)); // no room
    EXPECT_EQ(last_status(mt::status::error, "", nothing), status("", 2));
    EXPECT_EQ(last_status(mt::status::unset, "all is well", nothing), status("", 1));
}

TEST_F(static_memory, DoesNotRecordWhatTheSamplerRejectsNorWhatIsInside) {
    struct by_name {
        static bool sample(const mt::trace_start& start) noexcept {
            return start.name != "unsampled" && start.user() != "nobody";
        }
    };
    using tracer = static_tracer<roomy, mt::global_context, mt::open_schema, by_name>;
    tracer device(options<tracer>());
    {
        auto outer = device.start_trace("sampled");
        {
            auto trace = device.start_trace("unsampled", mt::user{"a"}, mt::nested);
            device.start_span("inside").attribute("n", 1);
            EXPECT_TRUE(device.update_current_trace(mt::tag{"t", "1"}));
        }
        auto nobody = device.start_trace("sampled", mt::user{"nobody"}, mt::nested);
        nobody.end();
        device.start_span("in outer").end();
    }
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].spans.size(), 2U);
    EXPECT_TRUE(traces[0].find("in outer"));
    EXPECT_EQ(device.account().started, 2U);
}

TEST_F(static_memory, ChecksRequiredKeysOfATraceThatStartedAsASpan) {
    using schema = mt::schema<mt::required<mt::user>, mt::late<mt::session>>;
    using tracer = static_tracer<roomy, mt::global_context, schema>;
    tracer device(options<tracer>());
    {
        auto span = device.start_span("turn");
        EXPECT_TRUE(device.update_current_trace(mt::user{"a"}));
    }
    device.start_span("turn").end();
    EXPECT_FALSE(device.update_current_trace(mt::user{"a"}));
    device.start_trace("turn", mt::user{"a"}, mt::no_session).end();
    EXPECT_EQ(board::reports, (faults{{mt::error_kind::missing, "mlflow.trace.session"},
                                      {mt::error_kind::missing, "mlflow.trace.user"},
                                      {mt::error_kind::missing, "mlflow.trace.session"},
                                      {mt::error_kind::no_open_trace, "update_current_trace"}}));
}

TEST_F(static_memory, IsUsedByTraced) {
    using tracer = static_tracer<roomy>;
    tracer device(options<tracer>());
    auto answer = mt::traced<"answer", "user", "question">(
        device, [](const mt::user&, std::string_view question) { return std::string(question) + "!"; });
    EXPECT_EQ(answer(mt::user{"a"}, "warm"), "warm!");
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "a");
    EXPECT_EQ(traces[0].spans[0].attributes["mlflow.spanOutputs"], "\"warm!\"");
}

TEST_F(static_memory, ErrorsInTheErrorHandlerAreOnlyCounted) {
    using tracer = static_tracer<roomy>;
    static tracer* current = nullptr;
    static int calls = 0;
    auto chosen = options<tracer>();
    chosen.on_error = [](void*, const mt::error&) noexcept {
        ++calls;
        static_cast<void>(current->update_current_trace(mt::user{"again"}));
    };
    tracer device(chosen);
    current = &device;
    auto trace = device.start_trace("turn", mt::user{"a"});
    EXPECT_FALSE(trace.set(mt::user{"b"}));
    EXPECT_EQ(calls, 1);
    EXPECT_EQ(device.refused_values(), 2U);
}

} // namespace
