// SPDX-License-Identifier: Apache-2.0
// What the exporter says to servers that take no OTLP spans. tests/stores/ asks real ones.
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;
using namespace std::chrono_literals;

using exporter_type = mt::mlflow_exporter<mt::memory_transport>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, exporter_type>;

std::vector<std::string> notices;

// Such a server as far as the exporter sees it. It keeps what is uploaded.
class mlflow_artifacts : public testing::Test {
protected:
    std::shared_ptr<mt::memory_server> side = std::make_shared<mt::memory_server>();
    std::string version = "3.17.2";
    std::string artifact_root = "mlflow-artifacts:/7/traces/";
    std::string known_to_old_server; // the reply to a search there
    int status_of_info = 200;
    std::string unknown; // the ID of a trace that is not there
    std::map<std::string, std::string> files;

    mlflow_artifacts() {
        notices.clear();
        side->answer_with([this](const mt::memory_server::request& request) { return answer(request); });
    }

    mt::memory_server::reply answer(const mt::memory_server::request& request) {
        const std::string_view target = request.target;
        const std::string method(mt::to_string(request.method));
        if (target == "/version") return mt::http_response{200, {}, version};
        if (target.starts_with("/api/2.0/mlflow/experiments/"))
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        if (target == "/v1/traces") return mt::http_response{501, {}, R"({"detail":"not supported"})"};
        if (target.starts_with("/api/2.0/mlflow-artifacts/artifacts/")) {
            if (method != "PUT") return mt::http_response{200, {}, files[request.target]};
            files[request.target] = request.body;
            return mt::http_response{200, {}, "{}"};
        }
        if (target.starts_with("/api/2.0/mlflow/traces?")) return mt::http_response{200, {}, known_to_old_server};
        if (target.starts_with("/api/2.0/mlflow/traces")) {
            const json tags = {{{"key", "mlflow.artifactLocation"}, {"value", artifact_root + "tr-old/artifacts"}}};
            return mt::http_response{
                200, {}, json{{"trace_info", {{"request_id", "tr-old"}, {"tags", tags}}}}.dump()};
        }
        const auto body = json::parse(request.body.empty() ? "{}" : request.body);
        const std::string id = method == "POST" ? body["trace"]["trace_info"]["trace_id"].get<std::string>()
                                                : std::string(target.substr(target.rfind('/') + 1));
        if (method == "GET" && id == unknown)
            return mt::http_response{404, {}, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"not found"})"};
        const json tags = {{"mlflow.artifactLocation", artifact_root + id + "/artifacts"}};
        return mt::http_response{method == "POST" ? status_of_info : 200,
                                 {},
                                 json{{"trace", {{"trace_info", {{"trace_id", id}, {"tags", tags}}}}}}.dump()};
    }

    exporter_type::options options() const {
        return {.tracking_uri = "http://mlflow:5000",
                .transport = {side},
                .on_notice = [](const std::string& notice) { notices.push_back(notice); }};
    }
    std::vector<std::string> targets(std::size_t from = 0) const {
        std::vector<std::string> all;
        for (const auto& request : side->requests())
            all.push_back(std::string(mt::to_string(request.method)) + " " +
                          request.target.substr(0, request.target.find('?')));
        all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(from));
        return all;
    }
};

TEST_F(mlflow_artifacts, are_uploaded_where_the_store_answers_501_which_is_told_once) {
    tracer_type tracer({.exporter = options()});
    std::string ids[2];
    for (std::string& id : ids) {
        auto trace = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"});
        id = trace.trace_id().mlflow_id().view();
        trace.outputs("\"text\"").attribute("number", 7);
        trace.end();
    }
    EXPECT_EQ(tracer.account().exported, 2U) << tracer.last_error().message();
    const std::string file = "PUT /api/2.0/mlflow-artifacts/artifacts/7/traces/";
    EXPECT_EQ(targets(2),
              (std::vector<std::string>{"POST /v1/traces", "POST /api/3.0/mlflow/traces",
                                        file + ids[0] + "/artifacts/traces.json", "POST /api/3.0/mlflow/traces",
                                        file + ids[1] + "/artifacts/traces.json"}));
    EXPECT_EQ(notices,
              std::vector<std::string>{"http://mlflow:5000: its store does not support OTLP spans, so each trace "
                                       "needs at least one request; use MLflow 3.4 or newer with a database"});
    const auto requests = side->requests();
    const auto info = json::parse(requests[3].body)["trace"]["trace_info"];
    EXPECT_EQ(info["trace_metadata"]["mlflow.trace.user"], "user-1042");
    EXPECT_EQ(info["response_preview"], R"("\"text\"")");
    const auto span = json::parse(requests[4].body)["spans"][0];
    EXPECT_EQ(span["name"], "chat");
    EXPECT_EQ(span["parent_span_id"], nullptr);
    EXPECT_EQ(span["attributes"]["mlflow.traceRequestId"], '"' + ids[0] + '"');
    EXPECT_EQ(span["attributes"]["mlflow.spanOutputs"], R"("\"text\"")");
    EXPECT_EQ(span["attributes"]["number"], "7");
}

