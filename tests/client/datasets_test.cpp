// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/datasets.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace mt = mlflow::trace;
using nlohmann::json;
using kind = mt::error_kind;

namespace {

struct Datasets : testing::Test {
    std::shared_ptr<mt::memory_server> server = std::make_shared<mt::memory_server>();
    mt::client<mt::memory_transport> client{options_for(server)};
    mt::datasets<mt::memory_transport> data{client};

    static mt::client<mt::memory_transport>::options options_for(const std::shared_ptr<mt::memory_server>& server) {
        return {.experiment_id = "1", .transport = {server}};
    }
    void reply(const json& body, int status = 200) {
        server->queue_reply(mt::http_response{status, {}, body.dump()});
    }
    json asked(std::size_t request) { return json::parse(server->requests()[request].body); }
    json records_asked(std::size_t request) { return json::parse(asked(request)["records"].get<std::string>()); }
    std::string target(std::size_t request) { return server->requests()[request].target; }
};

mt::stored_trace turn(int number, const std::string& inputs, const std::string& outputs) {
    mt::stored_trace trace;
    trace.info.trace_id = "tr-" + std::to_string(number);
    trace.info.request_time = mt::trace_time(std::chrono::milliseconds(number));
    trace.info.metadata[std::string(mt::session::name)] = "session-7";
    trace.info.metadata[std::string(mt::user::name)] = "user-1042";
    mt::stored_span child;
    child.parent = "1";
    mt::stored_span root;
    root.attributes = {{"mlflow.spanInputs", inputs}, {"mlflow.spanOutputs", outputs}};
    trace.spans = {child, root};
    return trace;
}

TEST_F(Datasets, AreMadeInTheExperimentOfTheClient) {
    reply(json::object());
    reply({{"dataset",
            {{"dataset_id", "d-1"}, {"name", "questions"}, {"tags", R"({"a":"b"})"}, {"created_time", "5"}}}});
    const auto made = data.create("questions", {{"a", "b"}});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->id, "d-1");
    EXPECT_EQ(made->tags, (mt::text_map{{"a", "b"}}));
    EXPECT_EQ(made->created.time_since_epoch().count(), 5);
    EXPECT_EQ(asked(1), json({{"name", "questions"}, {"experiment_ids", {"1"}}, {"tags", R"({"a":"b"})"}}));
}

TEST_F(Datasets, NamesThatAreTakenOrNoneAreErrorsWithTheRemedy) {
    EXPECT_EQ(data.create("").error().kind(), kind::bad_request);
    EXPECT_EQ(data.create(std::string(256, 'x')).error().kind(), kind::bad_request);
    EXPECT_EQ(server->request_count(), 0U);
    const json taken{{"datasets", {{{"dataset_id", "d-1"}, {"name", "questions"}}}}};
    reply(taken);
    EXPECT_NE(data.create("questions").error().message().find("exists already"), std::string::npos);
    reply(taken);
    EXPECT_NE(data.find("answers").error().message().find("create it first"), std::string::npos);
    reply(taken);
    EXPECT_EQ(data.find("questions").value().id, "d-1");
    reply({{"datasets", {{{"dataset_id", "d-1"}, {"name", "a"}}, {{"dataset_id", "d-2"}, {"name", "a"}}}}});
    EXPECT_NE(data.find("a").error().message().find("several times"), std::string::npos);
    EXPECT_EQ(data.get("..").error().kind(), kind::bad_request);
}

TEST_F(Datasets, AreListedPageByPage) {
    reply({{"datasets", {{{"dataset_id", "d-1"}, {"name", "a"}, {"profile", R"({"num_records":3})"}}}},
           {"next_page_token", "next"}});
    reply({{"datasets", {{{"dataset_id", "d-2"}, {"name", "b"}, {"profile", "null"}}}}});
    const auto all = data.list();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 2U);
    EXPECT_EQ(all->at(0).records, 3U);
    EXPECT_EQ(all->at(1).records, 0U);
    EXPECT_EQ(asked(0)["experiment_ids"], json({"1"}));
    EXPECT_EQ(asked(1)["page_token"], "next");
    for (int i = 0; i < 3; ++i) reply({{"datasets", json::array()}, {"next_page_token", "loop"}});
    EXPECT_EQ(data.list().error().kind(), kind::bad_reply);
    reply({{"datasets", {{{"name", "no ID"}}}}});
    EXPECT_EQ(data.list().error().kind(), kind::bad_reply);
}

