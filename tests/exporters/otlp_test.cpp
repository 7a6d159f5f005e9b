// SPDX-License-Identifier: Apache-2.0
// What the exporter says to its receiver, and makes of the answers. tests/collector/ asks a real one.
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using namespace std::string_literals;

using exporter_type = mt::otlp_exporter<mt::memory_transport>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, exporter_type>;

class otlp_exporter : public testing::Test {
protected:
    std::shared_ptr<mt::memory_server> receiver = std::make_shared<mt::memory_server>();

    exporter_type::options options() const { return {.transport = {receiver}}; }

    struct recorded {
        mt::span_account account;
        std::string error;
    };
    static recorded record(exporter_type::options chosen) {
        tracer_type tracer({.exporter = std::move(chosen)});
        auto trace = tracer.start_trace("chat", mt::user{"\"quoted\""}, mt::session{"1"},
                                        mt::client_request_id{"r-1"}, mt::tag{"kind", "test"});
        trace.metadata("app.segment", "pro");
        tracer.start_span("inside").outputs(1);
        trace.end();
        return {tracer.account(), tracer.last_error().message()};
    }

    // The request that came last, as the JSON of OTLP.
    nlohmann::json request() const {
        mt::detail::buffer text;
        EXPECT_TRUE(mt::detail::append_otlp_json(text, receiver->requests().back().body));
        return nlohmann::json::parse(text.view());
    }
    std::map<std::string, std::string> root_attributes() const {
        std::map<std::string, std::string> attributes;
        const auto all = request();
        for (const auto& span : all["resourceSpans"][0]["scopeSpans"][0]["spans"]) {
            if (span["name"] != "chat") EXPECT_EQ(span.dump().find("user.id"), std::string::npos);
            else
                for (const auto& attribute : span["attributes"])
                    attributes[attribute["key"]] = attribute["value"].value("stringValue", "");
        }
        return attributes;
    }
};

TEST_F(otlp_exporter, sends_identity_bare_and_on_the_root_span) {
    record(options());
    ASSERT_EQ(receiver->request_count(), 1U);
    const auto sent = receiver->requests().front();
    EXPECT_EQ(sent.target, "/v1/traces");
    EXPECT_EQ(sent.header("Content-Type"), "application/x-protobuf");
    auto attributes = root_attributes();
    EXPECT_EQ(attributes["user.id"], "\"quoted\"");
    EXPECT_EQ(attributes["session.id"], "1");
    EXPECT_FALSE(attributes.contains("gen_ai.conversation.id"));
    EXPECT_EQ(attributes["mlflow.clientRequestId"], "r-1");
    EXPECT_EQ(attributes["mlflow.traceTag.kind"], "test");
    EXPECT_EQ(attributes["mlflow.traceMetadata.app.segment"], "pro");
}

TEST_F(otlp_exporter, names_the_conversation_where_asked) {
    auto chosen = options();
    chosen.receiver = mt::otlp_receiver::gen_ai;
    record(chosen);
    auto attributes = root_attributes();
    EXPECT_EQ(attributes["session.id"], "1");
    EXPECT_EQ(attributes["gen_ai.conversation.id"], "1");
    EXPECT_EQ(attributes["mlflow.traceMetadata.app.segment"], "pro");
}

TEST_F(otlp_exporter, sends_to_mlflow_all_that_a_trace_has) {
    auto chosen = options();
    chosen.receiver = mt::otlp_receiver::mlflow;
    record(chosen);
    auto attributes = root_attributes();
    EXPECT_EQ(attributes["user.id"], R"("\"quoted\"")") << "encoded, so that MLflow stores it as it is";
    EXPECT_EQ(attributes["session.id"], R"("1")");
    EXPECT_EQ(attributes["mlflow.clientRequestId"], "r-1");
    EXPECT_EQ(attributes["mlflow.traceTag.kind"], "test");
    EXPECT_EQ(attributes["mlflow.traceMetadata.app.segment"], "pro");
    EXPECT_EQ(attributes["mlflow.traceTag.mlflow.traceName"], "chat");
}

