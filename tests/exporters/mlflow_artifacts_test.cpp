// SPDX-License-Identifier: Apache-2.0
// What the exporter says to servers that take no OTLP spans. tests/stores/ asks real ones.
#include <mlflow/trace.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;
using namespace std::chrono_literals;

using exporter_type = mt::mlflow_exporter<mt::memory_transport>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, exporter_type>;

using retrying_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<exporter_type>>>;

std::vector<std::string> notices;

// Such a server as far as the exporter sees it. It keeps what is uploaded.
class mlflow_artifacts : public testing::Test {
protected:
    std::shared_ptr<mt::memory_server> side = std::make_shared<mt::memory_server>();
    std::string version = "3.17.2";
    std::string artifact_root = "mlflow-artifacts:/7/traces/";
    std::map<std::string, json> old_infos; // by the recorded ID
    int status_of_info = 0;                // unless 0, of every new info
    std::map<std::string, json> infos;
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
            const auto file = files.find(request.target);
            if (method != "PUT") return file == files.end() ? no_file() : mt::http_response{200, {}, file->second};
            files[request.target] = request.body;
            return mt::http_response{200, {}, "{}"};
        }
        if (target.starts_with("/api/2.0/mlflow-artifacts/artifacts?path=")) {
            const std::string folder = "/api/2.0/mlflow-artifacts/artifacts/" + request.target.substr(41);
            return mt::http_response{
                200, {}, files.contains(folder + "/traces.json") ? R"({"files":[{"path":"traces.json"}]})" : "{}"};
        }
        if (target.starts_with("/api/2.0/mlflow/traces?")) {
            for (const auto& [id, info] : old_infos)
                if (target.find(id) != target.npos)
                    return mt::http_response{200, {}, json{{"traces", {info}}}.dump()};
            return mt::http_response{200, {}, "{}"};
        }
        if (target == "/api/2.0/mlflow/traces") return mt::http_response{200, {}, start_in_old_server(request.body)};
        if (method == "PATCH") return patch(std::string(target.substr(target.rfind('/') + 1)), request.body);
        const auto body = json::parse(request.body.empty() ? "{}" : request.body);
        const std::string id = method == "POST" ? body["trace"]["trace_info"]["trace_id"].get<std::string>()
                                                : std::string(target.substr(target.rfind('/') + 1));
        if (method == "GET" && !infos.contains(id))
            return mt::http_response{404, {}, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"not found"})"};
        if (method == "POST" && status_of_info != 0) return mt::http_response{status_of_info, {}, {}};
        if (method == "POST" && infos.contains(id)) // a store of files, or a database of MLflow before 3.4
            return version == "3.17.2" ? mt::http_response{500, {}, "<html>Internal Server Error</html>"}
                                       : mt::http_response{400, {}, R"({"error_code":"BAD_REQUEST"})"};
        if (method == "POST") {
            infos[id] = body["trace"]["trace_info"];
            infos[id]["tags"]["mlflow.artifactLocation"] = artifact_root + id + "/artifacts";
        }
        return mt::http_response{200, {}, json{{"trace", {{"trace_info", infos[id]}}}}.dump()};
    }

    mt::http_response patch(const std::string& id, const std::string& body) {
        const auto changes = json::parse(body);
        const auto in_new = infos.find(id);
        if (in_new != infos.end()) {
            for (const auto& pair : changes.value("tags", json::array()))
                in_new->second["tags"][pair["key"]] = pair["value"];
            for (const auto& pair : changes.value("request_metadata", json::array()))
                in_new->second["trace_metadata"][pair["key"]] = pair["value"];
        }
        for (auto& [recorded, info] : old_infos)
            if (info["request_id"] == id)
                for (const auto& pair : changes.value("tags", json::array())) {
                    auto& tags = info["tags"];
                    const auto same = [&](const json& tag) { return tag["key"] == pair["key"]; };
                    const auto at = std::find_if(tags.begin(), tags.end(), same);
                    if (at == tags.end()) tags.push_back(pair);
                    else *at = pair;
                }
        return {200, {}, "{}"};
    }

    // MLflow 3.1 gives traces IDs of its own; the recorded one is a tag.
    std::string start_in_old_server(const std::string& body) {
        const auto started = json::parse(body);
        std::string recorded;
        for (const auto& tag : started["tags"])
            if (tag["key"] == "mlflow_trace.trace_id") recorded = tag["value"];
        const std::string id = "tr-old" + (old_infos.empty() ? "" : std::to_string(old_infos.size()));
        json tags = started["tags"];
        tags.push_back({{"key", "mlflow.artifactLocation"}, {"value", artifact_root + id + "/artifacts"}});
        old_infos[recorded] = {{"request_id", id}, {"tags", tags}};
        return json{{"trace_info", old_infos[recorded]}}.dump();
    }
    mt::http_response no_file() const {
        if (version != "3.17.2")
            return {500, {}, R"({"error_code":"INTERNAL_ERROR","message":"The following failures occurred"})"};
        return {404, {}, R"({"error_code":"RESOURCE_DOES_NOT_EXIST","message":"No such artifact"})"};
    }

    // The names of all spans in all files, sorted.
    std::vector<std::string> stored_spans() const {
        std::vector<std::string> names;
        for (const auto& [target, file] : files) {
            const auto content = json::parse(file);
            for (const auto& span : content["spans"]) names.push_back(span["name"]);
        }
        std::sort(names.begin(), names.end());
        return names;
    }

    exporter_type::options options() const {
        return {.tracking_uri = "http://mlflow:5000",
                .transport = {side},
                .on_notice = [](const std::string& notice) { notices.push_back(notice); }};
    }
    // All traces until a flush are one batch.
    mt::batch<mt::retry<exporter_type>>::options retrying() const {
        return {.exporter = {.exporter = options(), .first_wait = 1ms, .longest_wait = 1ms}, .delay = 1h};
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

TEST_F(mlflow_artifacts, are_not_sent_after_an_interruption) {
    exporter_type exporter(options());
    side->answer_with([&](const mt::memory_server::request& request) {
        if (files.size() == 2) exporter.interrupt();
        return answer(request);
    });
    mt::tracer<mt::open_schema, mt::explicit_context, mt::detail::collecting_exporter> tracer;
    for (int i = 0; i < 10; ++i) tracer.start_trace("chat").end();
    mt::trace_batch& batch = tracer.exporter().collected;
    const auto outcome = exporter.export_traces(batch);
    EXPECT_EQ(files.size(), 3U); // with the one that was being sent
    EXPECT_EQ(outcome.exported_spans, 3U);
    EXPECT_EQ(outcome.failed_spans, 7U);
    EXPECT_EQ(batch.span_count(), 7U);
    EXPECT_EQ(mt::outcome_of(outcome), mt::outcome::wait);
    const auto later = exporter.export_traces(batch);
    EXPECT_EQ(files.size(), 4U);
    EXPECT_EQ(later.exported_spans, 1U);
    EXPECT_EQ(batch.span_count(), 6U);
}

TEST_F(mlflow_artifacts, of_a_trace_that_somebody_has_deleted_hold_up_no_others) {
    for (const char* const each : {"3.1.4", "3.3.2", "3.17.2"}) {
        version = each;
        retrying_tracer tracer(retrying());
        auto trace = tracer.start_trace("chat");
        auto late = tracer.start_span("late");
        const std::string id(trace.trace_id().mlflow_id().view());
        trace.end();
        ASSERT_TRUE(tracer.flush(20s));
        tracer.start_trace("first").end();
        ASSERT_TRUE(tracer.flush(20s));
        infos.erase(id);
        old_infos.erase(id);
        late.end();
        tracer.start_trace("other").end();
        ASSERT_TRUE(tracer.flush(20s)) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().exported, 3U) << each;
        EXPECT_EQ(tracer.account().failed, 1U) << each;
        EXPECT_NE(tracer.last_error().message().find("does not have the first part"), std::string::npos)
            << tracer.last_error().message();
    }
}

