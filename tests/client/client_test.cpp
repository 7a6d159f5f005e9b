// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;
using namespace std::chrono_literals;
using nlohmann::json;
using kind = mt::error_kind;

namespace {

struct Client : testing::Test {
    std::shared_ptr<mt::memory_server> server = std::make_shared<mt::memory_server>();
    mt::client<mt::memory_transport> client{{.experiment_id = "1", .transport = {server}}};

    static json trace(int number, const std::string& user = "user-1042") {
        return {{"trace_id", "tr-" + std::to_string(number)},
                {"request_time", "2026-11-23T04:03:42.571Z"},
                {"execution_duration", "1.5s"},
                {"state", "OK"},
                {"trace_metadata", {{"mlflow.trace.user", user}}}};
    }
    void reply(const json& body, int status = 200) {
        server->queue_reply(mt::http_response{status, {}, body.dump()});
    }
    json asked(std::size_t request) { return json::parse(server->requests()[request].body); }

    // What a search of all traces ends with.
    mt::error error_of_search() {
        const auto found = mt::find_all(client, {});
        EXPECT_FALSE(found);
        return found ? mt::error{} : found.error();
    }
};

TEST_F(Client, FetchesPagesWhenTheyAreAskedFor) {
    reply({{"traces", {trace(1), trace(2)}}, {"next_page_token", "second"}});
    reply({{"traces", {trace(3)}}});
    auto pages =
        client.search_traces({.where = field::status == field::ok, .order_by = {field::timestamp.ascending()}});
    ASSERT_TRUE(pages);
    EXPECT_EQ(server->request_count(), 0U);
    ASSERT_EQ(pages->next().value().size(), 2U);
    EXPECT_EQ(server->request_count(), 1U);
    EXPECT_EQ(pages->page_token(), "second");
    EXPECT_EQ(asked(0)["max_results"], 500);
    EXPECT_EQ(asked(0)["filter"], "trace.status = 'OK'");
    EXPECT_EQ(asked(0)["order_by"], json({"timestamp_ms ASC"}));
    const auto last = pages->next();
    ASSERT_TRUE(last);
    EXPECT_EQ(last->at(0).request_time, mt::detail::parse_time("2026-11-23T04:03:42.571Z"));
    EXPECT_EQ(last->at(0).execution_duration, 1500ms);
    EXPECT_EQ(asked(1)["page_token"], "second");
    EXPECT_TRUE(pages->done());
}

TEST_F(Client, NeverAsksForMoreThan500ATime) { // M13: the documentation's own code asks for 1000
    reply(json::object());
    EXPECT_EQ(mt::find_all(client, {.max_results = 1000, .page_size = 1000}).value().size(), 0U);
    EXPECT_EQ(asked(0)["max_results"], 500);
}

TEST_F(Client, StopsAtMaxResults) {
    reply({{"traces", {trace(1), trace(2), trace(3)}}, {"next_page_token", "more"}});
    EXPECT_EQ(mt::find_all(client, {.max_results = 2}).value().size(), 2U);
    EXPECT_EQ(server->request_count(), 1U);
}

TEST_F(Client, ComparesHereWhatTheGrammarCannotSay) { // M7
    const mt::user hard{R"(both ' and " quotes\)"};
    reply({{"traces", {trace(1, "both x and y quotesz"), trace(2, std::string(hard.view()))}}});
    const auto found = mt::find_all(client, {.where = mt::where(field::user == hard)});
    ASSERT_EQ(found.value().size(), 1U);
    EXPECT_EQ(found->at(0).trace_id, "tr-2");
    EXPECT_EQ(asked(0)["filter"], "metadata.`mlflow.trace.user` LIKE 'both _ and _ quotes_'");
}

TEST_F(Client, RunsOneSearchForEachAlternativeAndVisitsNothingTwice) {
    reply({{"traces", {trace(1, "user-1"), trace(2, "user-1")}}});
    reply({{"traces", {trace(1, "user-1"), trace(3, "user-2")}}});
    std::vector<std::string> seen;
    const auto done =
        mt::for_each_trace(client, {}, mt::any_of(field::user == mt::user{"user-1"}, field::status == field::ok),
                           [&](const mt::trace_info& one) { seen.push_back(one.trace_id); });
    EXPECT_EQ(done.value(), 3U);
    EXPECT_EQ(seen, (std::vector<std::string>{"tr-1", "tr-2", "tr-3"}));
    EXPECT_FALSE(mt::for_each_trace(client, {}, mt::any_of(field::text.like("%a%")), [](const mt::trace_info&) {}));
}

TEST_F(Client, ATokenThatLoopsIsAnError) {
    server->answer_with([](const mt::memory_server::request& request) {
        const auto token = json::parse(request.body).value("page_token", "a");
        const json body{{"traces", {trace(1)}}, {"next_page_token", token == "a" ? "b" : token == "b" ? "c" : "a"}};
        return mt::http_response{200, {}, body.dump()};
    });
    const auto error = error_of_search();
    EXPECT_EQ(error.kind(), kind::bad_reply);
    EXPECT_NE(error.message().find("page token"), std::string::npos) << error.message();
    EXPECT_LT(server->request_count(), 20U);
}

TEST_F(Client, AServerThatGoesInMidSearchIsAnError) {
    reply({{"traces", {trace(1)}}, {"next_page_token", "second"}});
    server->queue_reply(
        mt::failure{mt::error{kind::closed, {}, "connection closed before the response was complete"}});
    EXPECT_EQ(error_of_search().kind(), kind::closed);
}

TEST_F(Client, MalformedRepliesAreErrors) {
    json without_id = trace(1);
    without_id.erase("trace_id");
    json without_time = trace(1);
    without_time["request_time"] = "yesterday";
    const std::string replies[] = {"",
                                   "<html>",
                                   "[]",
                                   R"({"traces":[{)",
                                   R"({"traces":{}})",
                                   R"({"traces":[1]})",
                                   R"({"traces":[],"next_page_token":7})",
                                   "{\"traces\":[\"\xff\"]}",
                                   json{{"traces", {without_id}}}.dump(),
                                   json{{"traces", {without_time}}}.dump(),
                                   std::string(100'000, '[')};
    for (const std::string& body : replies) {
        server->queue_reply(mt::http_response{200, {}, body});
        EXPECT_EQ(error_of_search().kind(), kind::bad_reply) << body.substr(0, 60);
    }
    reply({{"error_code", "INVALID_PARAMETER_VALUE"}, {"message", "no such field"}}, 400);
    const auto error = error_of_search();
    EXPECT_EQ(error.status(), 400);
    EXPECT_NE(error.message().find("no such field"), std::string::npos);
}

TEST_F(Client, AnUnknownExperimentIsNamedAndNotCreated) {
    mt::client<mt::memory_transport> other({.experiment_name = "there is none", .transport = {server}});
    reply({{"error_code", "RESOURCE_DOES_NOT_EXIST"}, {"message", "no"}}, 404);
    const auto found = mt::find_all(other, {});
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().message().find("\"there is none\" does not exist"), std::string::npos);
    EXPECT_EQ(server->request_count(), 1U);
}

TEST_F(Client, AnotherServersNotFoundIsNoMissingExperiment) {
    mt::client<mt::memory_transport> other({.transport = {server}});
    for (const char* const body : {"<html>404 Not Found</html>", R"({"detail":"Not Found"})", ""}) {
        server->queue_reply(mt::http_response{404, {}, body});
        const auto found = mt::find_all(other, {});
        ASSERT_FALSE(found);
        EXPECT_EQ(found.error().kind(), kind::bad_reply);
        EXPECT_NE(found.error().message().find("is it an MLflow 3 server"), std::string::npos)
            << found.error().message();
    }
}

TEST_F(Client, TimesAreReadAsRfc3339) {
    const auto noon = mt::detail::parse_time("2026-11-23T12:00:00Z");
    ASSERT_TRUE(noon);
    for (const char* const same : {"2026-11-23T12:00:00", "2026-11-23 12:00:00.000", "2026-11-23T13:30:00+01:30",
                                   "2026-11-22T22:00:00-14:00", "2026-11-23T12:00:00.000999Z"})
        EXPECT_EQ(mt::detail::parse_time(same), noon) << same;
    for (const char* const none :
         {"", "2026", "2026-02-30", "2026-11-23T24:00:00Z", "2026-11-23T12:60:00Z", "2026-11-23T12:00:00+24:00",
          "2026-11-23T12:00:00+01:60", "2026-11-23T12:00:00+1", "2026-11-23T12:00:00ZZ", "-2026-11-23", "12026-11-23",
          "9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"})
        EXPECT_FALSE(mt::detail::parse_time(none)) << none;
}

TEST_F(Client, DurationsAreReadAsProtobufWritesThem) {
    EXPECT_EQ(mt::detail::parse_duration("-5.25s"), -5250ms);
    for (const char* const none : {"", "s", "5", "--5s", "--9223372036854775808s", "9223372036854775807s", "5.s5s"})
        EXPECT_FALSE(mt::detail::parse_duration(none)) << none;
}

TEST_F(Client, WhatIsNoAnswerToTheCallIsAnError) {
    reply({{"experiment", {{"experiment_id", "1"}}}});
    EXPECT_EQ(client.create_experiment("chat").error().kind(), kind::bad_reply);
    const std::string ids[] = {"tr-1"};
    for (const int count : {-1, 2}) {
        reply({{"traces_deleted", count}});
        EXPECT_EQ(client.delete_traces(ids).error().kind(), kind::bad_reply) << count;
    }
    server->queue_reply(mt::http_response{200, {}, std::string("{\"traces\":[]}\0<html>", 20)});
    EXPECT_EQ(error_of_search().kind(), kind::bad_reply);
}

TEST_F(Client, CredentialsAreSentAndNeverShown) {
    mt::client<mt::memory_transport> other({.experiment_id = "1",
                                            .authorization = mt::bearer_authorization(mt::secret("secret-42")),
                                            .transport = {server}});
    reply({{"message", "who are you"}}, 401);
    const auto found = mt::find_all(other, {});
    ASSERT_FALSE(found);
    EXPECT_EQ(server->requests()[0].header("Authorization"), "Bearer secret-42");
    EXPECT_EQ(found.error().message().find("secret"), std::string::npos);
}

json spans_of(int number) {
    const std::string id = "AAAAAAAAAA" + std::string(1, static_cast<char>('A' + number)) + "=";
    return json::array({{{"name", "span " + std::to_string(number)}, {"span_id", id}}});
}

// As MLflow does: one trace whose spans are a file makes it reject a whole batch, and a trace of which spans are
// missing is left out.
TEST_F(Client, SpansThatAreKeptAsAFileAreRead) {
    constexpr int in_store = 1, in_file = 2, without_file = 3, of_mlflow_2 = 4, incomplete = 5, gone = 6;
    const json not_found{{"error_code", "RESOURCE_DOES_NOT_EXIST"}, {"message", "no"}};
    const auto read = [](const std::string& text, const char* before) {
        const auto at = text.find(before);
        return at == std::string::npos ? 0 : std::stoi(text.substr(at + std::string(before).size()));
    };
    server->answer_with([&](const auto& request) {
        const std::string& target = request.target;
        const auto said = [](const json& body, int status = 200) {
            return mt::http_response{status, {}, body.dump()};
        };
        const auto whole = [&](int number) {
            return json{{"trace_info", trace(number)}, {"spans", spans_of(number)}};
        };
        const json elsewhere{{"error_code", "INTERNAL_ERROR"},
                             {"message", "Trace data not stored in tracking store"}};
        if (target.find("batchGet") != std::string::npos) {
            json found = json::array();
            for (auto at = target.find("tr-"); at != std::string::npos; at = target.find("tr-", at + 1)) {
                const int number = std::stoi(target.substr(at + 3));
                if (number == in_file || number == without_file || number == of_mlflow_2) return said(elsewhere, 500);
                if (number == in_store && found.empty()) found.push_back(whole(number));
            }
            return said({{"traces", found}});
        }
        if (const int number = read(target, "get-trace-artifact?request_id=tr-")) {
            if (number == in_file) return said({{"spans", spans_of(number)}});
            if (number != of_mlflow_2) return said(not_found, 404);
            return said(json::parse(R"({"spans":[{"name":"n","context":{"span_id":"0x00000000000000ab"},
                "parent_id":"0x00000000000000aa","start_time":7,"end_time":9,"status_code":"ERROR",
                "status_message":"m","attributes":{"a":"1"},
                "events":[{"name":"e","timestamp":8,"attributes":{"b":2}}]}]})"));
        }
        if (const int number = read(target, "allow_partial=true&trace_id=tr-")) {
            if (number == gone) return said(not_found, 404);
            if (number == in_store || number == incomplete) return said({{"trace", whole(number)}});
            return said(elsewhere, 500);
        }
        const int number = read(target, "traces/tr-");
        if (number == gone) return said(not_found, 404);
        json info = trace(number);
        const bool is_in_store = number == in_store || number == incomplete;
        if (number != of_mlflow_2)
            info["tags"]["mlflow.trace.spansLocation"] = is_in_store ? "TRACKING_STORE" : "ARTIFACT_REPO";
        return said({{"trace", {{"trace_info", info}}}});
    });
    const auto shown = [&](const std::vector<int>& numbers) {
        std::vector<std::string> ids;
        for (const int number : numbers) ids.push_back("tr-" + std::to_string(number));
        const auto found = client.get_all(ids);
        EXPECT_TRUE(found) << found.error().message();
        std::string text;
        for (const mt::stored_trace& one : found.value_or(std::vector<mt::stored_trace>()))
            text += one.info.trace_id + ":" + std::to_string(one.spans.size()) + " ";
        return text;
    };
    EXPECT_EQ(shown({1}), "tr-1:1 ");
    EXPECT_EQ(server->request_count(), 1U);
    EXPECT_EQ(shown({1, 1}), "tr-1:1 ");
    EXPECT_EQ(shown({2, 1}), "tr-2:1 tr-1:1 ");
    EXPECT_EQ(shown({4, 3}), "tr-4:1 tr-3:0 ");
    EXPECT_EQ(shown({5, 1, 6}), "tr-5:1 tr-1:1 ");
    EXPECT_EQ(shown({6, 5, 4, 3, 2, 1}), "tr-5:1 tr-4:1 tr-3:0 tr-2:1 tr-1:1 ");
    EXPECT_EQ(shown({6}), "");

    EXPECT_EQ(client.get("tr-2").value().spans.at(0).name, "span 2");
    EXPECT_EQ(client.get("tr-3").value().spans.size(), 0U);
    EXPECT_EQ(client.get("tr-6").error().status(), 404);
    const mt::stored_span span = client.get("tr-4").value().spans.at(0);
    EXPECT_EQ(span.id, "00000000000000ab");
    EXPECT_EQ(span.parent, "00000000000000aa");
    EXPECT_EQ(span.start_unix_nano, 7);
    EXPECT_EQ(span.end_unix_nano, 9);
    EXPECT_EQ(span.status, mt::trace_status::error);
    EXPECT_EQ(span.status_message, "m");
    EXPECT_EQ(span.attributes.at("a"), "1");
    EXPECT_EQ(span.events.at(0).unix_nano, 8);
    EXPECT_EQ(span.events.at(0).attributes.at("b"), "2");
}

TEST_F(Client, AnIdThatWouldLeadToAnotherPageIsNotSent) {
    for (const std::string id : {"", ".", "..", "../experiments", "tr-1/..", "tr-1/./tags", "..\\x", "tr\n1"}) {
        const auto says = [&id](const auto& answer) {
            ASSERT_FALSE(answer) << id;
            EXPECT_NE(answer.error().message().find("_id"), std::string::npos) << answer.error().message();
            EXPECT_NE(answer.error().message().find("use the ID returned by a search"), std::string::npos);
        };
        const std::vector<std::string> ids{"tr-1", id};
        says(client.get(id));
        says(client.get_info(id));
        says(client.get_all(ids));
        says(client.delete_traces(ids));
        says(client.set_tag(id, {"a", "b"}));
        says(client.delete_tag(id, "a"));
        says(client.log_feedback(id, {.name = "helpful", .value = true}));
        says(client.log_expectation(id, {.name = "helpful", .value = true}));
        says(client.get_assessment(id, "a-1"));
        says(client.get_assessment("tr-1", id));
        says(client.update_assessment("tr-1", id, {.rationale = "x"}));
        says(client.override_feedback("tr-1", id, {.name = "helpful", .value = true}));
        says(client.delete_assessment("tr-1", id));
        says(client.delete_assessment(id, "a-1"));
    }
    EXPECT_EQ(server->request_count(), 0U);
    reply({{"trace", {{"trace_info", trace(1)}}}});
    EXPECT_TRUE(client.get_info("trace:/catalog.schema/..1")); // of other stores
    EXPECT_EQ(server->requests()[0].target, "/api/3.0/mlflow/traces/trace%3A%2Fcatalog.schema%2F..1");
}

TEST_F(Client, FeedbackOnASessionGoesToItsFirstTrace) {
    reply({{"traces", {trace(7)}}});
    reply({{"assessment", {{"assessment_id", "a-1"}, {"trace_id", "tr-7"}, {"feedback", {{"value", true}}}}}});
    const auto said = client.log_feedback(mt::session{"session-7"}, {.name = "helpful", .value = true});
    ASSERT_TRUE(said);
    EXPECT_EQ(said->value, "true");
    EXPECT_EQ(asked(0)["order_by"], json({"timestamp_ms ASC"}));
    EXPECT_EQ(server->requests()[1].target, "/api/3.0/mlflow/traces/tr-7/assessments");
    EXPECT_EQ(asked(1)["assessment"]["metadata"], json({{"mlflow.trace.session", "session-7"}}));
    reply(json::object());
    const auto none = client.log_feedback(mt::session{"session-8"}, {.value = true});
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().message().find("no trace"), std::string::npos);
}

TEST_F(Client, NoTracesAreAResult) { // M13: no division by zero
    for (int i = 0; i < 4; ++i) reply(json::object());
    EXPECT_TRUE(mt::summarise_users(client, {.where = field::user == mt::user{"nobody"}}).value().empty());
    EXPECT_TRUE(mt::summarise_sessions(client).value().empty());
    EXPECT_TRUE(mt::summarise_by<mt::user>(client).value().empty());
    EXPECT_TRUE(mt::session_flow(client, mt::session{"none"}).value().empty());
    const mt::activity nothing;
    EXPECT_EQ(nothing.durations.mean(), 0);
    EXPECT_EQ(nothing.durations.percentile(95), 0);
    EXPECT_EQ(nothing.error_rate(), 0);
}

} // namespace