TEST_F(otlp_exporter, takes_the_words_of_a_receiver_for_a_success_where_asked) {
    const auto outcome_of = [&](mt::otlp_success success, std::string_view type, std::string_view body) {
        receiver->answer_with([=](const mt::memory_server::request&) {
            return mt::http_response{200, {{"Content-Type", std::string(type)}}, std::string(body)};
        });
        auto chosen = options();
        chosen.success = success;
        tracer_type tracer({.exporter = chosen});
        static_cast<void>(tracer.start_trace("chat"));
        return std::pair(tracer.account().exported, std::string(tracer.last_error().message()));
    };
    constexpr std::string_view json = "application/json; charset=utf-8";
    for (const char* const body : {R"({"message":"OK"})", R"({"successes":[1],"errors":[ ],"error":null})",
                                   R"({"success":true,"error":"","errors":0})", R"({"ok":1,"errors":{ }})",
                                   R"({"name":"otel-ingestion-job","data":{"id":"1"},"opts":{}})"}) {
        EXPECT_EQ(outcome_of(mt::otlp_success::json_object, json, body).first, 1U) << body;
        const auto [exported, why] = outcome_of(mt::otlp_success::export_response, json, body);
        EXPECT_EQ(exported, 0U) << body;
        EXPECT_NE(why.find("json_object"), std::string::npos) << why;
    }
    for (const char* const body :
         {R"({"error":"log in"})", R"({"a":1,"errors":[1]})", R"({"success":false})", R"({"ok": false, "code": 401})",
          R"({"errors":{"a":1}})", R"({"errors":2})", "[]", "null", "{", "{} {}", "OK", "<html>"})
        EXPECT_EQ(outcome_of(mt::otlp_success::json_object, json, body).first, 0U) << body;
    EXPECT_EQ(outcome_of(mt::otlp_success::json_object, "text/html", "{}").first, 0U);
    for (const char* const body : {R"({"partialSuccess":{"rejectedSpans":"1"}})",
                                   R"({"partialSuccess":{"rejectedSpans":1,"errorMessage":"too old"},"status":"OK"})",
                                   R"({"id":7,"partial_success":{"rejected_spans":1}})"}) {
        const auto [exported, why] = outcome_of(mt::otlp_success::json_object, json, body);
        EXPECT_EQ(exported, 0U) << body << ": an export response is still read as one";
        EXPECT_NE(why.find("rejected spans"), std::string::npos) << why;
    }
}

