// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;

namespace {

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<segment>>;
using tracer = mt::tracer<schema, mt::thread_local_context, mt::json_lines_exporter>;

struct TraceFile : testing::Test {
    std::string path = testing::TempDir() + "trace_file_test." + std::to_string(::getpid());
    void SetUp() override { std::remove(path.c_str()); }
    void TearDown() override { std::remove(path.c_str()); }

    void record(const char* name, const mt::session& session) {
        tracer traces({.exporter = {.path = path}});
        auto trace = traces.start_trace(name, mt::user{"o'brien \"1\""}, session, segment{"pro"},
                                        mt::client_request_id{"req-1"}, mt::tag("colour", "blue"));
        trace.inputs(mt::arg("message", "hello"));
        trace.outputs("good day");
        auto span = traces.start_span("generate", mt::span_type::chat_model);
        span.usage({.input = 3, .output = 5});
    }
    void append(const std::string& line) { std::ofstream(path, std::ios::app) << line << '\n'; }
};

TEST_F(TraceFile, ReadsBackWhatTheLibraryRecorded) {
    record("chat", mt::session{"session-7"});
    mt::trace_file file({.path = path});
    const auto found = mt::find_all(file, {.where = field::user == mt::user{"o'brien \"1\""}});
    ASSERT_EQ(found.value().size(), 1U);
    const mt::trace_info& trace = found->front();
    EXPECT_EQ(trace.trace_id.size(), 35U);
    EXPECT_EQ(trace.session(), "session-7");
    EXPECT_EQ(trace["app.segment"], "pro");
    EXPECT_EQ(trace.client_request_id, "req-1");
    EXPECT_EQ(trace.tag("colour"), "blue");
    EXPECT_EQ(trace.name(), "chat");
    EXPECT_EQ(trace.status, mt::trace_status::ok);
    EXPECT_EQ(trace.request_preview, R"({"message":"hello"})");
    const auto users = mt::summarise_users(file);
    ASSERT_EQ(users.value().size(), 1U);
    EXPECT_EQ(users->front().input_tokens, 3);
    EXPECT_EQ(users->front().output_tokens, 5);
    EXPECT_EQ(mt::summarise_by<segment>(file).value().at(0).value, "pro");
}

TEST_F(TraceFile, SortsAndCutsAsAsked) {
    for (int i = 0; i < 5; ++i) record("chat", mt::session{"session-7"});
    mt::trace_file file({.path = path});
    const auto newest = mt::find_all(file, {.order_by = {field::timestamp.descending()}, .max_results = 3});
    ASSERT_EQ(newest.value().size(), 3U);
    EXPECT_GE(newest->at(0).request_time, newest->at(2).request_time);
    const auto flow = mt::session_flow(file, mt::session{"session-7"});
    ASSERT_EQ(flow.value().size(), 5U);
    EXPECT_FALSE(flow->at(0).gap);
    EXPECT_TRUE(flow->at(1).gap);
}

TEST_F(TraceFile, ADamagedLineIsAnErrorUnlessItMayBePassedOver) {
    record("chat", mt::session{"session-7"});
    append(R"({"resourceSpans":[{"scope)");
    record("chat", mt::session{"session-8"});
    mt::trace_file strict({.path = path});
    const auto refused = mt::find_all(strict, {});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("line 2"), std::string::npos) << refused.error().message();
    mt::trace_file lenient({.path = path, .skip_damaged_lines = true});
    EXPECT_EQ(mt::find_all(lenient, {}).value().size(), 2U);
    EXPECT_EQ(lenient.damaged_lines(), 1U);
}

TEST_F(TraceFile, SaysWhatItCannotDo) {
    mt::trace_file none({.path = path});
    EXPECT_NE(mt::find_all(none, {}).error().message().find("cannot be opened"), std::string::npos);
    record("chat", mt::session{"session-7"});
    EXPECT_FALSE(mt::find_all(none, {.where = field::span_name == "generate"}));
}