// A trace is split if its upload fails; the part without its root then finds no file.
TEST_F(mlflow_artifacts, of_a_split_trace_are_stored_in_any_order) {
    for (const char* const each : {"3.1.4", "3.3.2", "3.17.2"}) {
        version = each;
        files.clear();
        int uploads = 0;
        side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
            if (request.method == mt::http_method::put && ++uploads > 1 && uploads <= 12)
                return mt::http_response{500, {}, R"({"error_code":"INTERNAL_ERROR","message":"no space left"})"};
            return answer(request);
        });
        retrying_tracer tracer(retrying());
        tracer.start_trace("first").end();
        ASSERT_TRUE(tracer.flush(20s)) << each;
        {
            auto trace = tracer.start_trace("root");
            tracer.start_span("child").end();
        }
        ASSERT_TRUE(tracer.flush(20s)) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().exported, 3U) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(stored_spans(), (std::vector<std::string>{"child", "first", "root"})) << each;
    }
}

TEST_F(mlflow_artifacts, of_a_trace_whose_root_is_refused_hold_up_no_others) {
    for (const char* const each : {"3.3.2", "3.17.2"}) {
        version = each;
        files.clear();
        side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
            if (request.method == mt::http_method::put && request.body.size() > 100'000)
                return mt::http_response{413, {{"Content-Type", "text/html"}}, "<html>too large</html>"};
            return answer(request);
        });
        retrying_tracer tracer(retrying());
        tracer.start_trace("first").end();
        ASSERT_TRUE(tracer.flush(20s)) << each;
        {
            auto trace = tracer.start_trace("root");
            tracer.start_span("child").end();
            trace.outputs(std::string(200'000, 'x'));
        }
        tracer.start_trace("other").end();
        ASSERT_TRUE(tracer.flush(20s)) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().failed, 1U) << each;
        EXPECT_EQ(stored_spans(), (std::vector<std::string>{"child", "first", "other"})) << each;
    }
}