// A trace that was open at a fork: its parts in the child have the same user and session, also without their root.
TEST_F(otlp_exporter, puts_identity_on_the_spans_of_a_child_of_a_fork_too) {
    auto chosen = options();
    chosen.identity_on_every_span = true;
    tracer_type tracer({.exporter = chosen});
    auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"});
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        auto late = trace.start_span("late");
        tracer.start_span("inside").end();
        trace.end();
        late.end();
        const auto sent = receiver->requests();
        bool is_told = sent.size() == 2;
        for (const auto& one : sent)
            is_told = is_told && one.body.find("user-1042") != std::string::npos &&
                      one.body.find("session-7") != std::string::npos;
        _exit(is_told ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

TEST_F(otlp_exporter, puts_identity_on_every_span_where_asked) {
    auto chosen = options();
    chosen.receiver = mt::otlp_receiver::gen_ai;
    chosen.identity_on_every_span = true;
    tracer_type tracer({.exporter = chosen});
    const auto identity_of = [&](std::string_view name) {
        std::map<std::string, std::string> found;
        for (const auto& sent : receiver->requests()) {
            mt::detail::buffer text;
            EXPECT_TRUE(mt::detail::append_otlp_json(text, sent.body));
            const auto all = nlohmann::json::parse(text.view());
            for (const auto& span : all["resourceSpans"][0]["scopeSpans"][0]["spans"])
                if (span["name"] == name && span.contains("attributes"))
                    for (const auto& attribute : span["attributes"])
                        found[attribute["key"]] = attribute["value"].value("stringValue", "");
        }
        return found;
    };
    auto trace = tracer.start_trace("chat", mt::user{"user-1042"});
    tracer.start_span("inside").end();
    auto late = trace.start_span("late");
    auto later = trace.start_span("later");
    trace.set(mt::session{"session-7"});
    trace.end();
    late.end();
    later.end();
    EXPECT_EQ(receiver->request_count(), 3U);
    for (const char* const name : {"chat", "inside", "late", "later"}) {
        auto attributes = identity_of(name);
        EXPECT_EQ(attributes["user.id"], "user-1042") << name;
        EXPECT_EQ(attributes["session.id"], "session-7") << name;
        EXPECT_EQ(attributes["gen_ai.conversation.id"], "session-7") << name;
    }
}

TEST_F(otlp_exporter, a_trace_that_nobody_owns_has_no_identity_anywhere) {
    auto chosen = options();
    chosen.identity_on_every_span = true;
    tracer_type tracer({.exporter = chosen});
    { // the pooled trace before this one had an owner
        auto trace = tracer.start_trace("first", mt::user{"user-1042"});
        auto late = trace.start_span("late");
        trace.end();
    }
    {
        auto trace = tracer.start_trace("second");
        auto late = trace.start_span("late");
        trace.end();
    }
    for (std::size_t i = 0; i < receiver->request_count(); ++i)
        EXPECT_EQ(receiver->requests()[i].body.find("user-1042") != std::string::npos, i < 2) << i;
    EXPECT_EQ(receiver->request_count(), 4U);
}

TEST_F(otlp_exporter, speaks_the_terms_of_the_gen_ai_conventions_where_asked) {
    using json = nlohmann::json;
    auto chosen = options();
    chosen.receiver = mt::otlp_receiver::gen_ai;
    tracer_type tracer({.exporter = chosen});
    const auto inputs = json::parse(R"({"model":"m","messages":[{"role":"system","content":"Be \"brief\""},
        {"role":"user","content":[{"type":"text","text":"Look"},{"type":"image_url","image_url":{"url":"u"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
            "function":{"name":"find","arguments":"{\"q\":1}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"found"}]})");
    const auto outputs = json::parse(R"({"choices":[{"index":0,"finish_reason":"stop",
        "message":{"role":"assistant","content":"é 42"}}]})");
    {
        auto agent = tracer.start_trace("planner", mt::span_type::agent, mt::session{"s"});
        agent.inputs(mt::arg("question", "q"));
        {
            auto model = tracer.start_span("complete", mt::span_type::chat_model);
            model.model("gpt-x").provider("openai").usage(
                {.input = 7, .output = 5, .cache_read = 3, .cache_creation = 2});
            model.inputs(inputs).outputs(outputs).attribute("gen_ai.request.model", "own name");
        }
        {
            auto plain = tracer.start_span("plain", mt::span_type::llm);
            plain.inputs("hello").outputs("you said \"hello\"");
        }
        auto tool = tracer.start_span("find", mt::span_type::tool);
        tool.inputs(mt::arg("q", 1)).outputs("found");
    }
    std::map<std::string, std::map<std::string, std::string>> said;
    std::map<std::string, int> kinds;
    const auto all = request();
    for (const auto& span : all["resourceSpans"][0]["scopeSpans"][0]["spans"]) {
        kinds[span["name"]] = span["kind"];
        for (const auto& attribute : span["attributes"]) {
            const auto& value = attribute["value"];
            auto& text = said[span["name"]][attribute["key"]];
            EXPECT_EQ(text, "") << "twice: " << attribute["key"];
            text = value.contains("stringValue") ? value["stringValue"].get<std::string>() : value.dump();
        }
    }
    auto& model = said["complete"];
    EXPECT_EQ(kinds["complete"], 3);
    EXPECT_EQ(kinds["planner"], 1);
    EXPECT_EQ(model["gen_ai.operation.name"], "chat");
    EXPECT_EQ(model["gen_ai.request.model"], "own name");
    EXPECT_EQ(model["gen_ai.provider.name"], "openai");
    EXPECT_EQ(model["gen_ai.usage.input_tokens"], R"({"intValue":"7"})");
    EXPECT_EQ(model["gen_ai.usage.output_tokens"], R"({"intValue":"5"})");
    EXPECT_EQ(model["gen_ai.usage.cache_read.input_tokens"], R"({"intValue":"3"})");
    EXPECT_EQ(model["gen_ai.usage.cache_creation.input_tokens"], R"({"intValue":"2"})");
    EXPECT_FALSE(model.contains("mlflow.spanInputs")) << "not sent twice";
    EXPECT_EQ(json::parse(model["gen_ai.input.messages"]), json::parse(R"([
        {"role":"system","parts":[{"type":"text","content":"Be \"brief\""}]},
        {"role":"user","parts":[{"type":"text","content":"Look"},{"type":"image_url","image_url":{"url":"u"}}]},
        {"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"find","arguments":"{\"q\":1}"}]},
        {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"found"}]}])"));
    EXPECT_EQ(json::parse(model["gen_ai.output.messages"]), json::parse(R"([
        {"role":"assistant","parts":[{"type":"text","content":"é 42"}],"finish_reason":"stop"}])"));
    EXPECT_EQ(json::parse(said["plain"]["gen_ai.input.messages"]),
              json::parse(R"([{"role":"user","parts":[{"type":"text","content":"hello"}]}])"));
    EXPECT_EQ(json::parse(said["plain"]["gen_ai.output.messages"])[0]["parts"][0]["content"], "you said \"hello\"");
    EXPECT_EQ(said["find"]["gen_ai.tool.name"], "find");
    EXPECT_EQ(said["find"]["gen_ai.tool.call.arguments"], R"({"q":1})");
    EXPECT_EQ(said["find"]["gen_ai.tool.call.result"], R"("found")");
    EXPECT_EQ(said["planner"]["gen_ai.agent.name"], "planner");
    EXPECT_EQ(said["planner"]["gen_ai.operation.name"], "invoke_agent");
    EXPECT_EQ(said["planner"]["gen_ai.conversation.id"], "s");
    EXPECT_EQ(said["planner"]["mlflow.spanInputs"], R"({"question":"q"})") << "what has no other name stays";
}