TEST_F(Datasets, RecordsGoInRequestsOfAHundred) {
    std::vector<mt::dataset_record> records(250);
    for (std::size_t i = 0; i < records.size(); ++i) records[i].inputs = {{"number", i}};
    for (const int count : {100, 100, 49}) reply({{"inserted_count", count}, {"updated_count", count == 49 ? 1 : 0}});
    const auto done = data.upsert("d-1", records);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->inserted, 249U);
    EXPECT_EQ(done->updated, 1U);
    EXPECT_EQ(server->request_count(), 3U);
    EXPECT_EQ(target(0), "/api/3.0/mlflow/datasets/d-1/records");
    EXPECT_EQ(records_asked(2)[49]["inputs"]["number"], 249);
    EXPECT_EQ(records_asked(0)[0]["source"]["source_type"], "CODE");
}

TEST_F(Datasets, ABadRecordIsNamedAndNothingIsSent) {
    std::vector<mt::dataset_record> records(2);
    records[0].inputs = {{"q", 1}};
    const auto fault = [&] { return data.upsert("d-1", records).error().message(); };
    EXPECT_NE(fault().find("record 1"), std::string::npos) << fault();
    records[1].inputs = json::array({1});
    EXPECT_NE(fault().find("inputs"), std::string::npos);
    records[1].inputs = {{"q", 2}};
    records[1].expectations = "good";
    EXPECT_NE(fault().find("expectations"), std::string::npos);
    records[1].expectations = nullptr;
    records[1].source.type = "trace";
    EXPECT_NE(fault().find("source"), std::string::npos);
    EXPECT_EQ(server->request_count(), 0U);
}

TEST_F(Datasets, RecordsAreReadPageByPage) {
    reply({{"records", R"([{"dataset_record_id":"dr-1","inputs":{"q":1},"outputs":"a","tags":{"tr-1":""},
                           "source":{"source_type":"TRACE","source_data":{"trace_id":"tr-1","session_id":"s"}}}])"},
           {"next_page_token", "MTI6eA=="}});
    reply({{"records", R"([{"dataset_record_id":"dr-2","inputs":{"q":2}}])"}});
    std::vector<mt::dataset_record> found;
    const auto done = data.for_each_record("d-1", [&](const mt::dataset_record& one) { found.push_back(one); });
    ASSERT_TRUE(done);
    EXPECT_EQ(*done, 2U);
    EXPECT_EQ(found[0].source.trace_id, "tr-1");
    EXPECT_EQ(found[0].source.session_id, "s");
    EXPECT_TRUE(found[0].tags.contains("tr-1"));
    EXPECT_EQ(found[1].outputs, nullptr);
    EXPECT_EQ(target(1), "/api/3.0/mlflow/datasets/d-1/records?max_results=1000&page_token=MTI6eA%3D%3D");
    reply({{"records", "{"}});
    EXPECT_EQ(data.for_each_record("d-1", [](const mt::dataset_record&) {}).error().kind(), kind::bad_reply);
}

TEST_F(Datasets, AFailureInTheMiddleIsAnError) {
    std::vector<std::string> ids(150, "dr-1");
    reply({{"deleted_count", 100}});
    reply({{"error_code", "INTERNAL_ERROR"}, {"message", "no"}}, 500);
    const auto done = data.delete_records("d-1", ids);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().status(), 500);
    EXPECT_EQ(asked(1)["dataset_record_ids"].size(), 50U);
}

TEST_F(Datasets, ADatasetThatIsNotThereIsNamed) {
    std::vector<mt::dataset_record> records(1);
    records[0].inputs = {{"q", 1}};
    const json constraint{{"error_code", "BAD_REQUEST"}, {"message", "FOREIGN KEY constraint failed"}};
    reply(constraint, 400);
    reply({{"error_code", "RESOURCE_DOES_NOT_EXIST"}, {"message", "dataset with id 'd-9' not found"}}, 404);
    const auto fault = data.upsert("d-9", records).error();
    EXPECT_EQ(fault.status(), 404);
    EXPECT_NE(fault.message().find("d-9"), std::string::npos) << fault.message();
    reply(constraint, 400);
    reply({{"dataset", {{"dataset_id", "d-9"}}}});
    EXPECT_EQ(data.upsert("d-9", records).error().status(), 400);
}