TEST_F(TraceFile, ATraceMayComeInParts) {
    const auto span = [](const char* id, const char* parent, const char* attributes) {
        return std::string(
                   R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"0af7651916cd43dd8448eb211c80319c",)") +
               R"("spanId":")" + id + R"(","parentSpanId":")" + parent +
               R"(","name":"chat","startTimeUnixNano":"5000000","endTimeUnixNano":"9000000","attributes":[)" +
               attributes + R"(]}]}]}]})";
    };
    const auto usage = [](int tokens) {
        return R"({"key":"mlflow.chat.tokenUsage","value":{"stringValue":"{\"input_tokens\":)" +
               std::to_string(tokens) + R"(}"}})";
    };
    append(span("00f067aa0ba902b8", "00f067aa0ba902b7", usage(7).c_str()));
    append(span("00f067aa0ba902b9", "00f067aa0ba902b8", usage(2).c_str())); // is counted by the span above it
    append(span("00f067aa0ba902b7", "", R"({"key":"user.id","value":{"stringValue":"user-1"}})"));
    mt::trace_file file({.path = path});
    const auto users = mt::summarise_users(file);
    ASSERT_EQ(users.value().size(), 1U);
    EXPECT_EQ(users->front().input_tokens, 7);
    EXPECT_EQ(users->front().durations.mean(), 4);
}

TEST_F(TraceFile, AmountsThatNothingHoldsAreUnknown) {
    const auto line = [](const char* trace, const std::string& number) {
        return R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":")" + std::string(trace) +
               R"(","spanId":"1","startTimeUnixNano":)" + number + R"(,"endTimeUnixNano":)" + number +
               R"(,"attributes":[{"key":"user.id","value":{"stringValue":"u"}},)" +
               R"({"key":"mlflow.chat.tokenUsage","value":{"stringValue":"{\"input_tokens\":)" + number +
               R"(}"}}]},{"traceId":")" + trace + R"(","spanId":"2","parentSpanId":"3","attributes":[)" +
               R"({"key":"mlflow.chat.tokenUsage","value":{"stringValue":"{\"input_tokens\":)" + number +
               R"(}"}}]}]}]}]})";
    };
    append(line("a", "9223372036854775807"));
    append(line("b", "9223372036854775807"));
    append(line("c", "1e300"));
    append(line("d", "-1e300"));
    mt::trace_file file({.path = path});
    const auto users = mt::summarise_users(file);
    ASSERT_TRUE(users) << users.error().message();
    ASSERT_EQ(users->size(), 1U);
    EXPECT_EQ(users->front().interactions, 4U);
    EXPECT_EQ(users->front().input_tokens, 0);
}

TEST_F(TraceFile, ALineThatGoesOnBehindANulIsDamaged) {
    append(std::string("{}\0[", 4));
    mt::trace_file strict({.path = path});
    EXPECT_FALSE(mt::find_all(strict, {}));
}

// A span of OTLP JSON; `more` are further members of it.
std::string span(int trace, int id, int parent, const std::string& attributes, const std::string& more = "") {
    const auto hex = [](int value, int digits) {
        char text[40];
        std::snprintf(text, sizeof text, "%0*x", digits, static_cast<unsigned>(value));
        return std::string(text);
    };
    return R"({"traceId":")" + hex(trace, 32) + R"(","spanId":")" + hex(id, 16) + R"(","parentSpanId":")" +
           (parent == 0 ? "" : hex(parent, 16)) + R"(","name":"chat","startTimeUnixNano":"5000000",)" +
           R"("endTimeUnixNano":"9000000","attributes":[)" + attributes + "]" + more + "}";
}
std::string line(const std::string& spans, const char* scope = "x") {
    return R"({"resourceSpans":[{"scopeSpans":[{"scope":{"name":")" + std::string(scope) + R"("},"spans":[)" + spans +
           "]}]}]}";
}
std::string attribute(const char* key, const std::string& value) {
    return R"({"key":")" + std::string(key) + R"(","value":)" + value + "}";
}
std::string text(const char* key, const std::string& value) {
    return attribute(key, R"({"stringValue":)" + nlohmann::json(value).dump() + "}");
}
const std::string alice = text("user.id", "alice") + "," + text("session.id", "s");

struct TracesOfOthers : TraceFile {
    std::vector<mt::trace_info> read(std::size_t memory = 1 << 20) {
        mt::trace_file file({.path = path, .memory = memory});
        auto found = mt::find_all(file, {});
        EXPECT_TRUE(found) << found.error().message();
        return found ? *found : std::vector<mt::trace_info>();
    }
    std::string refused() {
        mt::trace_file file({.path = path, .skip_damaged_lines = true});
        const auto found = mt::find_all(file, {});
        return found ? "" : found.error().message();
    }
};