// Whatever a model's inputs are, the request is a good one, and nothing is lost.
TEST_F(otlp_exporter, keeps_what_are_no_messages_as_it_is) {
    auto chosen = options();
    chosen.receiver = mt::otlp_receiver::gen_ai;
    for (const char* const inputs : {"null", "[]", "{}", "3", R"({"messages":{}})", R"({"messages":[]})",
                                     R"({"messages":[1]})", R"({"messages":[{"role":1}]})", R"([{"content":"x"}])",
                                     R"({"choices":[{}]})", R"({"messages":[{"role":"user"},7]})"}) {
        tracer_type tracer({.exporter = chosen});
        {
            auto model = tracer.start_trace("complete", mt::span_type::chat_model);
            model.inputs(nlohmann::json::parse(inputs)).outputs(nlohmann::json::parse(inputs));
        }
        EXPECT_EQ(tracer.account().exported, 1U);
        const auto all = request();
        std::string kept;
        for (const auto& attribute : all["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"]) {
            EXPECT_NE(attribute["key"], "gen_ai.input.messages") << inputs;
            EXPECT_NE(attribute["key"], "gen_ai.output.messages") << inputs;
            if (attribute["key"] == "mlflow.spanInputs") kept = attribute["value"].dump();
        }
        EXPECT_NE(kept, "") << inputs;
    }
}

TEST_F(otlp_exporter, sends_resource_headers_and_credentials) {
    auto chosen = options();
    chosen.resource = {{"service.name", "chat"}, {"deployment.environment.name", "test"}};
    chosen.headers = {{"x-api-key", mt::secret("key")}};
    chosen.authorization = mt::bearer_authorization(mt::secret("token"));
    record(chosen);
    const auto sent = receiver->requests().front();
    EXPECT_EQ(sent.header("x-api-key"), "key");
    EXPECT_EQ(sent.header("Authorization"), "Bearer token");
    const auto all = request();
    const auto& resource = all["resourceSpans"][0]["resource"]["attributes"];
    EXPECT_EQ(resource[0], (nlohmann::json{{"key", "service.name"}, {"value", {{"stringValue", "chat"}}}}));
    EXPECT_EQ(resource[1]["value"]["stringValue"], "test");
}

