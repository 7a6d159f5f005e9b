// SPDX-License-Identifier: Apache-2.0
// What the exporter says to the server, request by request. tests/mlflow/ asks a real one.
#include <mlflow/trace.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;

using segment = mt::key<"app.segment">;
using exporter_type = mt::mlflow_exporter<mt::memory_transport>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<exporter_type>>;

constexpr auto found = R"({"experiment":{"experiment_id":"7","name":"e","lifecycle_stage":"active"}})";

// An MLflow server as far as the exporter sees it.
struct server {
    std::shared_ptr<mt::memory_server> side = std::make_shared<mt::memory_server>();
    std::string version = "3.17.2";
    mt::http_response experiment = {200, {}, found};
    mt::http_response created = {200, {}, R"({"experiment_id":"8"})"};
    mt::http_response spans = {200, {}, {}};
    mt::http_response info = {}; // status 0: the stored one

    server() {
        side->answer_with([this](const mt::memory_server::request& request) -> mt::memory_server::reply {
            const std::string_view target = request.target;
            if (target == "/version") return mt::http_response{200, {}, version + "\n"};
            if (target == "/api/2.0/mlflow/experiments/create") {
                experiment = {200, {}, R"({"experiment":{"experiment_id":"9"}})"}; // whoever made it, it is there now
                return created;
            }
            if (target.starts_with("/api/2.0/mlflow/experiments/")) return experiment;
            if (target == "/api/3.0/mlflow/traces" && info.status == 0)
                return mt::http_response{200, {}, request.body}; // it answers what it has stored
            return target == "/v1/traces" ? spans : info;
        });
    }

    std::vector<std::string> targets() const {
        std::vector<std::string> all;
        for (const auto& request : side->requests())
            all.push_back(std::string(mt::to_string(request.method)) + " " + request.target);
        return all;
    }
    exporter_type::options options() const {
        return {.tracking_uri = "http://mlflow:5000",
                .experiment_name = "a b/é",
                .transport = {side},
                .info_connections = 1};
    }
};

std::string refusal(const server& answering, exporter_type::options options) {
    exporter_type exporter(std::move(options));
    const auto connected = exporter.connect();
    static_cast<void>(answering);
    return connected ? "connected to " + connected->experiment_id : connected.error().message();
}

TEST(mlflow_exporter, one_request_for_many_traces) {
    server answering;
    tracer_type tracer({.exporter = {.exporter = answering.options(), .delay = std::chrono::hours(1)}});
    for (int i = 0; i < 50; ++i) {
        auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"s"}, mt::tag{"k", "v"});
        auto span = tracer.start_span("inside");
    }
    ASSERT_TRUE(tracer.flush(std::chrono::seconds(10)));
    EXPECT_EQ(tracer.account().exported, 100U) << tracer.last_error().message();
    const std::vector<std::string> expected{
        "GET /version", "GET /api/2.0/mlflow/experiments/get-by-name?experiment_name=a%20b%2F%C3%A9",
        "POST /v1/traces"};
    EXPECT_EQ(answering.targets(), expected);
    const auto request = answering.side->requests().back();
    EXPECT_EQ(request.header("content-type"), "application/x-protobuf");
    EXPECT_EQ(request.header("x-mlflow-experiment-id"), "7");
    EXPECT_EQ(tracer.exporter().exporter().experiment_url(), "http://mlflow:5000/#/experiments/7/traces");
}