TEST_F(TracesOfOthers, ATraceIsASetOfSpansOverAllLines) {
    const std::string usage = text("mlflow.chat.tokenUsage", R"({"input_tokens":5,"output_tokens":2})");
    append(line(span(1, 1, 0, alice + "," + usage)));
    append(line(span(2, 1, 0, text("user.id", "bob"))));
    append(line(span(1, 1, 0, alice + "," + usage)));                                // delivered twice
    append(line(span(1, 2, 1, text("user.id", "carol") + "," + usage)));             // counted by the span above it
    append(line(span(1, 3, 0, text("user.id", "dave"), R"(,"status":{"code":2})"))); // a second root
    const auto traces = read();
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_EQ(traces[0].user(), "alice");
    EXPECT_EQ(traces[0].status, mt::trace_status::ok);
    EXPECT_EQ(traces[0]["mlflow.trace.tokenUsage"], R"({"input_tokens": 5, "output_tokens": 2, "total_tokens": 0})");
    EXPECT_EQ(traces[1].user(), "bob");
}

TEST_F(TracesOfOthers, SpansOfOneLineMayComeTwiceInIt) {
    const std::string one = span(1, 1, 0, text("mlflow.chat.tokenUsage", R"({"input_tokens":5})"));
    append(line(one + "," + one));
    EXPECT_EQ(read().at(0)["mlflow.trace.tokenUsage"],
              R"({"input_tokens": 5, "output_tokens": 0, "total_tokens": 0})");
}

TEST_F(TracesOfOthers, WithoutARootATraceIsInProgress) {
    append(line(span(1, 2, 1, text("gen_ai.conversation.id", "c-1"))));
    const auto traces = read();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].session(), "c-1");
    EXPECT_EQ(traces[0].status, mt::trace_status::in_progress);
    append(line(span(1, 1, 0, "", R"(,"status":{"code":"STATUS_CODE_ERROR"})")));
    EXPECT_EQ(read().at(0).status, mt::trace_status::error);
}

TEST_F(TracesOfOthers, AnOddValueCostsItselfOnly) {
    const std::string odd[] = {
        attribute("user.id", R"({"intValue":18446744073709551615})"),
        attribute("user.id", R"({"intValue":"99999999999999999999"})"),
        attribute("user.id", R"({"intValue":1.5})"),
        attribute("user.id", "{}"),
        attribute("user.id", "null"),
        attribute("user.id", R"({"stringValue":null})"),
        R"({"key":"user.id"})",
        text("user.id", ""),
        attribute("user.id", R"({"arrayValue":7})"),
    };
    int trace = 0;
    for (const auto& one : odd) append(line(span(++trace, 1, 0, one + "," + text("session.id", "s"))));
    const auto traces = read();
    ASSERT_EQ(traces.size(), std::size(odd));
    for (const auto& one : traces) {
        EXPECT_EQ(one.user(), "") << one.trace_id;
        EXPECT_EQ(one.session(), "s") << one.trace_id;
    }
}

