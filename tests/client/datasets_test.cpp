// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/datasets.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
using nlohmann::json;
using kind = mt::error_kind;

namespace {

struct Datasets : testing::Test {
    std::shared_ptr<mt::memory_server> server = std::make_shared<mt::memory_server>();
    mt::client<mt::memory_transport> client{options_for(server)};
    mt::datasets<mt::memory_transport> data{client};
    std::mt19937 order{7};

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

TEST_F(Datasets, AreMadeInTheExperimentOfTheClient) {
    reply(json::object());
    reply({{"dataset",
            {{"dataset_id", "d-1"}, {"name", "questions"}, {"tags", R"({"a":"b"})"}, {"created_time", "5"}}}});
    reply({{"datasets", {{{"dataset_id", "d-1"}, {"name", "questions"}, {"created_time", 5}}}}});
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
    EXPECT_EQ(data.create("\xFF").error().kind(), kind::bad_request) << "MLflow would store another name";
    EXPECT_EQ(data.create("a", {{"\xFF", "b"}}).error().kind(), kind::bad_request);
    EXPECT_EQ(data.create("a", {{"b", "\xFF"}}).error().kind(), kind::bad_request);
    EXPECT_EQ(server->request_count(), 0U);
    const json taken{{"datasets", {{{"dataset_id", "d-1"}, {"name", "questions"}}}}};
    reply(taken);
    EXPECT_NE(data.create("questions").error().message().find("already exists"), std::string::npos);
    reply(taken);
    EXPECT_NE(data.find("answers").error().message().find("create it first"), std::string::npos);
    reply(taken);
    EXPECT_EQ(data.find("questions").value().id, "d-1");
    reply({{"datasets", {{{"dataset_id", "d-1"}, {"name", "a"}}, {{"dataset_id", "d-2"}, {"name", "a"}}}}});
    EXPECT_NE(data.find("a").error().message().find("several times"), std::string::npos);
    EXPECT_EQ(data.get("..").error().kind(), kind::bad_request);
}

TEST_F(Datasets, OneThatAppearsWithAnotherOfItsNameIsDeletedAgain) {
    const auto one = [](const char* id, int created) {
        return json{{"dataset_id", id}, {"name", "a"}, {"created_time", created}};
    };
    reply(json::object());
    reply({{"dataset", one("d-1", 5)}});
    reply({{"datasets", {one("d-2", 6), one("d-1", 5)}}});
    reply(json::object());
    reply({{"datasets", {one("d-2", 6)}}});
    EXPECT_NE(data.create("a").error().message().find("at the same time"), std::string::npos);
    ASSERT_EQ(server->request_count(), 5U);
    EXPECT_EQ(server->requests()[3].method, mt::http_method::delete_);
    EXPECT_EQ(target(3), "/api/3.0/mlflow/datasets/d-1");
}

// Gives a dataset its time before it is committed, as MLflow does: a later one can be listed first.
class dataset_table {
public:
    explicit dataset_table(std::chrono::milliseconds response_time = {}) : response_time_(response_time) {}

    mt::http_response answer(const mt::memory_server::request& asked) {
        const std::string what = asked.target.substr(asked.target.rfind('/') + 1);
        std::this_thread::sleep_for(response_time_);
        if (what == "create") return create(json::parse(asked.body)["name"]);
        const std::lock_guard guard(lock_);
        if (what == "search") return {200, {}, json{{"datasets", stored()}}.dump()};
        stored_.erase(what);
        return {200, {}, "{}"};
    }
    json stored() const {
        json all = json::array();
        for (const auto& [id, row] : stored_) all.push_back(row);
        return all;
    }

private:
    mt::http_response create(const json& name) {
        std::unique_lock guard(lock_);
        const int time = ++last_;
        const std::string id = "d-" + std::to_string(time);
        const json row{{"dataset_id", id}, {"name", name}, {"created_time", time}};
        const std::chrono::microseconds commit(random_() % 2000);
        guard.unlock();
        std::this_thread::sleep_for(commit);
        guard.lock();
        stored_[id] = row;
        return {200, {}, json{{"dataset", row}}.dump()};
    }