TEST_F(otlp_exporter, uses_its_url_as_it_is) {
    const std::pair<const char*, const char*> urls[] = {{"http://h", "/"},
                                                        {"http://h:1/", "/"},
                                                        {"https://h/otlp/v1/traces", "/otlp/v1/traces"},
                                                        {"http://[::1]:4318/a/", "/a/"},
                                                        {"http://h/v1/traces?api=1", "/v1/traces?api=1"}};
    for (const auto& [url, target] : urls) {
        auto chosen = options();
        chosen.traces_endpoint = url;
        record(chosen);
        EXPECT_EQ(receiver->requests().back().target, target) << url;
    }
    for (const char* const wrong : {"", "collector:4318", "grpc://h:4317", "http://user:secret@h/v1/traces"}) {
        auto chosen = options();
        chosen.traces_endpoint = wrong;
        const std::string told = record(chosen).error;
        EXPECT_TRUE(told.starts_with("traces_endpoint: the URL ")) << told;
        EXPECT_EQ(told.find("secret"), std::string::npos) << told;
    }
}

TEST_F(otlp_exporter, tells_why_the_receiver_refused) {
    receiver->queue_reply(mt::http_response{
        400, {{"content-type", "application/x-protobuf"}}, "\x08\x03\x12\x08no\ntoken"}); // google.rpc.Status
    EXPECT_EQ(record(options()).error, "http://127.0.0.1:4318 responded 400 to /v1/traces: no token");
    receiver->queue_reply(mt::http_response{400, {}, R"({"code":3,"message":"no token"})"});
    EXPECT_EQ(record(options()).error, "http://127.0.0.1:4318 responded 400 to /v1/traces: no token");
}

TEST_F(otlp_exporter, says_what_is_worth_another_try) {
    for (const auto& [status, retryable] : {std::pair(400, false),
                                            {401, true},
                                            {403, true},
                                            {404, true},
                                            {413, false},
                                            {429, true},
                                            {500, true},
                                            {502, true},
                                            {503, true},
                                            {504, true}}) {
        receiver->queue_reply(mt::http_response{status, {{"Retry-After", "7"}}, {}});
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::detail::collecting_exporter> tracer;
        tracer.start_trace("chat").end();
        exporter_type exporter(options());
        const auto outcome = exporter.export_traces(tracer.exporter().collected);
        EXPECT_EQ(outcome.failed_spans, 1U);
        EXPECT_EQ(outcome.retryable, retryable) << status;
        EXPECT_EQ(outcome.retry_after, std::chrono::seconds(7));
    }
}

TEST_F(otlp_exporter, counts_what_the_receiver_took_only_in_part) {
    const auto answer = [&](std::string body) {
        receiver->queue_reply(mt::http_response{200, {{"Content-Type", "application/x-protobuf"}}, std::move(body)});
        const auto [account, error] = record(options());
        return std::to_string(account.exported) + " of " + std::to_string(account.started) + ": " + error;
    };
    EXPECT_EQ(answer(""), "2 of 2: ");
    EXPECT_EQ(answer("\x0a\x0c\x08\x01\x12\x08too long"), "1 of 2: the receiver rejected spans: too long");
    EXPECT_EQ(answer("\x0a\x0a\x12\x08outdated"), "2 of 2: ") << "a warning";
    EXPECT_EQ(answer("\x0a\x03\x08\xff\x7f"), "0 of 2: the receiver rejected spans: ") << "more than there were";
    EXPECT_TRUE(answer("\x0a\xff").starts_with("0 of 2: http://127.0.0.1:4318 responded 200 to /v1/traces with "))
        << "malformed: who says that they were taken?";
}

TEST_F(otlp_exporter, conforms) {
    std::string all;
    for (const std::string& fault : mt::exporter_conformance<exporter_type>(options()).faults()) all += fault + "\n";
    EXPECT_EQ(all, "");
}

} // namespace
