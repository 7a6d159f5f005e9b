// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/dataset_records.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace mt = mlflow::trace;
using nlohmann::json;

namespace {

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

// Traces in memory, as a source of one's own.
struct in_memory {
    std::vector<mt::trace_info> traces;
    bool is_gone = false;

    template <class Visit>
    mt::search_result for_each_trace(const mt::trace_query&, Visit visit) {
        for (const mt::trace_info& trace : traces) visit(trace);
        if (is_gone) return mt::failure{mt::error(mt::error_kind::closed, "memory", "it is gone")};
        return traces.size();
    }
};

mt::trace_info rated(int number, const std::string& value) {
    mt::assessment one;
    one.name = "helpful";
    one.what = mt::assessment::kind::feedback;
    one.value = value;
    mt::trace_info trace;
    trace.trace_id = "tr-" + std::to_string(number);
    trace.request_time = mt::trace_time(std::chrono::milliseconds(number));
    trace.assessments = {one};
    return trace;
}

TEST(WorstRated, TracesComeFirstAndOfEqualOnesTheNewest) {
    in_memory source{{rated(1, "true"), rated(2, "false"), rated(3, "0.5"), rated(4, "-1"), rated(5, "\"no\""),
                      rated(6, "-2"), rated(7, "false")}};
    source.traces[3].assessments[0].valid = false;
    source.traces[5].assessments[0].metadata["mlflow.trace.session"] = "s"; // of a whole session
    const auto worst = mt::worst_rated(source, "helpful", 3);
    ASSERT_TRUE(worst);
    ASSERT_EQ(worst->size(), 3U);
    EXPECT_EQ(worst->at(0).trace_id, "tr-7");
    EXPECT_EQ(worst->at(1).trace_id, "tr-2");
    EXPECT_EQ(worst->at(2).trace_id, "tr-3");
    EXPECT_TRUE(mt::worst_rated(source, "other", 3)->empty());
    source.is_gone = true;
    EXPECT_FALSE(mt::worst_rated(source, "helpful", 3)) << "never an incomplete list";
}

} // namespace