TEST_F(TracesOfOthers, AnOddValueElsewhereDoesNotCostTheLine) {
    std::string deep = R"({"stringValue":"x"})";
    for (int level = 0; level < 60; ++level) deep = R"({"arrayValue":{"values":[)" + deep + "]}}";
    const std::string odd[] = {
        attribute("a", R"({"stringValue":"half \ud83d"})"),
        attribute("a", R"({"doubleValue":NaN})"),
        attribute("a", deep),
        attribute("a", R"({"kvlistValue":)" + std::string(100'000, '[') + std::string(100'000, ']') + "}"),
        attribute("a", R"({"stringValue":")" + std::string("\xff\xfe") + R"("})"),
        attribute("a", R"({"doubleValue":1e400})")};
    int trace = 0;
    for (const auto& one : odd) append(line(span(++trace, 1, 0, one + "," + alice)));
    const auto traces = read();
    ASSERT_EQ(traces.size(), std::size(odd));
    for (const auto& one : traces) EXPECT_EQ(one.user(), "alice") << one.trace_id;
}

TEST_F(TracesOfOthers, OfEqualKeysTheLastCounts) {
    append(line(span(1, 1, 0, text("user.id", "first") + "," + text("user.id", "last"))));
    EXPECT_EQ(read().at(0).user(), "last");
}

TEST_F(TracesOfOthers, TextThatIsJsonIsReadAsMlflowReadsIt) {
    append(line(span(1, 1, 0, text("user.id", "\"42\"") + "," + text("session.id", "null"))));
    append(line(
        span(2, 1, 0, text("user.id", R"({"a": 1})") + "," + attribute("session.id", R"({"doubleValue":1e22})"))));
    const auto traces = read();
    EXPECT_EQ(traces.at(0).user(), "42");
    EXPECT_EQ(traces.at(0).session(), "null");
    EXPECT_EQ(traces.at(1).user(), R"({"a": 1})");
    EXPECT_EQ(traces.at(1).session(), "1e+22"); // as Python writes it
}

TEST_F(TracesOfOthers, ADurationThatEndsBeforeItBeginsIsUnknown) {
    append(R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"01","name":"chat",)"
           R"("startTimeUnixNano":"1700000000000000000","endTimeUnixNano":"0","attributes":[)" +
           alice + "]}]}]}]}");
    append(line(span(2, 1, 0, alice)));
    const auto traces = read();
    EXPECT_FALSE(traces.at(0).has_duration);
    EXPECT_EQ(traces.at(0).execution_duration.count(), 0);
    EXPECT_TRUE(mt::trace_row(traces.at(0))["duration_ms"].is_null());
    mt::trace_file file({.path = path});
    EXPECT_EQ(mt::summarise_users(file).value().at(0).durations.mean(), 4);
    using namespace std::chrono_literals;
    EXPECT_EQ(mt::find_all(file, {.where = field::execution_time < 1h}).value().size(), 1U);
    const auto flow = mt::session_flow(file, mt::session{"s"});
    EXPECT_TRUE(flow.value().at(1).gap); // behind the one that began in 1970
}

TEST_F(TracesOfOthers, ASessionIDThatTwoUsersShareShowsBoth) {
    append(line(span(1, 1, 0, text("user.id", "bob") + "," + text("session.id", "1"))));
    append(line(span(2, 1, 0, text("user.id", "alice") + "," + text("session.id", "1"))));
    mt::trace_file file({.path = path});
    EXPECT_EQ(mt::summarise_sessions(file).value().at(0).users, (std::vector<std::string>{"alice", "bob"}));
}

TEST_F(TracesOfOthers, BeyondItsMemoryTheAnswerIsTheSame) {
    for (int round = 0; round < 2; ++round)
        for (int trace = 500; trace > 0; --trace)
            append(line(
                span(trace, 1 + round, round, round == 0 ? text("user.id", "user-" + std::to_string(trace)) : "")));
    const auto in_memory = read();
    const auto in_file = read(1000);
    ASSERT_EQ(in_memory.size(), 500U);
    ASSERT_EQ(in_file.size(), 500U);
    for (std::size_t i = 0; i < 500; ++i) {
        EXPECT_EQ(in_memory[i].user(), "user-" + std::to_string(500 - i)); // the order of the file
        EXPECT_EQ(mt::trace_row(in_memory[i]), mt::trace_row(in_file[i]));
    }
    mt::trace_file nowhere({.path = path, .memory = 1000, .temporary_folder = "/nowhere"});
    EXPECT_NE(mt::find_all(nowhere, {}).error().message().find("/nowhere"), std::string::npos);
}

