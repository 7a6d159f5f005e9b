// SPDX-License-Identifier: Apache-2.0
#include "mlflow/recording.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace recording;

using to_mlflow = mt::batch<mt::mlflow_exporter<mt::beast_transport>>;
using open_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, to_mlflow>;

std::string repeated(std::string_view part, int count) {
    std::string whole;
    for (int i = 0; i < count; ++i) whole += part;
    return whole;
}

// Texts that a JSON reader, a database or a search may take for something else.
const std::vector<std::string> misleading = {"true",
                                             "false",
                                             "null",
                                             "NaN",
                                             "Infinity",
                                             "-Infinity",
                                             "None",
                                             "1",
                                             "123",
                                             "1.50",
                                             "-0",
                                             "1e400",
                                             " 1 ",
                                             "\t1\n",
                                             "12345678901234567890123",
                                             "01",
                                             "[1]",
                                             "[]",
                                             "{}",
                                             "{\"q\":1}",
                                             "{\"a\": [true, null]}",
                                             "\"quoted\"",
                                             "\"\"",
                                             "\"half",
                                             "{\"a\":1} x",
                                             "[NaN]",
                                             "'single'",
                                             "say \"hi\"",
                                             "both ' and \"",
                                             "a\\b\\",
                                             "\\u0041",
                                             "%",
                                             "_",
                                             "<b>&amp;",
                                             "ロックが開きません",
                                             "\xf0\x9f\x9a\xb2",
                                             "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb",
                                             "e\xcc\x81",
                                             "line one\nline two",
                                             " ",
                                             "  both ends  ",
                                             "\xef\xbb\xbf"
                                             "1",
                                             "\xc2\xa0"
                                             "1"};

class roundtrip : public testing::Test {
protected:
    explicit roundtrip(const char* experiment = "roundtrip")
        : tracer_({.exporter = {.exporter = {.tracking_uri = server(), .experiment_name = name_of(experiment)}},
                   .on_error =
                       [](void* context, const mt::error& error) noexcept {
                           static_cast<std::string*>(context)->append(error.message() + "\n");
                       },
                   .error_context = &refused_}),
          traces_(expected()[experiment]["traces"]) {
        expected()[experiment]["experiment"] = name_of(experiment);
    }

    void TearDown() override {
        EXPECT_TRUE(tracer_.flush(std::chrono::seconds(120)));
        const auto account = tracer_.account();
        EXPECT_EQ(account.exported, account.started) << tracer_.last_error().message();
        EXPECT_EQ(refused_, "");
    }

    template <class... Values>
    auto start(std::string_view name, const Values&... values) {
        return told_trace<open_tracer>(tracer_, traces_, name, values...);
    }

    static const std::string& name_of(const std::string& experiment) {
        static std::map<std::string, std::string> names;
        auto& name = names[experiment];
        if (name.empty()) name = fresh_name(experiment);
        return name;
    }

    std::string refused_;
    open_tracer tracer_;
    json& traces_;
};

