// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/recording/redactors.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <map>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
template <class Recording>
using recorder = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, Recording>;

template <class Tracer>
mt::recorded_span only_span(Tracer& tracer) {
    return tracer.exporter().take().at(0).spans.at(0);
}

TEST(redact_nothing, keeps_every_value) {
    constexpr mt::redact_nothing redactor;
    EXPECT_TRUE(redactor("password", "secret").is_kept());
}

TEST(redact_keys, redacts_by_key_at_any_depth) {
    recorder<mt::recording_policy<mt::record_all, mt::redact_keys<"password", "token">>> tracer;
    {
        auto span = tracer.start_span("login");
        const std::map<std::string, std::string> headers{{"Token", "secret-1"}, {"Accept", "text/plain"}};
        const nlohmann::json body = {{"user", "u"}, {"auth", {{"password", "secret-2"}, {"tries", {1, 2}}}}};
        span.inputs(mt::arg("headers", headers), mt::arg("body", body), mt::arg("password", 12345));
        span.outputs(nlohmann::json{{"token", {"secret-3", 4, nullptr}}});
        span.attribute("password", "secret-5").attribute("token", 6).attribute("kept", "secret").attribute("n", 7);
        span.event("sent", mt::arg("token", "secret-8"), mt::arg("bytes", 9));
        span.usage({.input = 1, .output = 2});
    }
    const auto span = only_span(tracer);
    EXPECT_EQ(span.attributes["mlflow.spanInputs"],
              R"({"headers":{"Accept":"text/plain","Token":"[redacted]"},)"
              R"("body":{"auth":{"password":"[redacted]","tries":[1,2]},"user":"u"},"password":"[redacted]"})");
    EXPECT_EQ(span.attributes["mlflow.spanOutputs"], R"({"token":["[redacted]","[redacted]","[redacted]"]})");
    EXPECT_EQ(span.attributes["password"], "[redacted]");
    EXPECT_EQ(span.attributes["token"], "[redacted]");
    EXPECT_EQ(span.attributes["kept"], "secret");
    EXPECT_EQ(span.attributes["n"], "7");
    EXPECT_EQ(span.events.at(0).attributes["token"], "[redacted]");
    EXPECT_EQ(span.events.at(0).attributes["bytes"], "9");
    EXPECT_EQ(span.attributes["mlflow.chat.tokenUsage"], R"({"input_tokens":1,"output_tokens":2,"total_tokens":3})");
}

TEST(redact_content, keeps_what_measures_and_nothing_that_was_said) {
    recorder<mt::recording_policy<mt::record_all, mt::redact_content<"app.route">>> tracer;
    {
        auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"});
        trace.inputs(mt::arg("question", "said"), mt::arg("age", 47),
                     mt::arg("parts", std::vector<std::string>{"said"}));
        trace.previews("said", "said");
        trace.outputs("said").attribute("note", "said").attribute("secret_number", 47);
        trace.attribute("app.route", "/chat").attribute("gen_ai.usage.reasoning_tokens", 3);
        trace.attribute("GEN_AI.REQUEST.MODEL", "m").attribute("gen_ai.usagelike", "said");
        trace.attribute("gen_ai.usage.note", "said");
        trace.event("tool", mt::arg("arguments", "said"));
        trace.model("llama").usage({.input = 1, .output = 2});
        auto stream = tracer.start_span("stream");
        stream.chunk("said").exception("std::runtime_error", "said");
    }
    const auto trace = tracer.exporter().take().at(0);
    std::string all = trace.request_preview + trace.response_preview;
    for (const auto& span : trace.spans) {
        all += span.status_message;
        for (const auto& [key, value] : span.attributes) all += key + '=' + value + '\n';
        for (const auto& event : span.events)
            for (const auto& [key, value] : event.attributes) all += value + '\n';
    }
    EXPECT_EQ(all.find("said"), all.npos) << all;
    EXPECT_EQ(all.find("47"), all.npos) << all;
    const auto& root = trace.spans.at(0).name == "chat" ? trace.spans.at(0) : trace.spans.at(1);
    auto attributes = root.attributes;
    EXPECT_EQ(attributes["app.route"], "/chat");
    EXPECT_EQ(attributes["gen_ai.usage.reasoning_tokens"], "3");
    EXPECT_EQ(attributes["GEN_AI.REQUEST.MODEL"], "m");
    EXPECT_EQ(attributes["mlflow.llm.model"], "llama");
    EXPECT_EQ(attributes["mlflow.spanInputs"],
              R"({"question":"[redacted]","age":"[redacted]","parts":["[redacted]"]})");
    auto metadata = trace.metadata;
    EXPECT_EQ(metadata["mlflow.trace.user"], "user-1");
}

TEST(redactors, need_no_keys_to_redact_or_to_keep) {
    recorder<mt::recording_policy<mt::record_all, mt::redact_content<>>> without_content;
    without_content.start_span("x").attribute("note", "said");
    EXPECT_EQ(only_span(without_content).attributes["note"], "[redacted]");
    recorder<mt::recording_policy<mt::record_all, mt::redact_keys<>>> whole;
    whole.start_span("x").attribute("note", "said");
    EXPECT_EQ(only_span(whole).attributes["note"], "said");
}

} // namespace