TEST_F(TracesOfOthers, ManyLinesOfOneTraceAreNotSlow) {
    const std::string usage = text("mlflow.chat.tokenUsage", R"({"input_tokens":1})");
    std::string whole;
    for (int id = 1; id <= 20'000; ++id) whole += line(span(1, id, id == 1 ? 0 : 1, id == 1 ? alice : usage)) + '\n';
    append(whole);
    EXPECT_EQ(read().at(0)["mlflow.trace.tokenUsage"],
              R"({"input_tokens": 19999, "output_tokens": 0, "total_tokens": 0})");
}

// Spans with usage, each inside the next; the last is the root, or inside the first.
TEST_F(TracesOfOthers, ManyNestedSpansOfOneLineAreNotSlow) {
    const std::string usage = text("mlflow.chat.tokenUsage", R"({"input_tokens":1})");
    constexpr int last = 20'000;
    for (const bool is_ring : {false, true}) {
        std::string spans;
        for (int id = 1; id <= last; ++id)
            spans += (id == 1 ? "" : ",") + span(is_ring ? 2 : 1, id, id < last ? id + 1 : is_ring ? 1 : 0, usage);
        append(line(spans));
    }
    const auto traces = read();
    EXPECT_EQ(traces.at(0)["mlflow.trace.tokenUsage"],
              R"({"input_tokens": 1, "output_tokens": 0, "total_tokens": 0})");
    EXPECT_EQ(traces.at(1)["mlflow.trace.tokenUsage"], "");
}

TEST_F(TracesOfOthers, WhatIsNoSuchFileIsSaid) {
    const std::pair<std::string, const char*> files[] = {
        {R"({"data":[{"traceID":"1","spans":[]}]})", "Jaeger"},
        {R"([{"traceId":"01","id":"01","localEndpoint":{}}])", "Zipkin"},
        {"{\n \"name\": \"chat\",\n \"context\": {\"trace_id\": \"0x1\"}\n}", "console exporter"},
        {R"([{"id":"1","traceId":"2","type":"GENERATION"}])", "no resourceSpans"},
        {R"({"traceId":"01","spanId":"02","name":"chat"})", R"({"resourceSpans":[{"scopeSpans":)"},
        {R"({"spans":[{"traceId":"01","spanId":"02"}]})", "outside of OTLP's structure"},
        {R"({"trace":{"trace_info":{"trace_id":"tr-1"}}})", "MLflow's own JSON"},
        {R"({"traces":[{"trace_id":"tr-1"}]})", "MLflow's own JSON"},
        {R"({"log":"{\"resourceSpans\":[]}\n","stream":"stdout"})", "container"},
        {R"("{\"resourceSpans\":[]}")", "JSON inside a JSON string"},
        {R"({"error":"not found"})", "server's error response"},
        {"{\n  resource: {},\n  traceId: '6c6d',\n  id: '01'\n}", "console exporter"},
        {"{\n  name          : chat\n  trace_id      : 6c6d\n}", "console exporter"},
        {"Activity.TraceId:            6c6d", "console exporter"},
        {"INFO: 'chat' : 6c6d 01 SERVER [tracer: x] {}", "console exporter"},
        {"Spans\nResource\nSpan #0\n\tTraceId: 6c6d", "console exporter"},
        {"info Traces {\"spans\": 1}\nResourceSpans #0", "debug exporter"},
        {"{'resourceSpans': []}", "json.dumps"},
        {"<!DOCTYPE html><html>log in</html>", "web page"},
        {R"(2026-11-29 INFO {"resourceSpans":[]})", "other text before the OTLP JSON"},
        {R"({"resourceSpans":[{"scope)", "truncated or damaged"},
        {std::string(257, 'x') + "ustar  ", "tar archive"},
        {std::string("\0\0\xfe\xff\0\0\0{", 8), "UTF-32"},
        {std::string("{\0\0\0}\0\0\0", 8), "UTF-32"},
        {std::string("\0\0\0{\0\0\0}", 8), "UTF-32"},
        {R"({"resourceLogs":[]})", "logs"},
        {R"({"a":1})", "no resourceSpans"},
        {"user,session\n1,2", "has no line of JSON"},
        {R"({"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"chat"}]}]}]})", "trace ID"},
        {R"({"resourceSpans":[{"otherSpans":[]}]})", "no spans"},
        {"\x1f\x8b\x08", "gzip"},
        {"\x28\xb5\x2f\xfd", "zstd"},
        {std::string("\n\x1e\n\x1c\n\x1a\0\1", 8), "protobuf"},
    };
    for (const auto& [content, says] : files) {
        std::ofstream(path, std::ios::trunc) << content;
        EXPECT_NE(refused().find(says), std::string::npos) << says << ": " << refused();
        EXPECT_EQ(refused().find('\n'), std::string::npos) << says;
    }
    for (const char* const nothing : {"", "\n\n", R"({"resourceSpans":[]})"}) {
        std::ofstream(path, std::ios::trunc) << nothing;
        EXPECT_EQ(refused(), "") << nothing;
    }
}

TEST_F(TracesOfOthers, WhatStandsBetweenDocumentsCostsNothing) {
    const std::string one = line(span(1, 1, 0, alice)), other = line(span(2, 2, 0, alice));
    const std::string bom = "\xEF\xBB\xBF", record = "\x1e";
    for (const std::string& content : {one + ",\n" + other + ",\n", bom + bom + one + "\n" + bom + other,
                                       record + one + "\n" + record + other + "\n", one + "\r" + other + "\r"}) {
        std::ofstream(path, std::ios::trunc) << content;
        mt::trace_file file({.path = path});
        const auto found = mt::find_all(file, {});
        ASSERT_TRUE(found) << found.error().message();
        EXPECT_EQ(found->size(), 2U) << content;
        EXPECT_EQ(file.damaged_lines(), 0U) << content;
    }
}