TEST_F(roundtrip, attributes_keep_their_types) {
    auto trace = start("types", mt::user{"user-1042"}, mt::session{"session-7"});
    for (const std::string& text : misleading) trace.attribute("text " + text, text);
    trace.attribute("empty", std::string());
    trace.attribute("key \"with\" 'quotes' ロック", std::string("value"));
    trace.attribute("bool.true", true);
    trace.attribute("bool.false", false);
    trace.attribute("int.min", std::numeric_limits<std::int64_t>::min());
    trace.attribute("int.max", std::numeric_limits<std::int64_t>::max());
    trace.attribute("int.zero", 0);
    trace.attribute("uint.max", std::numeric_limits<std::uint64_t>::max());
    trace.said()["attributes"]["uint.max"] = "18446744073709551615"; // OTLP has no such number
    for (const double number : {0.0, 1.0, -2.0, 0.1, 1.0 / 3, 1e300, 5e-324, 123456789012345680.0})
        trace.attribute("double " + json(number).dump(), number);
    trace.attribute("double.nan", std::numeric_limits<double>::quiet_NaN());
    trace.attribute("double.inf", std::numeric_limits<double>::infinity());
    trace.attribute("double.minus.inf", -std::numeric_limits<double>::infinity());
    trace.attribute("list", std::vector<int>{1, -2, 3});
    trace.attribute("list.double", std::vector<double>{1.0, 0.5});
    trace.attribute("list.text", misleading);
    trace.attribute("list.empty", std::vector<int>{});
    trace.attribute("map", std::map<std::string, int>{{"a", 1}, {"ロック", 2}, {"", 3}});
    trace.attribute("map.empty", std::map<std::string, int>{});
    trace.attribute("nested",
                    std::map<std::string, std::vector<std::map<std::string, bool>>>{{"a", {{{"b", true}}, {}}}});
    trace.attribute("json", json::parse(R"({"a":[1,2.5,null,true,{"b":"\"c\""}],"d":{}})"));
    trace.attribute("twice", 1);
    trace.attribute("twice", std::string("the last one counts"));
    trace.attribute("long", repeated("0123456789", 20'000));
    trace.attribute("digits", repeated("1", 5'000)); // more than Python converts into a number
    trace.attribute("deep", repeated("[", 400) + repeated("]", 400));
    trace.attribute("very.deep", repeated("[", 20'000) + repeated("]", 20'000));
}

TEST_F(roundtrip, inputs_and_outputs_of_any_form) {
    auto trace = start("forms", mt::user{"user-1042"}, mt::session{"session-7"});
    trace.inputs(std::string("a question"));
    trace.outputs(std::string("an answer"));
    for (const std::string& text : misleading) {
        auto span = trace.start_span(trace, "form");
        span.inputs(text);
        span.outputs(std::map<std::string, std::string>{{"text", text}});
    }
    auto numbers = trace.start_span(trace, "numbers");
    numbers.inputs(json::parse(R"([1,-9223372036854775808,9223372036854775807,0.5,1e-7,true,null,"1"])"));
    numbers.outputs(std::vector<std::uint64_t>{1, std::numeric_limits<std::uint64_t>::max()});
    numbers.said()["outputs"] = {1, "18446744073709551615"};
    for (const auto number : {0, -1, 42}) {
        auto span = trace.start_span(trace, "number");
        span.inputs(number);
        span.outputs(number / 4.0);
    }
    auto yes = trace.start_span(trace, "bool");
    yes.inputs(true);
    yes.outputs(std::numeric_limits<double>::infinity());
    auto named = trace.start_span(trace, "named");
    const std::optional<int> nothing;
    named->inputs(mt::arg("question", "why?"), mt::arg("k", 5), mt::arg("exact", true), mt::arg("none", nothing),
                  mt::arg("user", mt::user{"user-1042"}), mt::arg("scores", std::vector<double>{0.25, 1.0}));
    named.said()["inputs"] =
        json::parse(R"({"question":"why?","k":5,"exact":true,"none":null,"user":"user-1042","scores":[0.25,1.0]})");
    auto large = trace.start_span(trace, "large");
    large.inputs(repeated("ロック\n", 50'000));
}

TEST_F(roundtrip, events_and_chunks_keep_their_order) {
    auto trace = start("events", mt::user{"user-1042"}, mt::session{"session-8"});
    for (const std::string& text : misleading) trace.event("text", "value", text);
    trace.event("number", "value", std::numeric_limits<std::int64_t>::min());
    trace.event("number", "value", 0.25);
    trace.event("bool", "value", true);
    trace.event("{\"name\": 1}", "ロック", std::string("x"));
    auto model = trace.start_span(trace, "stream", mt::span_type::chat_model);
    for (const std::string& text : misleading) model.chunk(text);
    model.chunk(std::map<std::string, int>{{"delta", 1}});
    model.chunk(std::vector<bool>{true, false});
    for (int i = 0; i < 100; ++i) model.chunk(i);
}

TEST_F(roundtrip, span_types_parents_models_and_usage) {
    auto trace = start("spans", mt::user{"user-1042"}, mt::session{"session-8"}, mt::span_type::agent);
    trace.trace()["usage"] = {{"input_tokens", 1'107}, {"output_tokens", 57}, {"total_tokens", 1'164}};
    trace.trace()["cost"] = {{"input_cost", 0.75}, {"output_cost", 0.375}, {"total_cost", 1.125}};
    for (const auto type :
         {mt::span_type::llm, mt::span_type::chain, mt::span_type::agent, mt::span_type::tool,
          mt::span_type::chat_model, mt::span_type::retriever, mt::span_type::parser, mt::span_type::embedding,
          mt::span_type::reranker, mt::span_type::memory, mt::span_type::workflow, mt::span_type::task,
          mt::span_type::guardrail, mt::span_type::evaluator, mt::span_type::unknown, mt::span_type("MY_TYPE")})
        trace.start_span(trace, type.name(), type);
    for (const std::string& text : misleading) trace.start_span(trace, text, mt::span_type(text));
    {
        auto outer = trace.start_span(trace, "outer", mt::span_type::chain);
        auto middle = trace.start_span(outer, "middle");
        auto inner = trace.start_span(middle, "inner", mt::span_type::chat_model);
        inner->model("my-model").provider("my-provider").cost({.input = 0.5, .output = 0.25});
        inner.attribute("after", true);
        inner.said()["attributes"]["mlflow.llm.model"] = inner.said()["model"] = "my-model";
        inner.said()["attributes"]["mlflow.llm.provider"] = "my-provider";
        inner.said()["attributes"]["mlflow.llm.cost"] = {
            {"input_cost", 0.5}, {"output_cost", 0.25}, {"total_cost", 0.75}};
        inner.usage(1'000, 50);
        auto other = trace.start_span(middle, "other", mt::span_type::llm);
        other->model("123").cost({.input = 0.25, .output = 0.125}).level(mt::log_level::warning);
        other.said()["attributes"]["mlflow.llm.model"] = other.said()["model"] = "123";
        other.said()["attributes"]["mlflow.llm.cost"] = {
            {"input_cost", 0.25}, {"output_cost", 0.125}, {"total_cost", 0.375}};
        other.said()["attributes"]["mlflow.spanLogLevel"] = 30;
        other.usage(107, 7);
    }
    std::thread([&] {
        auto elsewhere = trace.start_span(trace, "on another thread", mt::span_type::tool);
        elsewhere.outputs(1);
    }).join();
}

TEST_F(roundtrip, a_span_that_ends_after_its_trace) {
    auto trace = start("late", mt::user{"user-1042"}, mt::session{"session-8"}, mt::client_request_id{"late-1"});
    auto late = trace.start_span(trace, "late span", mt::span_type::task);
    trace->end();
    ASSERT_TRUE(tracer_.flush(std::chrono::seconds(60)));
    late.outputs(std::string("done"));
    late.said()["after_its_trace"] = true;
}

TEST_F(roundtrip, exceptions) {
    struct no_answer : std::runtime_error {
        using runtime_error::runtime_error;
    };
    for (const char* const message : {"no answer", "{\"code\": 7}", "ロック\nsecond line"}) {
        auto trace = start("failing", mt::user{"user-1042"}, mt::session{"session-9"}, mt::tag{"kind", "failing"});
        trace.trace()["state"] = "ERROR";
        trace.inputs(1);
        EXPECT_THROW(trace->run([&] {
            auto span = trace.start_span(trace, "inner", mt::span_type::tool);
            span.failed("std::out_of_range", message);
            span->run([&] { throw std::out_of_range(message); });
        }),
                     std::out_of_range);
        trace.failed("std::out_of_range", message);
    }
    auto handled = start("handled", mt::user{"user-1042"}, mt::session{"session-9"});
    {
        auto span = handled.start_span(handled, "tried");
        span->exception("my.Error", "handled here");
        span.failed("my.Error", "handled here");
    }
    auto unwound = handled.start_span(handled, "stated");
    unwound->set_status(mt::status::error, "說明");
    unwound.said()["status"] = "ERROR";
    unwound.said()["description"] = "說明";
}

TEST_F(roundtrip, names_of_traces) {
    for (const std::string& text : misleading) start(text, mt::user{"user-1042"}, mt::session{"session-10"});
    start(repeated("n", 1'000), mt::user{"user-1042"}, mt::session{"session-10"});
}

TEST_F(roundtrip, tags) {
    for (const bool with_request_id : {false, true}) {
        auto trace = start("tags", mt::user{"user-1042"}, mt::session{"session-11"});
        if (with_request_id) trace.set(mt::client_request_id{"tags-1"});
        int number = 0;
        for (const std::string& text : misleading) trace.set(mt::tag{"text." + std::to_string(number++), text});
        trace.set(mt::tag{"empty", ""});
        trace.set(mt::tag{"long", repeated("x", 4'096)});
        trace.set(mt::tag{"long.unicode", repeated("\xf0\x9f\x9a\xb2", 4'096)});
        for (const char* const key : {"a", "a.b-c_d/e f:g", "name", "timestamp", "true", "1"})
            trace.set(mt::tag{key, "value"});
        trace.set(mt::tag{std::string_view("changed"), "before"});
        trace.set(mt::tag{"changed", "after"});
    }
}

TEST_F(roundtrip, further_metadata) {
    using segment = mt::key<"app.segment", mt::one_of<"free", "pro">>;
    using odd = mt::key<"app key / \"ロック\"">;
    auto trace = start("metadata", mt::user{"user-1042"}, mt::session{"session-12"}, segment{"pro"}, odd{"odd"});
    int number = 0;
    const auto set = [&](const std::string& key, const std::string& value) {
        EXPECT_TRUE(trace->metadata(key, value));
        trace.trace()["metadata"][key] = value;
    };
    for (const std::string& text : misleading)
        if (text.find_first_of("\n\t") == std::string::npos) set("text." + std::to_string(number++), text);
    set("long", repeated("ロ", 250));
    set(repeated("k", 250), "a long key");
    trace.inputs(std::string("question"));
    trace.outputs(std::string("answer"));
    {
        auto span = trace.start_span(trace, "model", mt::span_type::llm);
        span.usage(3, 4);
    }
    auto cached = trace.start_span(trace, "cached", mt::span_type::llm);
    cached.usage_with_cache(10, 5, 8, 2);
    trace.trace()["usage"] = {{"input_tokens", 13},
                              {"output_tokens", 9},
                              {"total_tokens", 22},
                              {"cache_read_input_tokens", 8},
                              {"cache_creation_input_tokens", 2},
                              {"cache_creation_input_tokens_above_1hr", 1}};
}

TEST_F(roundtrip, previews) {
    auto trace = start("previews", mt::user{"user-1042"}, mt::session{"session-13"});
    trace.inputs(std::map<std::string, std::string>{{"message", "the whole request"}});
    trace.outputs(std::string("the whole response"));
    trace->previews("\"short\" request", repeated("ロ", 1'001));
    trace.trace()["request_preview"] = "\"short\" request";
    trace.trace()["response_preview"] = repeated("ロ", 1'000);
}

TEST_F(roundtrip, a_function_that_is_traced) {
    auto answer = mt::traced<"answer", "user", "session", "message">(
        tracer_, [&](mt::user user, mt::session session, const std::string& message) {
            auto& said = traces_[text(mt::current_trace_id().mlflow_id())];
            said = {{"name", "answer"}, {"state", "OK"}, {"tags", json::object()}, {"client_request_id", nullptr}};
            said["metadata"] = {{"mlflow.trace.user", user.view()}, {"mlflow.trace.session", session.view()}};
            said["traced"] = {{"inputs", {{"user", user.view()}, {"session", session.view()}, {"message", message}}},
                              {"outputs", "You said: " + message}};
            return "You said: " + message;
        });
    answer(mt::user{"user-2210"}, mt::session{"session-14"}, "hello");
    answer(mt::user{"user-2210"}, mt::session{"session-14"}, "{\"hello\": 1}");
}

class identities : public roundtrip {
protected:
    identities() : roundtrip("identities") {}
};

TEST_F(identities, are_stored_exactly) {
    std::vector<std::string> values = {"o'brien",
                                       "trailing\\",
                                       "%%",
                                       "__",
                                       "user-1042",
                                       "User-1042",
                                       "user_1042",
                                       "user%",
                                       "x' OR 1=1 --",
                                       repeated("é", 250),
                                       repeated("\xf0\x9f\x9a\xb2", 250),
                                       repeated("\"", 250)};
    for (const std::string& text : misleading)
        if (text.find_first_of("\n\t") == std::string::npos) values.push_back(text);
    using segment = mt::key<"app.segment">;
    int number = 0;
    for (const std::string& value : values) {
        const auto user = mt::user::parse(value);
        const auto session = mt::session::parse(value);
        ASSERT_TRUE(user && session) << value;
        const auto record = [&](const auto&... who) {
            for (const bool with_request_id : {false, true})
                for (const bool with_metadata : {false, true}) {
                    auto trace = start("identity", who...);
                    if (with_request_id)
                        trace.set(*mt::client_request_id::parse("request-" + std::to_string(++number)));
                    if (with_metadata) trace.set(segment{"true"});
                }
        };
        record(*user, *session);
        record(*user, mt::no_session);
        record(mt::anonymous, *session);
        record(*user, mt::session{"shared"});
    }
}

TEST_F(identities, request_ids_are_stored_exactly) {
    for (const std::string& value : misleading)
        if (const auto id = mt::client_request_id::parse(value)) start("request", mt::anonymous, mt::no_session, *id);
    start("request", mt::anonymous, mt::no_session, *mt::client_request_id::parse(repeated("\xf0\x9f\x9a\xb2", 50)));
}

} // namespace