    std::chrono::milliseconds response_time_;
    std::mutex lock_;
    std::mt19937 random_{7};
    int last_ = 0;
    std::map<std::string, json> stored_;
};

TEST_F(Datasets, OfSeveralCreatedAtTheSameTimeOneStays) {
    dataset_table table;
    server->answer_with([&](const mt::memory_server::request& asked) { return table.answer(asked); });
    for (int round = 0; round < 20; ++round) {
        const std::string name = "dataset " + std::to_string(round);
        std::atomic<int> kept = 0;
        std::vector<std::thread> programs;
        for (int i = 0; i < 4; ++i)
            programs.emplace_back([&] {
                mt::client<mt::memory_transport> own(options_for(server));
                const auto made = mt::datasets<mt::memory_transport>(own).create(name);
                if (made) ++kept;
                else EXPECT_EQ(made.error().kind(), kind::bad_request) << made.error().message();
            });
        for (std::thread& one : programs) one.join();
        EXPECT_EQ(kept, 1) << "round " << round;
        EXPECT_EQ(table.stored().size(), static_cast<std::size_t>(round) + 1);
    }
}

TEST_F(Datasets, OfTwoCreatedAtTheSameTimeOneStaysOnASlowServerToo) {
    dataset_table table(std::chrono::milliseconds(300));
    server->answer_with([&](const mt::memory_server::request& asked) { return table.answer(asked); });
    constexpr int names = 6;
    std::atomic<int> kept = 0;
    std::vector<std::thread> programs;
    for (int i = 0; i < 2 * names; ++i)
        programs.emplace_back([&, i] {
            mt::client<mt::memory_transport> own(options_for(server));
            if (mt::datasets<mt::memory_transport>(own).create("dataset " + std::to_string(i % names))) ++kept;
        });
    for (std::thread& one : programs) one.join();
    EXPECT_EQ(kept, names);
    EXPECT_EQ(table.stored().size(), static_cast<std::size_t>(names));
}

TEST_F(Datasets, ThatCannotBeComparedWithOthersAreDeletedAgain) {
    reply(json::object());
    reply({{"dataset", {{"dataset_id", "d-1"}, {"name", "a"}}}});
    server->queue_reply(mt::http_response{500, {}, R"({"message":"the database is locked"})"});
    reply(json::object());
    EXPECT_NE(data.create("a").error().message().find("locked"), std::string::npos);
    ASSERT_EQ(server->request_count(), 4U);
    EXPECT_EQ(server->requests()[3].method, mt::http_method::delete_);
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

TEST_F(Datasets, ARequestThatMeetsAnotherOneIsSentAgain) {
    std::vector<mt::dataset_record> records(1);
    records[0].inputs = {{"q", 1}};
    const char* const conflicts[] = {
        "(sqlite3.IntegrityError) UNIQUE constraint failed: evaluation_dataset_records.dataset_id",
        R"((psycopg2.errors.UniqueViolation) duplicate key value violates unique constraint "unique_dataset_input")",
        "(pymysql.err.IntegrityError) (1062, \"Duplicate entry 'd-1-x' for key 'unique_dataset_input'\")",
        "(pyodbc.IntegrityError) Violation of UNIQUE KEY constraint 'unique_dataset_input'",
    };
    for (const char* const said : conflicts) {
        const auto before = server->request_count();
        for (int times = 0; times < 3; ++times) reply({{"error_code", "BAD_REQUEST"}, {"message", said}}, 400);
        reply({{"inserted_count", 0}, {"updated_count", 1}});
        const auto done = data.upsert("d-1", records);
        ASSERT_TRUE(done) << done.error().message();
        EXPECT_EQ(done->updated, 1U);
        EXPECT_EQ(server->request_count() - before, 4U);
        EXPECT_EQ(server->requests()[before].body, server->requests()[before + 3].body);
    }
    for (int times = 0; times < 20; ++times) reply({{"error_code", "BAD_REQUEST"}, {"message", conflicts[0]}}, 400);
    reply({{"dataset", {{"dataset_id", "d-1"}}}});
    EXPECT_EQ(data.upsert("d-1", records).error().status(), 400) << "not for ever";
}

TEST_F(Datasets, ASuccessThatCountsNothingIsAnError) {
    std::vector<mt::dataset_record> records(2);
    records[0].inputs = {{"q", 1}};
    records[1].inputs = {{"q", 2}};
    for (const char* const said :
         {"{}", R"({"inserted_count":0,"updated_count":0})", R"({"inserted_count":-1})",
          R"({"inserted_count":-1,"updated_count":3})", R"({"inserted_count":"x"})", R"({"inserted":2})"}) {
        server->queue_reply(mt::http_response{200, {}, said});
        EXPECT_EQ(data.upsert("d-1", records).error().kind(), kind::bad_reply) << said;
    }
    server->queue_reply(mt::http_response{200, {}, R"({"inserted_count":"1","updated_count":"1"})"});
    EXPECT_EQ(data.upsert("d-1", records).value().inserted, 1U);
    for (const char* const said : {"[{}]", "[1]", R"([{"dataset_record_id":7}])", R"([{"dataset_record_id":""}])"}) {
        reply({{"records", said}});
        EXPECT_EQ(data.for_each_record("d-1", [](const mt::dataset_record&) {}).error().kind(), kind::bad_reply)
            << said;
    }
}

json info_of(const char* id) {
    return {{"trace_id", id},
            {"request_time", "2026-11-23T04:03:42Z"},
            {"trace_metadata", {{"mlflow.trace.session", "s"}}}};
}

TEST_F(Datasets, SpansThatAreKeptAsAFileAreRead) {
    const json elsewhere{{"error_code", "INTERNAL_ERROR"}, {"message", "Trace data not stored in tracking store"}};
    reply(elsewhere, 500);
    reply({{"trace", {{"trace_info", info_of("tr-1")}}}}); // with a file of MLflow 3
    reply(json::parse(R"({"spans":[
        {"name":"child","span_id":"AAAAAAAAAAI=","parent_span_id":"AAAAAAAAAAE=","attributes":{"mlflow.spanInputs":"1"},
         "events":[{"name":"exception","attributes":{"exception.type":"\"E\""}}]},
        {"name":"root","span_id":"AAAAAAAAAAE=","parent_span_id":null,
         "attributes":{"mlflow.spanInputs":"{\"q\": 1}","mlflow.spanOutputs":"\"o\""}}]})"));
    reply({{"trace", {{"trace_info", info_of("tr-2")}}}}); // of MLflow 2
    reply(json::parse(
        R"({"spans":[{"name":"child","context":{"span_id":"0x2"},"parent_id":"0x1","attributes":{"mlflow.spanInputs":"1"}},
        {"name":"root","context":{"span_id":"0x1"},"parent_id":null,"attributes":{"mlflow.spanInputs":"\"text\""}}]})"));
    reply({{"trace", {{"trace_info", info_of("tr-3")}}}}); // without a file
    reply({{"error_code", "NOT_FOUND"}, {"message", "Trace data not found for path=traces.json"}}, 404);
    for (int i = 0; i < 2; ++i) reply({{"error_code", "RESOURCE_DOES_NOT_EXIST"}, {"message", "no"}}, 404); // gone
    reply({{"inserted_count", 2}, {"updated_count", 0}});
    const auto done = data.add_traces("d-1", std::vector<std::string>{"tr-1", "tr-2", "tr-3", "tr-4"});
    ASSERT_TRUE(done) << done.error().message();
    EXPECT_EQ(done->inserted, 2U);
    EXPECT_EQ(done->skipped, 2U);
    EXPECT_EQ(target(2), "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=tr-1");
    const json records = records_asked(9);
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0]["inputs"], json({{"q", 1}}));
    EXPECT_EQ(records[0]["outputs"], "o");
    EXPECT_EQ(records[0]["source"]["source_data"]["session_id"], "s");
    EXPECT_EQ(records[1]["inputs"], json({{"input", "text"}}));

    reply(elsewhere, 500);
    reply({{"trace", {{"trace_info", info_of("tr-1")}}}});
    reply({{"error_code", "INTERNAL_ERROR"}, {"message", "the disk is gone"}}, 500);
    EXPECT_EQ(data.get_traces(std::vector<std::string>{"tr-1"}).error().status(), 500);
    reply({{"error_code", "INTERNAL_ERROR"}, {"message", "another fault"}}, 500);
    EXPECT_EQ(data.get_traces(std::vector<std::string>{"tr-1"}).error().status(), 500);
}

// Sessions whose ID `mt::session` rejects.
TEST_F(Datasets, ASessionMayHaveAnyId) {
    for (const std::string& id :
         {std::string("a\nb"), std::string("nul\0x", 5), std::string(300, 'x'), std::string("both ' and \"\\")}) {
        const auto before = server->request_count();
        json ours = info_of("tr-1");
        json other = info_of("tr-2");
        ours["trace_metadata"]["mlflow.trace.session"] = id;
        other["trace_metadata"]["mlflow.trace.session"] = id + "x";
        reply({{"traces", {ours, other}}});
        reply({{"traces", json::array()}});
        reply({{"error_code", "RESOURCE_DOES_NOT_EXIST"}, {"message", "no"}}, 404);
        const auto done = data.add_session("d-1", std::string_view(id), mt::session_records::whole_session);
        ASSERT_TRUE(done) << done.error().message();
        const auto read = server->requests()[before + 1].target;
        EXPECT_NE(read.find("trace_ids=tr-1"), std::string::npos) << read;
        EXPECT_EQ(read.find("tr-2"), std::string::npos) << read;
    }
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

} // namespace
