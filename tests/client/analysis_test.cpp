// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/analysis.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;
using namespace std::chrono_literals;

namespace {

using segment = mt::key<"app.segment">;

// Traces in memory, as a source of one's own.
struct in_memory {
    std::vector<mt::trace_info> traces;
    bool is_gone = false;

    template <class Visit>
    mt::search_result for_each_trace(const mt::trace_query& query, Visit visit) {
        std::size_t count = 0;
        for (const mt::trace_info& one : traces)
            if (query.where.matches(one)) ++count, visit(one);
        if (is_gone) return mt::failure{mt::error(mt::error_kind::closed, "memory", "it is gone")};
        return count;
    }
};

mt::trace_info trace(int second, std::string user, std::string session, std::string value = "") {
    mt::trace_info one;
    one.trace_id = "tr-" + std::to_string(second);
    one.request_time = mt::trace_time(std::chrono::seconds(second));
    one.execution_duration = 500ms;
    one.request_preview = "input " + std::to_string(second);
    if (!user.empty()) one.metadata["mlflow.trace.user"] = std::move(user);
    if (!session.empty()) one.metadata["mlflow.trace.session"] = std::move(session);
    if (!value.empty()) one.metadata["app.segment"] = std::move(value);
    return one;
}

struct Analysis : testing::Test {
    in_memory source{{trace(5, "bob", "b", "pro"), trace(1, "ann", "a", "free"), trace(2, "ann", "c", "free"),
                      trace(3, "eve", "a", "pro"), trace(4, "", "a"), trace(6, "bob", "")}};
};

TEST_F(Analysis, OfUsersBeginsWithThoseOfTheMostTraces) {
    const auto users = mt::summarise_users(source).value();
    ASSERT_EQ(users.size(), 3U);
    EXPECT_EQ(users[0].user + users[1].user + users[2].user, "annbobeve") << "equal ones by name";
    EXPECT_EQ(users[0].interactions, 2U);
    EXPECT_EQ(users[0].sessions, 2U);
    EXPECT_EQ(users[1].sessions, 1U);
}

TEST_F(Analysis, OfSessionsFollowsTheirStart) {
    const auto sessions = mt::summarise_sessions(source).value();
    ASSERT_EQ(sessions.size(), 3U);
    EXPECT_EQ(sessions[0].session + sessions[1].session + sessions[2].session, "acb");
    EXPECT_EQ(sessions[0].interactions, 3U);
    EXPECT_EQ(sessions[0].user, "ann");
    EXPECT_EQ(sessions[0].users, (std::vector<std::string>{"ann", "eve"}));
    EXPECT_EQ(sessions[0].first_input, "input 1");
    EXPECT_EQ(sessions[0].duration(), 3500ms);
}

TEST_F(Analysis, OfAKeyFollowsItsValues) {
    const auto groups = mt::summarise_by<segment>(source).value();
    ASSERT_EQ(groups.size(), 2U);
    EXPECT_EQ(groups[0].value, "free");
    EXPECT_EQ(groups[0].users, 1U);
    EXPECT_EQ(groups[0].sessions, 2U);
    EXPECT_EQ(groups[1].value, "pro");
    EXPECT_EQ(groups[1].users, 2U);
    const auto by_preview =
        mt::summarise_by(source, [](const mt::trace_info& one) { return std::string_view(one.request_preview); },
                         {.where = field::user == mt::user{"bob"}})
            .value();
    ASSERT_EQ(by_preview.size(), 2U);
    EXPECT_EQ(by_preview[0].value, "input 5");
}

TEST_F(Analysis, OfOneSessionHasItsTurnsAndTheTimeBetweenThem) {
    source.traces[3].has_duration = false; // the second turn
    const auto turns = mt::session_flow(source, mt::session{"a"}).value();
    ASSERT_EQ(turns.size(), 3U);
    EXPECT_EQ(turns[0].number, 1U);
    EXPECT_EQ(turns[0].trace.trace_id + turns[1].trace.trace_id + turns[2].trace.trace_id, "tr-1tr-3tr-4");
    EXPECT_EQ(turns[0].gap, std::nullopt);
    EXPECT_EQ(turns[1].gap, 1500ms);
    EXPECT_EQ(turns[2].gap, std::nullopt) << "the end before it is unknown";
    EXPECT_TRUE(mt::session_flow(source, mt::session{"none"})->empty());
}

TEST_F(Analysis, OfAnIncompleteSearchIsItsError) {
    source.is_gone = true;
    EXPECT_FALSE(mt::summarise_users(source));
    EXPECT_FALSE(mt::summarise_sessions(source));
    EXPECT_FALSE(mt::summarise_by(source, "app.segment"));
    EXPECT_EQ(mt::session_flow(source, mt::session{"a"}).error().message(), "memory: it is gone");
}

} // namespace
