// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/chat.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;
using nlohmann::json;

template <class T>
json written(const T& value) {
    mt::detail::buffer out;
    EXPECT_TRUE(mt::append_json(out, value));
    return json::parse(out.view());
}

constexpr mt::tool_definition price("price", "What a ride costs",
                                    R"({"type": "object", "properties": {"minutes": {"type": "number"}}})");

TEST(chat, messages_of_text) {
    EXPECT_EQ(written(mt::message::system("Be brief.")), (json{{"role", "system"}, {"content", "Be brief."}}));
    EXPECT_EQ(written(mt::message::user("Hi")), (json{{"role", "user"}, {"content", "Hi"}}));
    EXPECT_EQ(written(mt::message::assistant("Hello")), (json{{"role", "assistant"}, {"content", "Hello"}}));
    EXPECT_EQ(written(mt::message::refusal("No")),
              (json{{"role", "assistant"}, {"content", nullptr}, {"refusal", "No"}}));
    EXPECT_EQ(written(mt::message::tool("call-1", "€7")),
              (json{{"role", "tool"}, {"content", "€7"}, {"tool_call_id", "call-1"}}));
}

TEST(chat, a_call_of_a_tool) {
    const mt::tool_call call{.id = "call-1", .name = "price", .arguments = mt::json_text(mt::arg("minutes", 30))};
    const json shape{{"id", "call-1"},
                     {"type", "function"},
                     {"function", {{"name", "price"}, {"arguments", R"({"minutes":30})"}}}};
    EXPECT_EQ(written(mt::message::assistant({call})),
              (json{{"role", "assistant"}, {"content", nullptr}, {"tool_calls", {shape}}}));
    EXPECT_EQ(written(mt::message::assistant({call}, "One moment"))["content"], "One moment");
}

TEST(chat, parts_of_a_message) {
    const auto message =
        mt::message::user({mt::content_part::text("What is this?"),
                           mt::content_part::image("https://example.com/a.png", mt::image_detail::low),
                           mt::content_part::image_bytes("abc", "image/png"),
                           mt::content_part::audio_bytes("abc", mt::audio_format::mp3)});
    const auto content = written(message)["content"];
    ASSERT_EQ(content.size(), 4U);
    EXPECT_EQ(content[0], (json{{"type", "text"}, {"text", "What is this?"}}));
    EXPECT_EQ(content[1], (json{{"type", "image_url"},
                                {"image_url", {{"url", "https://example.com/a.png"}, {"detail", "low"}}}}));
    EXPECT_EQ(content[2]["image_url"]["url"], "data:image/png;base64,YWJj");
    EXPECT_EQ(content[3], (json{{"type", "input_audio"}, {"input_audio", {{"data", "YWJj"}, {"format", "mp3"}}}}));
}

TEST(chat, roles_that_are_known_at_run_time) {
    EXPECT_EQ(mt::message::parse("user", "Hi").value().role(), "user");
    EXPECT_EQ(mt::message::parse("developer", "Hi").value().role(), "system") << "MLflow's page knows no other";
    for (const auto* const role : {"tool", "function", "User", ""}) {
        const auto refused = mt::message::parse(role, "Hi");
        ASSERT_FALSE(refused) << role;
        EXPECT_EQ(refused.error().kind(), mt::error_kind::not_allowed);
    }
}

TEST(chat, tools_that_are_known_at_run_time) {
    EXPECT_EQ(written(mt::tool_definition::parse("price", "", "{}").value()),
              (json{{"type", "function"},
                    {"function", {{"name", "price"}, {"description", ""}, {"parameters", json::object()}}}}));
    for (const auto* const name : {"", "two words", "grün"})
        EXPECT_EQ(mt::tool_definition::parse(name, "", "{}").error().about(), "name of a tool") << name;
    for (const auto* const schema : {"", "[]", "{", "{} x", R"({"type": object})", "{\"\xFF\": 1}"})
        EXPECT_EQ(mt::tool_definition::parse("price", "", schema).error().about(), "parameters of a tool") << schema;
}

TEST(chat, tools_and_answer_of_a_span) {
    tracer_type tracer;
    {
        auto span = tracer.start_span("complete", mt::span_type::chat_model);
        mt::set_tools(span, std::vector{price});
        span.outputs(mt::completion{.message = mt::message::assistant("5 days"), .model = "small-1"});
    }
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(json::parse(span.attributes["mlflow.chat.tools"]),
              json::parse(R"([{"type": "function", "function": {"name": "price", "description": "What a ride costs",
                  "parameters": {"type": "object", "properties": {"minutes": {"type": "number"}}}}}])"));
    EXPECT_EQ(json::parse(span.attributes["mlflow.spanOutputs"]),
              json::parse(R"({"model": "small-1", "choices": [{"index": 0, "finish_reason": "stop",
                  "message": {"role": "assistant", "content": "5 days"}}]})"));
}

TEST(chat, documents) {
    EXPECT_EQ(written(mt::document{.page_content = "Refunds take 5 days."}),
              (json{{"page_content", "Refunds take 5 days."}, {"metadata", json::object()}, {"id", nullptr}}));
    const mt::document whole{.page_content = "a",
                             .doc_uri = "refunds.md",
                             .chunk_id = "2",
                             .score = 0.5,
                             .id = "doc-1",
                             .metadata = {{"title", "Refunds"}}};
    EXPECT_EQ(
        written(whole),
        (json{{"page_content", "a"},
              {"metadata", {{"doc_uri", "refunds.md"}, {"chunk_id", "2"}, {"score", 0.5}, {"title", "Refunds"}}},
              {"id", "doc-1"}}));
}

} // namespace