TEST_F(TracesOfOthers, LogsMayStandAmongTraces) {
    append(R"({"resourceLogs":[]})");
    append(line(span(1, 1, 0, alice)));
    mt::trace_file file({.path = path});
    EXPECT_EQ(mt::find_all(file, {}).value().size(), 1U);
    EXPECT_EQ(file.other_lines(), 1U);
    EXPECT_EQ(file.damaged_lines(), 0U);
}

// Writes the file as an OpenTelemetry Collector would that got the traces for this receiver.
template <mt::otlp_receiver Receiver>
struct as_received {
    struct options {
        std::string path;
    };
    explicit as_received(options chosen) : path(std::move(chosen.path)) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::detail::buffer request;
        mt::detail::buffer json;
        EXPECT_TRUE(mt::append_otlp_request(request, batch, {}, Receiver));
        EXPECT_TRUE(mt::detail::append_otlp_json(json, request.view()));
        std::ofstream(path, std::ios::app) << json.view() << '\n';
        mt::export_result done;
        done.exported_spans = batch.span_count();
        return done;
    }
    std::string path;
};

template <mt::otlp_receiver Receiver>
void expect_exact(const std::string& path) {
    const char* const texts[] = {"42", "\"42\"", "null", "{\"a\": 1}", "\"quoted\"", "o'brien", "[]"};
    {
        mt::tracer<mt::open_schema, mt::thread_local_context, as_received<Receiver>> traces(
            {.exporter = {.path = path}});
        for (const char* const one : texts)
            traces.start_trace("chat", *mt::user::parse(one), *mt::session::parse(one), mt::tag{"kind", one})
                .outputs(1);
    }
    mt::trace_file file({.path = path});
    const auto found = mt::find_all(file, {});
    ASSERT_EQ(found.value().size(), std::size(texts));
    for (std::size_t i = 0; i < std::size(texts); ++i) {
        EXPECT_EQ(found->at(i).user(), texts[i]);
        EXPECT_EQ(found->at(i).session(), texts[i]);
        EXPECT_EQ(found->at(i).tag("kind"), texts[i]);
        EXPECT_EQ(found->at(i).name(), "chat");
    }
}

TEST_F(TracesOfOthers, WhatTheLibraryWroteIsExactForEachReceiver) {
    expect_exact<mt::otlp_receiver::any>(path);
    std::remove(path.c_str());
    expect_exact<mt::otlp_receiver::gen_ai>(path);
    std::remove(path.c_str());
    expect_exact<mt::otlp_receiver::mlflow>(path);
}

TEST(Feedback, ThatFailedSaysWhy) {
    const auto read = mt::detail::read_trace_info(*mt::detail::parse_json(
        R"({"trace_id":"tr-1","request_time":"2026-11-23T04:03:42Z","assessments":[{"assessment_name":"correct",)"
        R"("feedback":{"value":null,"error":{"error_code":"JUDGE_FAILED","error_message":"no answer"}},"valid":true}]})"));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->assessments.at(0).error, "JUDGE_FAILED: no answer");
    const auto row = mt::feedback_rows(*read).at(0);
    EXPECT_TRUE(row["value"].is_null());
    EXPECT_EQ(row["error"], "JUDGE_FAILED: no answer");
}

TEST(Durations, PercentilesAreThoseOfNumPy) {
    mt::duration_statistics durations;
    for (int i = 0; i < 1000; ++i) durations.add(std::chrono::milliseconds(i % 10 == 0 ? 5 : i));
    EXPECT_EQ(durations.count(), 1000U);
    // numpy.percentile([5 if i % 10 == 0 else i for i in range(1000)], [0, 50, 95, 99, 100])
    EXPECT_DOUBLE_EQ(durations.percentile(0), 1);
    EXPECT_DOUBLE_EQ(durations.percentile(50), 444.5);
    EXPECT_DOUBLE_EQ(durations.percentile(95), 944.05);
    EXPECT_DOUBLE_EQ(durations.percentile(99), 988.01);
    EXPECT_DOUBLE_EQ(durations.percentile(100), 999);
}

} // namespace