TEST_F(mlflow_artifacts, that_cannot_be_read_hold_up_no_others) {
    const mt::http_response others[] = {{403, {}, "Permission denied"},
                                        {404, {{"Content-Type", "text/html"}}, "<html>no such page</html>"},
                                        {410, {}, {}},
                                        {500, {}, R"({"error_code":"INTERNAL_ERROR","message":"bucket"})"},
                                        {501, {}, {}},
                                        {200, {}, "<html>sign in</html>"},
                                        {200, {}, R"({"error":"none"})"}};
    const mt::failure too_large{mt::error(mt::error_kind::bad_reply, "mlflow:5000", "response larger than 4 MiB")};
    std::vector<mt::memory_server::reply> replies(std::begin(others), std::end(others));
    replies.push_back(too_large);
    for (const auto& reply : replies) {
        std::string unreadable = "none";
        side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
            if (request.method == mt::http_method::get &&
                request.target.ends_with(unreadable + "/artifacts/traces.json"))
                return reply;
            return answer(request);
        });
        files.clear();
        retrying_tracer tracer(retrying());
        auto trace = tracer.start_trace("chat");
        auto late = tracer.start_span("late");
        trace.end();
        ASSERT_TRUE(tracer.flush(20s));
        tracer.start_trace("first").end();
        ASSERT_TRUE(tracer.flush(20s));
        unreadable = trace.trace_id().mlflow_id().view();
        late.end();
        tracer.start_trace("other").end();
        const std::string shown = reply ? std::to_string(reply->status) + reply->body : "too large";
        ASSERT_TRUE(tracer.flush(20s)) << shown << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().failed, 1U) << shown;
        EXPECT_EQ(stored_spans(), (std::vector<std::string>{"chat", "first", "other"}))
            << "never replaced unread: " << shown;
    }
}

