// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/totals_parser.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <string_view>

namespace mt = mlflow::trace;
namespace total = mt::total;
using namespace std::chrono_literals;

namespace {

constexpr mt::trace_time start{1'790'000'000'000ms};

TEST(TotalsParser, AreReadFromText) {
    EXPECT_EQ(mt::parse_totals("turns >= 3 and error_rate>5% AND idle > 30m").value(),
              mt::having(total::turns >= 3 && total::error_rate > 0.05 && total::idle > 30min));
    EXPECT_EQ(mt::parse_totals("feedback.`is helpful` < 0.5 AND feedback.tone=1").value(),
              mt::having(total::feedback("is helpful") < 0.5 && total::feedback("tone") == 1));
    EXPECT_EQ(mt::parse_totals(R"(first_input ILIKE '%refund%' AND user != "o'brien")").value(),
              mt::having(total::first_input.ilike("%refund%") && total::user != "o'brien"));
    EXPECT_EQ(mt::parse_totals("last_seen >= 2026-09-21T14:13:20Z AND p95 < 1.5s").value(),
              mt::having(total::last_seen >= start && total::p95 < 1500ms));
    EXPECT_TRUE(mt::parse_totals(" ").value().empty());
}

TEST(TotalsParser, SayWhatIsWrongWithAText) {
    const auto fault = [](std::string_view text) { return mt::parse_totals(text).error().message(); };
    for (const auto& [text, says] :
         std::map<std::string, std::string>{{"turn > 3", "the totals are turns, interactions"},
                                            {"turns", "expected =, !="},
                                            {"turns > many", "such as 3, 0.5 or 5%"},
                                            {"turns > 3 OR cost > 1", "one query for each side"},
                                            {"turns > 3 cost > 1", "expected AND"},
                                            {"turns > 3 AND", "expected a condition"},
                                            {"idle > 30 minutes", "expected AND"},
                                            {"idle > 30x", "800ms, 2s, 30m"},
                                            {"last_seen > yesterday", "2026-11-23T04:03:42Z"},
                                            {"user > 'a'", "=, !=, LIKE or ILIKE"},
                                            {"turns LIKE '3'", "cannot be used for numbers"},
                                            {"user = a", "in quotes"},
                                            {"cost > nan", "such as 3"},
                                            {"cost > \xFF", "such as 3"}})
        EXPECT_NE(fault(text).find(says), std::string::npos) << text << ": " << fault(text);
}

TEST(TotalsParser, ReadsTheNameOfATotal) {
    EXPECT_EQ(mt::parse_total("interactions").value(), mt::total_field{mt::total_kind::turns});
    EXPECT_EQ(mt::parse_total("feedback.is helpful").value(),
              (mt::total_field{mt::total_kind::feedback, "is helpful"}));
    EXPECT_FALSE(mt::parse_total("feedback."));
    EXPECT_FALSE(mt::parse_total("Cost"));
}

TEST(TotalsParser, ReadsADurationWithAndWithoutAUnit) {
    EXPECT_EQ(mt::parse_length("1500"), 1500ms);
    EXPECT_EQ(mt::parse_length("1500ms"), 1500ms);
    EXPECT_EQ(mt::parse_length("1.5s"), 1500ms);
    EXPECT_EQ(mt::parse_length("30m"), 30min);
    EXPECT_EQ(mt::parse_length("24h"), 24h);
    EXPECT_EQ(mt::parse_length("7d"), 7 * 24h);
    for (const char* const none : {"", "s", "-1s", "1 s", "1w", "nan", "1e300"})
        EXPECT_FALSE(mt::parse_length(none)) << none;
}

} // namespace
