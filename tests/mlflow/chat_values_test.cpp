// SPDX-License-Identifier: Apache-2.0
// The program of chat_values_readback.py, which records the same with MLflow's own client and compares the two.
#include "mlflow/recording.hpp"
#include <mlflow/trace/client/attachments.hpp>
#include <mlflow/trace/spans/attachment.hpp>
#include <mlflow/trace/spans/chat.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace recording;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::mlflow_exporter<mt::beast_transport>>;

constexpr mt::tool_definition tools[] = {{"price_of_ride", "What a ride costs", R"({
        "type": "object",
        "properties": {"minutes": {"type": "number", "description": "How long it lasts"},
                       "bike": {"type": "string", "enum": ["classic", "cargo"]}},
        "required": ["minutes"]
    })"}};

std::string call_tool(tracer_type& tracer, const mt::tool_call&) {
    auto span = tracer.start_span("price_of_ride", mt::span_type::tool);
    span.inputs(mt::arg("minutes", 30)).outputs("€7.25");
    return "€7.25";
}

void chat(tracer_type& tracer) {
    auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"},
                                    mt::client_request_id{"req-1"}, mt::span_type::agent);
    trace.inputs(mt::arg("message", "What does half an hour cost?"));
    {
        auto span = tracer.start_span("retrieve", mt::span_type::retriever);
        span.inputs(mt::arg("query", "price half hour"));
        span.outputs(std::vector<mt::document>{
            {.page_content = "A ride costs €1 and €0.15 a minute.",
             .doc_uri = "prices.md",
             .chunk_id = "3",
             .score = 0.75},
            {.page_content = "Students pay less.", .doc_uri = "students.md", .id = "doc-7"}});
    }
    std::vector<mt::message> messages{mt::message::system("Answer briefly."),
                                      mt::message::user("What does half an hour cost?")};
    const mt::tool_call call{
        .id = "call_1", .name = "price_of_ride", .arguments = mt::json_text(mt::arg("minutes", 30))};
    {
        auto span = tracer.start_span("complete", mt::span_type::chat_model);
        mt::set_tools(span, tools);
        span.model("gpt-4o-mini").provider("openai").usage({.input = 1000, .output = 200});
        span.inputs(mt::arg("model", "gpt-4o-mini"), mt::arg("messages", messages), mt::arg("temperature", 0.5));
        messages.push_back(mt::message::assistant({call}));
        span.outputs(mt::completion{.message = messages.back(), .finish_reason = "tool_calls"});
    }
    messages.push_back(mt::message::tool(call.id.view(), call_tool(tracer, call)));
    messages.push_back(mt::message::user({mt::content_part::text("Like this one?"),
                                          mt::content_part::image("https://example.com/bike.png"),
                                          mt::content_part::image_bytes("not a picture", "image/png"),
                                          mt::content_part::audio_bytes("no sound", mt::audio_format::wav)}));
    {
        auto span = tracer.start_span("complete again", mt::span_type::chat_model);
        span.model("gpt-4o-mini").provider("openai").usage({.input = 1200, .output = 20});
        span.inputs(mt::arg("model", "gpt-4o-mini"), mt::arg("messages", messages));
        span.outputs(
            mt::completion{.message = mt::message::refusal("I see no bike."), .model = "gpt-4o-mini-2024-07-18"});
    }
    trace.outputs("It costs €7.25.");
}

void values(tracer_type& tracer) {
    auto trace =
        tracer.start_trace("values", mt::user{"user-1042"}, mt::session{"session-7"}, mt::client_request_id{"req-2"});
    using anything = std::variant<std::monostate, int, double, std::string>;
    trace.inputs(mt::arg("path", std::filesystem::path("/tmp/a")),
                 mt::arg("headers", std::multimap<std::string, std::string>{{"Via", "a"}, {"Via", "b"}}),
                 mt::arg("wide", L"gr\u00FCn"), mt::arg("timeout", std::chrono::milliseconds(1500)),
                 mt::arg("any", std::vector<anything>{anything{}, 1, 2.5, "text"}),
                 mt::arg("pair", std::pair(1, u8"\u20AC")), mt::arg("by_number", std::map<int, bool>{{7, true}}));
    trace.outputs(std::make_shared<int>(7));
    trace.attribute("tries", std::optional<int>(3)).attribute("share", std::variant<int, double>(0.5));
    trace.attribute("file", std::filesystem::path("/tmp/b")).attribute("letter", u'\u20AC');
}

void attachments(tracer_type& tracer) {
    const mt::attachment report("application/pdf", std::string("%PDF-1.7 \0\xFF", 11));
    mt::trace_id trace;
    {
        auto span = tracer.start_trace("attachments", mt::user{"user-1042"}, mt::session{"session-7"});
        trace = span.trace_id();
        span.inputs(mt::arg("report", report.reference(trace)));
    }
    mt::attachment_client<mt::beast_transport> files({.tracking_uri = server()});
    const auto failed = files.upload(trace, report);
    EXPECT_FALSE(failed) << failed->message();
    const auto unknown = files.upload(mt::hosted_platform::new_trace_id(), report);
    ASSERT_TRUE(unknown);
    EXPECT_EQ(unknown->status(), 404) << unknown->message();
}

TEST(chat_values, the_same_as_pythons) {
    const std::string experiment = fresh_name("chat values");
    expected()["experiment"] = experiment;
    tracer_type tracer({.exporter = {.tracking_uri = server(),
                                     .experiment_name = experiment,
                                     .git_commit = "0123456789abcdef0123456789abcdef01234567",
                                     .git_branch = "main",
                                     .git_repository = "https://example.com/bikes.git"}});
    chat(tracer);
    values(tracer);
    attachments(tracer);
    EXPECT_EQ(tracer.account().exported, 7U) << tracer.last_error().message();
}

} // namespace