TEST_F(mlflow_artifacts, wait_while_a_file_cannot_be_read_yet) {
    int busy = 3;
    side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
        if (request.method == mt::http_method::get && !files.empty() &&
            request.target.starts_with("/api/2.0/mlflow-artifacts/artifacts/") && busy-- > 0)
            return mt::http_response{503, {}, {}};
        return answer(request);
    });
    retrying_tracer tracer(retrying());
    auto trace = tracer.start_trace("chat");
    auto late = tracer.start_span("late");
    trace.end();
    late.end();
    ASSERT_TRUE(tracer.flush(20s)) << tracer.last_error().message();
    EXPECT_EQ(stored_spans(), (std::vector<std::string>{"chat", "late"}));
}

// A server that runs out of space while it writes a file leaves a part of it.
TEST_F(mlflow_artifacts, that_are_damaged_keep_their_complete_spans) {
    tracer_type tracer({.exporter = options()});
    auto trace = tracer.start_trace("chat");
    auto late = tracer.start_span("late"), later = tracer.start_span("later");
    trace.end();
    late.end();
    auto& file = files.begin()->second;
    file = file.substr(0, file.size() - 20);
    later.end();
    EXPECT_EQ(stored_spans(), (std::vector<std::string>{"chat", "later"}));
    file.clear();
    auto next = tracer.start_trace("next");
    EXPECT_EQ(tracer.account().exported, 3U);
}

// The front end, in which a trace began, ends last. The server does not know the trace until then.
TEST_F(mlflow_artifacts, of_a_process_that_continues_a_trace_come_before_it) {
    using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::required<mt::session>>>;
    using process = mt::tracer<schema, mt::thread_local_context, mt::batch<mt::retry<exporter_type>>>;
    const mt::propagator<schema, mt::trust_network> wire({.hosts = {"*"}});
    for (const char* const each : {"3.1.4", "3.3.2", "3.17.2"}) {
        version = each;
        files.clear();
        old_infos.clear();
        process front(retrying()), back(retrying());
        auto root = front.start_trace("chat", mt::user{"u"}, mt::session{"s"}, mt::tag{"of", "front"});
        const std::string id(root.trace_id().mlflow_id().view());
        root.inputs("asked");
        std::multimap<std::string, std::string> headers;
        wire.inject(root, "agent",
                    [&](std::string_view name, std::string_view value) { headers.emplace(name, value); });
        for (const char* const name : {"first call", "second call"}) {
            auto trace = back.start_trace(name, wire.extract(headers), mt::anonymous, mt::no_session);
            trace.inputs("of the back end");
            trace.set(mt::tag{"of", "back"});
            trace.end();
            ASSERT_TRUE(back.flush(20s)) << each << ": " << back.last_error().message();
        }
        EXPECT_EQ(back.account().exported, 2U) << each << ": " << back.last_error().message();
        EXPECT_EQ(stored_spans(), (std::vector<std::string>{"first call", "second call"})) << each;

        root.end();
        ASSERT_TRUE(front.flush(20s)) << each << ": " << front.last_error().message();
        EXPECT_EQ(front.account().exported, 1U) << each << ": " << front.last_error().message();
        EXPECT_EQ(stored_spans(), (std::vector<std::string>{"chat", "first call", "second call"})) << each;
        const auto told = side->requests();
        const auto is_patch = [](auto& one) { return one.method == mt::http_method::patch; };
        const auto correction = std::find_if(told.rbegin(), told.rend(), is_patch);
        ASSERT_NE(correction, told.rend()) << each;
        const auto body = json::parse(correction->body);
        std::map<std::string, std::string> said;
        for (const char* const list : {"request_metadata", "tags"})
            for (const auto& pair : body[list]) said[pair["key"]] = pair["value"];
        EXPECT_EQ(said["mlflow.traceName"], "chat") << each;
        EXPECT_EQ(said["mlflow.traceInputs"], "\"asked\"") << each;
        EXPECT_EQ(said["mlflow.trace.user"], "u") << each;
        EXPECT_EQ(said["of"], "front") << each;
        EXPECT_EQ(said["mlflow_trace.continued"], "false") << each;
        EXPECT_TRUE(version == "3.1.4" || !infos[id].contains("request_preview")) << each;
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
            retrying_tracer tracer(retrying());
            for (int i = 0; i < 10; ++i) tracer.start_trace("chat").end();
            EXPECT_TRUE(tracer.flush(5s)) << each << ": " << tracer.last_error().message();
            EXPECT_EQ(tracer.account().exported, 10U) << each;
        }
        for (const auto& [target, times] : stored) EXPECT_EQ(times, 1) << each << ": " << target;
        EXPECT_EQ(stored.size(), 30U) << each;
    }
}

