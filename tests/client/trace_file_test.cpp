// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>

#include <gtest/gtest.h>

#include <cstdio>
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
    EXPECT_NE(refused.error().message.find("line 2"), std::string::npos) << refused.error().message;
    mt::trace_file lenient({.path = path, .skip_damaged_lines = true});
    EXPECT_EQ(mt::find_all(lenient, {}).value().size(), 2U);
    EXPECT_EQ(lenient.damaged_lines(), 1U);
}

TEST_F(TraceFile, SaysWhatItCannotDo) {
    mt::trace_file none({.path = path});
    EXPECT_NE(mt::find_all(none, {}).error().message.find("cannot be opened"), std::string::npos);
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

TEST_F(TraceFile, NumbersOfAnySizeAreReadAndSummedUp) {
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
    ASSERT_TRUE(users) << users.error().message;
    ASSERT_EQ(users->size(), 1U);
    EXPECT_EQ(users->front().interactions, 4U);
    EXPECT_EQ(users->front().input_tokens, 9223372036854775807);
}

TEST_F(TraceFile, ALineThatGoesOnBehindANulIsDamaged) {
    append(std::string("{}\0[", 4));
    mt::trace_file strict({.path = path});
    EXPECT_FALSE(mt::find_all(strict, {}));
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