TEST(mlflow_exporter, one_more_request_only_where_the_trace_needs_it) {
    server answering;
    tracer_type tracer({.exporter = {.exporter = answering.options(), .delay = std::chrono::hours(1)}});
    {
        auto trace = tracer.start_trace("plain", mt::user{"user-1"});
    }
    {
        auto trace = tracer.start_trace("with key", mt::user{"user-1"}, segment{"pro"}, mt::tag{"k", "\"v\""});
    }
    {
        auto trace = tracer.start_trace("with request", mt::client_request_id{"r-1"});
    }
    {
        tracer.start_trace("with previews").previews("asked", "answered");
    }
    ASSERT_TRUE(tracer.flush(std::chrono::seconds(10)));
    const auto requests = answering.side->requests();
    ASSERT_EQ(requests.size(), 6U);
    EXPECT_EQ(requests[2].target, "/v1/traces");
    for (std::size_t i = 3; i < 6; ++i) EXPECT_EQ(requests[i].target, "/api/3.0/mlflow/traces");
    const auto info = nlohmann::json::parse(requests[3].body)["trace"]["trace_info"];
    auto metadata = info["trace_metadata"];
    EXPECT_NE(metadata["mlflow.source.name"].get<std::string>().find("tests"), std::string::npos);
    metadata.erase("mlflow.source.name");
    EXPECT_EQ(metadata, (nlohmann::json{{"mlflow.trace.user", "user-1"},
                                        {"app.segment", "pro"},
                                        {"mlflow.source.type", "LOCAL"},
                                        {"mlflow.trace_schema.version", "3"}}));
    EXPECT_EQ(info["tags"], (nlohmann::json{{"mlflow.traceName", "with key"}, {"k", "\"v\""}}));
    EXPECT_EQ(info["trace_location"]["mlflow_experiment"]["experiment_id"], "7");
    EXPECT_EQ(info["state"], "OK");
    EXPECT_FALSE(info.contains("client_request_id"));
    EXPECT_EQ(nlohmann::json::parse(requests[4].body)["trace"]["trace_info"]["client_request_id"], "r-1");
    EXPECT_EQ(nlohmann::json::parse(requests[5].body)["trace"]["trace_info"]["request_preview"], "asked");
}

// The process in which a trace began describes it: a second description would take the place of the first.
TEST(mlflow_exporter, a_trace_that_goes_on_here_is_spans_alone) {
    using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::optional<mt::key<"app.segment">>>;
    const mt::propagator<schema, mt::trust_network> wire({.hosts = {"*"}});
    const std::map<std::string, std::string> headers{
        {"traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"},
        {"baggage", "mlflow.trace.user=user-1042"}};
    server answering;
    mt::tracer<schema, mt::thread_local_context, exporter_type> tracer({.exporter = answering.options()});
    static_cast<void>(tracer.start_trace("agent", wire.extract(headers), mt::anonymous, mt::key<"app.segment">{"pro"},
                                         mt::client_request_id{"r-2"}, mt::tag{"kind", "test"}));
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    std::size_t infos = 0;
    std::string spans;
    for (const auto& request : answering.side->requests()) {
        infos += request.target == "/api/3.0/mlflow/traces" ? 1U : 0U;
        if (request.target == "/v1/traces") spans = request.body;
    }
    EXPECT_EQ(infos, 0U);
    for (const char* const said : {"user.id", "user-1042", "mlflow.traceMetadata.app.segment",
                                   "mlflow.clientRequestId", "mlflow.traceTag.kind"})
        EXPECT_NE(spans.find(said), std::string::npos) << said;
    EXPECT_EQ(spans.find("mlflow.traceName"), std::string::npos);
}

TEST(mlflow_exporter, says_what_is_worth_another_try) {
    for (const auto& [status, retryable, content_rejected] : {std::tuple(302, true, false),
                                                              {400, false, true},
                                                              {401, true, false},
                                                              {404, true, false},
                                                              {405, true, false},
                                                              {413, false, true},
                                                              {422, false, true},
                                                              {425, true, false},
                                                              {500, true, true},
                                                              {503, true, false}}) {
        server answering;
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::detail::collecting_exporter> tracer;
        tracer.start_trace("chat").end();
        mt::mlflow_exporter<mt::memory_transport> exporter(answering.options());
        ASSERT_TRUE(exporter.connect());
        answering.spans = mt::http_response{status, {}, {}};
        const auto outcome = exporter.export_traces(tracer.exporter().collected);
        EXPECT_EQ(outcome.failed_spans, 1U);
        EXPECT_EQ(outcome.retryable, retryable) << status;
        EXPECT_EQ(outcome.content_rejected, content_rejected) << status;
        EXPECT_FALSE(outcome.too_slow);
        answering.side->queue_reply(
            mt::failure{mt::error{mt::error_kind::timeout, {}, "no response within 30000 ms"}});
        tracer.start_trace("chat").end();
        EXPECT_TRUE(exporter.export_traces(tracer.exporter().collected).too_slow);
    }
}

