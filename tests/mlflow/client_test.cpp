// SPDX-License-Identifier: Apache-2.0
// The client against a real server: what was recorded is found by identities that are hard to search for, judged, and
// read back by MLflow's own client.
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <string>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;
using nlohmann::json;

namespace {

constexpr const char* experiment = "client";
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using exporter = mt::mlflow_exporter<mt::beast_transport>;
using tracer = mt::tracer<schema, mt::thread_local_context, exporter>;
using client = mt::client<mt::beast_transport>;

std::string uri() { return std::getenv("MLFLOW_TRACKING_URI"); }

const std::vector<std::string> hard_ids = {"o'brien-1",
                                           "o''brien-1",
                                           R"(say "hi")",
                                           R"(both ' and ")",
                                           "both _ and _",
                                           R"(both ' and "\)",
                                           "back\\",
                                           "back_",
                                           "100%",
                                           "100",
                                           "under_score",
                                           "underXscore",
                                           "利用者",
                                           "' OR '1'='1",
                                           "'; DROP TABLE traces; --",
                                           std::string(250, 'x'),
                                           std::string(249, 'x'),
                                           R"(a\' AND metadata.`mlflow.trace.user` = "b)",
                                           "USER",
                                           "user"};

TEST(Client, FindsEachIdentityAndNothingElseAndJudgesIt) {
    {
        tracer traces({.exporter = {.tracking_uri = uri(), .experiment_name = experiment}});
        for (const std::string& id : hard_ids)
            for (int turn = 0; turn < 2; ++turn) {
                auto trace =
                    traces.start_trace("chat", *mt::user::parse(id), *mt::session::parse("of " + id.substr(0, 200)),
                                       mt::client_request_id{"req-1"});
                auto span = traces.start_span("generate");
            }
        ASSERT_EQ(traces.account().failed, 0U) << traces.last_error().message();
    }
    client server({.tracking_uri = uri(), .experiment_name = experiment});
    ASSERT_EQ(mt::find_all(server, {}).value().size(), 2 * hard_ids.size());
    for (const std::string& id : hard_ids) {
        const auto user = *mt::user::parse(id);
        const auto found = mt::find_all(server, {.where = mt::where(field::user == user), .page_size = 1});
        ASSERT_TRUE(found) << found.error().message();
        EXPECT_EQ(found->size(), 2U) << id;
        for (const mt::trace_info& trace : *found) EXPECT_EQ(trace.user(), id);
        const auto others =
            mt::find_all(server, {.where = mt::where(field::user != user && field::status == field::ok)});
        EXPECT_EQ(others.value().size(), 2 * hard_ids.size() - 2) << id;
    }

    // A request ID leads to its trace, user and session.
    const auto by_request =
        mt::find_all(server, {.where = field::client_request_id == "req-1" && field::user == mt::user{"o'brien-1"},
                              .order_by = {field::timestamp.ascending()}});
    ASSERT_EQ(by_request.value().size(), 2U);
    EXPECT_EQ(by_request->front().session(), "of o'brien-1");
    const std::string id = by_request->front().trace_id;

    const auto whole = server.get(id);
    ASSERT_TRUE(whole) << whole.error().message();
    ASSERT_EQ(whole->spans.size(), 2U);
    std::vector<std::string> ids{id, by_request->back().trace_id};
    EXPECT_EQ(server.get_all(ids).value().size(), 2U);
    EXPECT_FALSE(server.get("tr-00000000000000000000000000000000"));

    const mt::assessment_source person{.id = "user-1042"};
    const auto span =
        std::find_if(whole->spans.begin(), whole->spans.end(), [](auto& one) { return !one.parent.empty(); });
    ASSERT_NE(span, whole->spans.end());
    const auto helpful =
        server.log_feedback(id, {.name = "helpful", .value = true, .source = person, .rationale = "kind"});
    ASSERT_TRUE(helpful) << helpful.error().message();
    const auto fluent =
        server.log_feedback(id, {.name = "fluent", .value = 0.25, .source = person, .span_id = span->id});
    ASSERT_TRUE(server.update_assessment(id, fluent->id, {.value = 0.75, .rationale = "second thoughts"}));
    const auto better = server.override_feedback(id, helpful->id, {.value = false, .source = person});
    ASSERT_TRUE(better) << better.error().message();
    EXPECT_EQ(better->name, "helpful");
    EXPECT_FALSE(server.get_assessment(id, helpful->id).value().valid);
    const auto happy =
        server.log_feedback(*mt::session::parse("of o'brien-1"), {.name = "happy", .value = 5, .source = person});
    ASSERT_TRUE(happy) << happy.error().message();
    EXPECT_EQ(happy->trace_id, id);
    ASSERT_TRUE(server.log_expectation(id, {.name = "answer", .value = {{"text", "no"}}, .source = person}));
    const auto mistaken = server.log_feedback(id, {.name = "mistaken", .value = "x", .source = person});
    ASSERT_TRUE(server.delete_assessment(id, mistaken->id));

    // What was said finds the trace again; what was said of the session, each of its traces.
    const auto count = [&](const mt::filter& filter) {
        return mt::find_all(server, {.where = filter}).value().size();
    };
    EXPECT_EQ(count(field::feedback("helpful") == false), 1U);
    EXPECT_EQ(count(field::feedback("happy").exists()), 2U);
    EXPECT_EQ(count(field::span_name == "generate" && field::user == mt::user{"o'brien-1"}), 2U);

    ASSERT_TRUE(server.set_tag(id, {"colour", "blue"}));
    ASSERT_TRUE(server.set_tag(id, {"colour", "green"}));
    ASSERT_TRUE(server.set_tag(id, {"shape", "round"}));
    ASSERT_TRUE(server.delete_tag(id, "shape"));
    EXPECT_EQ(server.get_info(id).value().tag("colour"), "green");
    EXPECT_EQ(count(field::tag("colour") == "green"), 1U);

    const auto points = server.metrics(
        {.metric = "trace_count", .aggregations = {{"COUNT"}}, .where = field::user == mt::user{"o'brien-1"}});
    ASSERT_TRUE(points) << points.error().message();
    ASSERT_EQ(points->size(), 1U);
    EXPECT_EQ(points->front().values.at("COUNT"), 2);

    const auto gone = mt::find_all(server, {.where = field::user == mt::user{"underXscore"}});
    std::vector<std::string> gone_ids;
    for (const auto& trace : *gone) gone_ids.push_back(trace.trace_id);
    EXPECT_EQ(server.delete_traces(gone_ids).value(), 2U);
    EXPECT_EQ(count(field::user == mt::user{"underXscore"}), 0U);

    EXPECT_FALSE(server.set_session_levels({}));
    EXPECT_FALSE(server.set_session_levels({"trip", "trip"}));
    EXPECT_FALSE(server.set_session_levels({""}));
    const auto levels = server.set_session_levels({"trip", "épisode"});
    EXPECT_TRUE(levels) << levels.error().message();

    const auto all = server.experiments();
    EXPECT_TRUE(std::any_of(all->begin(), all->end(), [](const auto& one) { return one.name == experiment; }));
    std::ofstream(std::getenv("MLFLOW_TRACE_EXPECTED")) << json{{"trace_id", id}, {"span_id", span->id}};
}

} // namespace
