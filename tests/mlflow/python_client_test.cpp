// SPDX-License-Identifier: Apache-2.0
// The program of python_client_readback.py, which does the same with MLflow's own client and compares the two.
#include "mlflow/recording.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace recording;
using tenant = mt::key<"app.tenant">;
using schema = mt::schema<mt::late<mt::user>, mt::late<mt::session>, mt::optional<tenant>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::mlflow_exporter<mt::beast_transport>>;

struct document {
    std::string page_content;
    std::map<std::string, std::string> metadata;
};

struct no_such_order : std::runtime_error {
    using runtime_error::runtime_error;
};

} // namespace

template <>
struct mt::json_encoder<document> {
    template <class Buffer>
    static bool append(Buffer& out, const document& value) {
        return mt::json_object(out)
            .member("page_content", value.page_content)
            .member("metadata", value.metadata)
            .close();
    }
};

namespace {

TEST(python_client, the_same_program) {
    const std::string experiment = fresh_name("the same program");
    expected()["experiment"] = experiment;
    tracer_type tracer({.exporter = {.tracking_uri = server(), .experiment_name = experiment}});

    auto retrieve = mt::traced<"retrieve", "question", "k">(
        tracer,
        [](const std::string&, int) {
            return std::vector<document>{{"Refunds take 5 days.", {{"doc_uri", "refunds.md"}}},
                                         {"Prices", {{"doc_uri", "prices.md"}}}};
        },
        mt::span_type::retriever);
    auto look_up = mt::traced<"look_up", "order">(
        tracer, [](int) -> std::string { throw no_such_order("no such order: 47"); }, mt::span_type::tool);
    auto stream = mt::traced<"stream", "n">(tracer, [&](int n) {
        std::vector<int> all;
        for (int i = 0; i < n; ++i) all.push_back(i);
        return all;
    });
    auto chat = mt::traced<"chat", "message", "history">(
        tracer,
        [&](const std::string& message, const std::vector<std::map<std::string, std::string>>&) {
            tracer.update_current_trace(mt::user{"user-1042"}, mt::session{"session-7"}, tenant{"north"},
                                        mt::tag("team", "support"), mt::client_request_id{"req-1"});
            retrieve(message, 2);
            try {
                look_up(47);
            } catch (const no_such_order&) {
            }
            stream(3);
            auto span = tracer.start_span("generate", mt::span_type::chat_model);
            span.inputs(mt::arg("prompt", message), mt::arg("temperature", 0.5)).model("small-1").provider("own");
            span.usage({.input = 12, .output = 3}).attribute("cached", false).attribute("tries", 1);
            span.event("first token", mt::arg("after_ms", 17));
            span.outputs(nlohmann::json{{"text", "5 days"}, {"finish", nullptr}});
            return std::string("5 days \xe2\x82\xac");
        },
        mt::span_type::chain);
    chat(std::string("How long do refunds take?"),
         std::vector<std::map<std::string, std::string>>{{{"role", "user"}, {"content", "hi"}}});
    try {
        look_up(47);
    } catch (const no_such_order&) {
    }
    EXPECT_EQ(tracer.account().exported, 6U) << tracer.last_error().message();
}

} // namespace