TEST(mlflow_exporter, refuses_a_server_that_is_not_mlflow_3) {
    server answering;
    EXPECT_EQ(refusal(answering, answering.options()), "connected to 7");
    answering.version = "2.22.0";
    EXPECT_EQ(refusal(answering, answering.options()),
              "http://mlflow:5000 is MLflow 2.22.0: MLflow 3.1 or newer is required; upgrade the server");
    answering.version = "3.0.1";
    EXPECT_EQ(refusal(answering, answering.options()),
              "http://mlflow:5000 is MLflow 3.0.1: MLflow 3.1 or newer is required; upgrade the server");
    for (const char* newer : {"3.4.0", "3.17.2", "3.10.0rc0", "4.0.0", "10.1.0"}) {
        answering.version = newer;
        EXPECT_EQ(refusal(answering, answering.options()), "connected to 7") << newer;
    }
    answering.version = "<html>";
    EXPECT_NE(refusal(answering, answering.options()).find("does not look like an MLflow server"), std::string::npos);
    answering.version = "";
    EXPECT_NE(refusal(answering, answering.options()).find("does not look like an MLflow server"), std::string::npos);
}

TEST(mlflow_exporter, finds_or_creates_its_experiment) {
    server answering;
    answering.experiment = {404, {}, R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})"};
    EXPECT_EQ(refusal(answering, answering.options()), "connected to 8");
    EXPECT_EQ(answering.side->requests().back().body, R"({"name":"a b/é"})");
    // Someone else creates it in between.
    answering.experiment = {404, {}, {}};
    answering.created = {400, {}, R"({"error_code":"RESOURCE_ALREADY_EXISTS","message":"exists"})"};
    EXPECT_EQ(refusal(answering, answering.options()), "connected to 9");
    answering.experiment = {200, {}, R"({"experiment":{"experiment_id":"7","lifecycle_stage":"deleted"}})"};
    EXPECT_NE(refusal(answering, answering.options()).find("is deleted"), std::string::npos);
    answering.experiment = {404, {}, {}};
    auto by_id = answering.options();
    by_id.experiment_id = "42";
    EXPECT_NE(refusal(answering, by_id).find("experiment ID 42 does not exist on http://mlflow:5000"),
              std::string::npos);
    answering.experiment = {403, {}, R"({"message":"Permission denied\nfor you"})"};
    EXPECT_EQ(
        refusal(answering, answering.options()),
        "http://mlflow:5000 responded 403 to /api/2.0/mlflow/experiments/get-by-name: Permission denied for you");
}

TEST(mlflow_exporter, tells_why_spans_failed_and_asks_again_for_a_lost_experiment) {
    server answering;
    tracer_type tracer({.exporter = {.exporter = answering.options()}});
    answering.spans = {
        404, {}, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No Experiment with id=7 exists"})"};
    {
        auto span = tracer.start_span("lost");
    }
    ASSERT_TRUE(tracer.flush(std::chrono::seconds(10)));
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(),
              "http://mlflow:5000 responded 404 to /v1/traces: No Experiment with id=7 exists");
    answering.spans = {200, {}, {}};
    const auto before = answering.side->request_count();
    {
        auto span = tracer.start_span("arrives");
    }
    ASSERT_TRUE(tracer.flush(std::chrono::seconds(10)));
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_EQ(answering.side->request_count() - before, 3U) << "version, experiment, spans";
}

TEST(mlflow_exporter, a_bad_address_never_shows_credentials) {
    exporter_type exporter({.tracking_uri = "http://admin:secret@mlflow:5000"});
    const auto connected = exporter.connect();
    ASSERT_FALSE(connected);
    EXPECT_EQ(connected.error().message().find("secret"), std::string::npos) << connected.error().message();
}

template <class T>
concept printable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!printable<mt::secret> && !std::is_convertible_v<mt::secret, std::string_view>);

std::string authorization_of_all(mt::secret authorization) {
    server answering;
    auto options = answering.options();
    options.authorization = std::move(authorization);
    tracer_type tracer({.exporter = {.exporter = options}});
    {
        auto trace = tracer.start_trace("t", segment{"pro"});
    }
    EXPECT_TRUE(tracer.flush(std::chrono::seconds(10)));
    const auto requests = answering.side->requests();
    EXPECT_EQ(requests.size(), 4U); // version, experiment, spans, trace info
    std::string first(requests.at(0).header("Authorization"));
    for (const auto& request : requests) EXPECT_EQ(request.header("Authorization"), first) << request.target;
    return first;
}

TEST(mlflow_exporter, every_request_carries_the_credentials) {
    EXPECT_EQ(authorization_of_all({}), "");
    EXPECT_EQ(authorization_of_all(mt::bearer_authorization(mt::secret("token"))), "Bearer token");
    // The example of RFC 7617, 2.
    EXPECT_EQ(authorization_of_all(mt::basic_authorization("Aladdin", mt::secret("open sesame"))),
              "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

} // namespace
