// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/totals.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
namespace total = mt::total;
using namespace std::chrono_literals;

namespace {

constexpr mt::trace_time start{1'790'000'000'000ms};

mt::session_summary session_of(std::string name, std::size_t turns, std::size_t errors) {
    mt::session_summary one;
    for (std::size_t i = 0; i < turns; ++i) {
        mt::trace_info trace;
        trace.trace_id = name + std::to_string(i);
        trace.request_time = start + i * 1min;
        trace.execution_duration = 100ms * (i + 1);
        trace.status = i < errors ? mt::trace_status::error : mt::trace_status::ok;
        one.add(trace);
    }
    one.session = std::move(name);
    return one;
}

TEST(Totals, OfASessionAreItsSumsTimesAndTexts) {
    auto session = session_of("s-1", 3, 1);
    session.users = {"ann", "bob"};
    session.user = "ann";
    const auto number = [&](mt::total_kind what) { return mt::number_of(session, {what}, start + 1h); };
    EXPECT_EQ(number(mt::total_kind::turns), 3);
    EXPECT_EQ(number(mt::total_kind::users), 2);
    EXPECT_EQ(number(mt::total_kind::sessions), 1);
    EXPECT_EQ(number(mt::total_kind::errors), 1);
    EXPECT_DOUBLE_EQ(number(mt::total_kind::error_rate).value(), 1.0 / 3);
    EXPECT_EQ(number(mt::total_kind::mean), 200);
    EXPECT_EQ(number(mt::total_kind::p50), 200);
    EXPECT_EQ(number(mt::total_kind::duration), 120'300) << "milliseconds";
    EXPECT_EQ(number(mt::total_kind::idle), 3'600'000 - 120'300);
    EXPECT_EQ(number(mt::total_kind::last_error), static_cast<double>(start.time_since_epoch().count()));
    EXPECT_EQ(number(mt::total_kind::session), std::nullopt) << "a text";
    EXPECT_EQ(mt::text_of_total(session, {mt::total_kind::session}), "s-1");
    EXPECT_EQ(mt::text_of_total(session, {mt::total_kind::user}), "ann");
    EXPECT_EQ(mt::text_of_total(session, {mt::total_kind::first_input}), std::nullopt) << "empty";
}

TEST(Totals, OfAUserAndOfAGroupCountPeople) {
    mt::user_summary user;
    user.sessions = 4;
    EXPECT_EQ(mt::number_of(user, {mt::total_kind::users}, start), 1);
    EXPECT_EQ(mt::number_of(user, {mt::total_kind::sessions}, start), 4);
    mt::group_summary group;
    group.users = 7;
    EXPECT_EQ(mt::number_of(group, {mt::total_kind::users}, start), 7);
    EXPECT_EQ(mt::text_of_total(group, {mt::total_kind::user}), std::nullopt);
}

TEST(Totals, ThatAreMissingMeetNoCondition) {
    const mt::session_summary empty;
    const auto holds = [&](const mt::totals_filter& filter) { return filter.matches(empty, start); };
    EXPECT_FALSE(holds(total::p95 < 1s) || holds(total::p95 >= 1s) || holds(total::p95 != 1s));
    EXPECT_FALSE(holds(total::feedback("helpful") < 1) || holds(total::last_error < start));
    EXPECT_FALSE(holds(total::user == "ann") || holds(total::user != "ann"));
    EXPECT_TRUE(holds({}));
}

TEST(Totals, AreComparedAsEachOperatorSays) {
    const auto session = session_of("web-1", 3, 0);
    const auto holds = [&](const mt::totals_filter& filter) { return filter.matches(session, start); };
    EXPECT_TRUE(holds(total::turns == 3 && total::turns <= 3 && total::turns >= 3 && total::turns != 4));
    EXPECT_FALSE(holds(total::turns < 3) || holds(total::turns > 3));
    EXPECT_TRUE(holds(total::session.like("web-_") && total::session.ilike("WEB-%") && total::session != "web-2"));
    EXPECT_FALSE(holds(total::session.like("WEB-%")));
    EXPECT_FALSE(holds(total::turns == 3 && total::errors > 0)) << "all conditions must hold";
}

TEST(Totals, SortWithWhatIsMissingLast) {
    std::vector<mt::session_summary> all{session_of("a", 1, 0), session_of("b", 2, 1), session_of("c", 2, 0)};
    const auto sorted = [&](mt::total_kind by, bool is_descending) {
        mt::sort_by(all, {by}, is_descending, start);
        std::string names;
        for (const auto& one : all) names += one.session;
        return names;
    };
    EXPECT_EQ(sorted(mt::total_kind::turns, true), "bca") << "equal ones keep their order";
    EXPECT_EQ(sorted(mt::total_kind::session, false), "abc");
    EXPECT_EQ(sorted(mt::total_kind::last_error, true), "bac");
    EXPECT_EQ(sorted(mt::total_kind::last_error, false), "bac");
}

} // namespace