TEST_F(mlflow_artifacts, are_what_older_versions_get) {
    version = "3.3.2";
    exporter_type exporter(options());
    ASSERT_TRUE(exporter.connect());
    EXPECT_EQ(notices,
              std::vector<std::string>{"http://mlflow:5000: it does not support OTLP spans, so each trace needs at "
                                       "least one request; use MLflow 3.4 or newer with a database"});
    tracer_type tracer({.exporter = options()});
    tracer.start_trace("chat").end();
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    for (const auto& target : targets()) EXPECT_NE(target, "POST /v1/traces");
}

TEST_F(mlflow_artifacts, hold_spans_that_end_after_their_trace_once) {
    tracer_type tracer({.exporter = options()});
    auto trace = tracer.start_trace("chat");
    auto late = tracer.start_span("late");
    trace.end();
    late.end();
    EXPECT_EQ(tracer.account().exported, 2U) << tracer.last_error().message();
    ASSERT_EQ(files.size(), 1U);
    const auto spans = json::parse(files.begin()->second)["spans"];
    ASSERT_EQ(spans.size(), 2U);
    EXPECT_EQ(spans[0]["name"], "chat");
    EXPECT_EQ(spans[1]["name"], "late");
}

TEST_F(mlflow_artifacts, of_a_trace_that_somebody_has_deleted_hold_up_no_others) {
    for (const char* const each : {"3.1.4", "3.3.2", "3.17.2"}) {
        version = each;
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<exporter_type>>> tracer(
            {.exporter = {.exporter = {.exporter = options(), .first_wait = 1ms, .longest_wait = 1ms}}});
        auto trace = tracer.start_trace("chat");
        auto late = tracer.start_span("late");
        unknown = trace.trace_id().mlflow_id().view();
        trace.end();
        ASSERT_TRUE(tracer.flush(20s));
        late.end();
        tracer.start_trace("other").end();
        ASSERT_TRUE(tracer.flush(20s)) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().exported, 2U) << each;
        EXPECT_EQ(tracer.account().failed, 1U) << each;
        EXPECT_NE(tracer.last_error().message().find("does not have the first part"), std::string::npos)
            << tracer.last_error().message();
    }
}

TEST_F(mlflow_artifacts, get_past_a_limit_on_requests) {
    for (const char* const each : {"3.3.2", "3.17.2"}) {
        version = each;
        std::map<std::string, int> stored;
        for (int left = 0; const int limit : {4, 5, 7}) { // requests until the server wants to be left alone
            side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
                const bool is_of_a_trace = request.target.find("traces") != std::string::npos &&
                                           request.target != "/v1/traces" && request.method != mt::http_method::get;
                if (is_of_a_trace && left-- == 0) {
                    left = limit;
                    return mt::http_response{429, {}, R"({"error_code":"REQUEST_LIMIT_EXCEEDED"})"};
                }
                if (is_of_a_trace && request.method == mt::http_method::put) ++stored[request.target];
                return answer(request);
            });
            mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<exporter_type>>> tracer(
                {.exporter = {.exporter = {.exporter = options(), .first_wait = 1ms, .longest_wait = 1ms},
                              .delay = 1h}});
            for (int i = 0; i < 10; ++i) tracer.start_trace("chat").end();
            EXPECT_TRUE(tracer.flush(5s)) << each << ": " << tracer.last_error().message();
            EXPECT_EQ(tracer.account().exported, 10U) << each;
        }
        for (const auto& [target, times] : stored) EXPECT_EQ(times, 1) << each << ": " << target;
        EXPECT_EQ(stored.size(), 30U) << each;
    }
}