TEST(DatasetRecords, OfATraceHaveItsRootItsExpectationsAndItsSource) {
    auto trace = turn(1, R"({"message":"Where?"})", R"("Here.")");
    mt::assessment expected;
    expected.name = "answer";
    expected.what = mt::assessment::kind::expectation;
    expected.value = R"(["Here."])";
    mt::assessment overridden = expected;
    overridden.name = "old";
    overridden.valid = false;
    trace.info.assessments = {expected, overridden};
    const auto record = mt::record_of(trace);
    ASSERT_TRUE(record);
    EXPECT_EQ(record->inputs, json({{"message", "Where?"}}));
    EXPECT_EQ(record->outputs, "Here.");
    EXPECT_EQ(record->expectations, json::parse(R"({"answer":["Here."]})"));
    EXPECT_EQ(record->source.type, "TRACE");
    EXPECT_EQ(record->source.trace_id, "tr-1");
    EXPECT_EQ(record->source.session_id, "session-7");
    EXPECT_EQ(record->tags, (mt::text_map{{"tr-1", "session-7"}}));
    EXPECT_EQ(mt::detail::record_body(*record).dump().find("user-1042"), std::string::npos);

    EXPECT_EQ(mt::record_of(turn(1, R"("Where?")", "null"))->inputs, json({{"input", "Where?"}}));
    for (const char* const nothing : {"", "null", "{}", "no JSON"})
        EXPECT_FALSE(mt::record_of(turn(1, nothing, "1")));
    trace.spans.pop_back();
    EXPECT_FALSE(mt::record_of(trace)) << "a trace without a root";
}

TEST(DatasetRecords, OfASessionHaveWhatWasSaid) {
    const std::string chat = R"({"messages":[{"role":"user","content":"no"},{"role":"user","content":"And then?"}]})";
    const auto record = mt::record_of_session(
        {turn(3, R"("Last?")", R"("End.")"), turn(1, R"({"message":"Where?"})", R"("Here.")"),
         turn(2, chat, R"({"choices":[{"message":{"role":"assistant","content":"There."}}]})"), turn(4, "", "")});
    ASSERT_TRUE(record);
    EXPECT_EQ(record->inputs["messages"], json::parse(R"([{"role":"user","content":"Where?"},
        {"role":"assistant","content":"Here."}, {"role":"user","content":"And then?"},
        {"role":"assistant","content":"There."}, {"role":"user","content":"Last?"}])"));
    EXPECT_EQ(record->outputs, "End.");
    EXPECT_EQ(record->source.trace_id, "tr-3");
    EXPECT_EQ(record->tags.size(), 3U);
    EXPECT_FALSE(mt::record_of_session({}));
}

TEST_F(Datasets, TheWorstRatedTurnsComeFirst) {
    const auto rated = [](int number, const json& value, bool valid = true, const json& metadata = json::object()) {
        return json{{"trace_id", "tr-" + std::to_string(number)},
                    {"request_time", "2026-11-23T04:03:4" + std::to_string(number) + "Z"},
                    {"assessments",
                     {{{"assessment_name", "helpful"},
                       {"feedback", {{"value", value}}},
                       {"valid", valid},
                       {"metadata", metadata}}}}};
    };
    reply({{"traces",
            {rated(1, true), rated(2, false), rated(3, 0.5), rated(4, -1, false), rated(5, "no"),
             rated(6, -2, true, {{"mlflow.trace.session", "s"}}), rated(7, false)}}});
    const auto worst = mt::worst_rated(client, "helpful", 3);
    ASSERT_TRUE(worst);
    ASSERT_EQ(worst->size(), 3U);
    EXPECT_EQ(worst->at(0).trace_id, "tr-7");
    EXPECT_EQ(worst->at(1).trace_id, "tr-2");
    EXPECT_EQ(worst->at(2).trace_id, "tr-3");
}

} // namespace