// A retry sends a whole trace again, and so does a control request, which shows that the server accepts others.
TEST_F(mlflow_artifacts, of_a_trace_that_is_sent_again_keep_spans_that_ended_after_it) {
    for (const char* const each : {"3.1.4", "3.3.2", "3.17.2"}) {
        version = each;
        files.clear();
        side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
            if (request.method != mt::http_method::get && request.body.find("poison") != std::string::npos)
                return mt::http_response{400, {}, R"({"error_code":"INVALID_PARAMETER_VALUE"})"};
            return answer(request);
        });
        retrying_tracer tracer(retrying());
        auto trace = tracer.start_trace("chat");
        auto late = tracer.start_span("late");
        trace.end();
        late.end();
        ASSERT_TRUE(tracer.flush(20s)); // control requests send the first trace of this batch
        tracer.start_trace("poison").end();
        tracer.start_trace("other").end();
        const auto before = side->request_count();
        ASSERT_TRUE(tracer.flush(20s)) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().failed, 1U) << each;
        const auto all = targets(before);
        EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](auto& one) { return one.starts_with("PUT"); })) << each;
        EXPECT_EQ(stored_spans(), (std::vector<std::string>{"chat", "late", "other"})) << each;
    }
}

TEST_F(mlflow_artifacts, of_a_trace_whose_info_was_stored_without_a_response) {
    for (const char* const each : {"3.3.2", "3.17.2"}) {
        version = each;
        files.clear();
        bool is_lost = true;
        side->answer_with([&](const mt::memory_server::request& request) -> mt::memory_server::reply {
            auto reply = answer(request);
            if (request.method == mt::http_method::post && request.target.ends_with("/traces") &&
                request.target != "/v1/traces" && std::exchange(is_lost, false))
                return mt::failure{mt::error(mt::error_kind::closed, "mlflow:5000", "closed")};
            return reply;
        });
        retrying_tracer tracer(retrying());
        tracer.start_trace("chat").end();
        ASSERT_TRUE(tracer.flush(20s)) << each << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().exported, 1U) << each;
        EXPECT_EQ(stored_spans(), std::vector<std::string>{"chat"}) << each;
    }
}

// A response to the info that means something else, although the server has the trace or not.
TEST_F(mlflow_artifacts, of_an_info_that_is_refused) {
    for (const int status : {400, 500, 503}) {
        status_of_info = status;
        tracer_type tracer({.exporter = options()});
        tracer.start_trace("chat").end();
        EXPECT_EQ(tracer.account().failed, 1U);
        EXPECT_NE(tracer.last_error().message().find("responded " + std::to_string(status)), std::string::npos)
            << tracer.last_error().message();
    }
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
    auto late = tracer.start_span("late");
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

    // A span that ends later goes to the trace that is there.
    const auto before = side->request_count();
    late.end();
    const std::string file = " /api/2.0/mlflow-artifacts/artifacts/7/traces/tr-old/artifacts/traces.json";
    EXPECT_EQ(targets(before), (std::vector<std::string>{"GET /api/2.0/mlflow/traces", "GET" + file, "PUT" + file}));
    EXPECT_EQ(stored_spans(), (std::vector<std::string>{"chat", "late"}));
}

} // namespace