TEST_F(mlflow_artifacts, of_a_trace_that_the_server_has_already) {
    status_of_info = 500; // as a store of files answers then
    tracer_type tracer({.exporter = options()});
    tracer.start_trace("chat").end();
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    EXPECT_EQ(files.size(), 1U);
    status_of_info = 503;
    tracer.start_trace("chat").end();
    EXPECT_EQ(tracer.account().failed, 1U);
}

TEST_F(mlflow_artifacts, that_only_the_server_can_write_are_an_error) {
    for (const char* const root : {"s3://bucket/7/traces/", "/srv/mlflow/"}) {
        artifact_root = root;
        tracer_type tracer({.exporter = options()});
        tracer.start_trace("chat").end();
        EXPECT_EQ(tracer.account().failed, 1U) << root;
        EXPECT_NE(tracer.last_error().message().find("start it without --default-artifact-root"), std::string::npos)
            << tracer.last_error().message();
        EXPECT_TRUE(files.empty());
    }
    for (const char* const root :
         {"mlflow-artifacts:/7/../../../2.0/mlflow/", "mlflow-artifacts:/./", "mlflow-artifacts://h/.."}) {
        artifact_root = std::string(root) + '/';
        tracer_type tracer({.exporter = options()});
        tracer.start_trace("chat").end();
        EXPECT_EQ(tracer.account().failed, 1U) << root;
        EXPECT_TRUE(files.empty()) << root;
    }
    artifact_root = "mlflow-artifacts://mlflow:5000/a b/";
    tracer_type tracer({.exporter = options()});
    tracer.start_trace("chat").end();
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    EXPECT_TRUE(files.begin()->first.starts_with("/api/2.0/mlflow-artifacts/artifacts/a%20b/tr-"));
}

TEST_F(mlflow_artifacts, of_a_server_that_gives_its_own_ids) {
    version = "3.1.4";
    tracer_type tracer({.exporter = options()});
    auto trace =
        tracer.start_trace("chat", mt::user{"user-1042"}, mt::client_request_id{"r-1"}, mt::tag{"kind", "test"});
    const std::string id(trace.trace_id().mlflow_id().view());
    const mt::trace_id own = trace.trace_id();
    trace.inputs("question").end();
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    EXPECT_EQ(targets(2),
              (std::vector<std::string>{
                  "GET /api/2.0/mlflow/traces", "POST /api/2.0/mlflow/traces", "PATCH /api/2.0/mlflow/traces/tr-old",
                  "PUT /api/2.0/mlflow-artifacts/artifacts/7/traces/tr-old/artifacts/traces.json"}));
    std::map<std::string, std::string> told;
    const auto start = json::parse(side->requests()[3].body);
    for (const char* const list : {"request_metadata", "tags"})
        for (const auto& pair : start[list]) told[pair["key"]] = pair["value"];
    EXPECT_EQ(told["mlflow.trace.user"], "user-1042");
    EXPECT_EQ(told["mlflow.traceInputs"], "\"question\"");
    EXPECT_EQ(told["mlflow_trace.trace_id"], id);
    EXPECT_EQ(told["mlflow.clientRequestId"], "r-1");
    EXPECT_EQ(told["kind"], "test");
    EXPECT_EQ(json::parse(files.begin()->second)["spans"][0]["attributes"]["mlflow.traceRequestId"], "\"tr-old\"");
    EXPECT_EQ(tracer.exporter().trace_url(own), "http://mlflow:5000/#/experiments/7/traces");

    // Sent again, it is found and not begun once more.
    known_to_old_server =
        json{{"traces",
              {{{"request_id", "tr-old"},
                {"tags", {{{"key", "mlflow.artifactLocation"}, {"value", artifact_root + "tr-old/artifacts"}}}}}}}}
            .dump();
    const auto before = side->request_count();
    tracer.start_trace("chat").end();
    EXPECT_EQ(targets(before), (std::vector<std::string>{
                                   "GET /api/2.0/mlflow/traces", "PATCH /api/2.0/mlflow/traces/tr-old",
                                   "PUT /api/2.0/mlflow-artifacts/artifacts/7/traces/tr-old/artifacts/traces.json"}));
}

} // namespace
