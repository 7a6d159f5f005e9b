// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/export.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <string>

namespace {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

TEST(rows, have_a_time_that_can_be_read_back_whatever_it_is) {
    using std::chrono::milliseconds;
    EXPECT_EQ(mt::to_string(mt::trace_time(milliseconds(1'795'406'622'571))), "2026-11-23T04:03:42.571Z");
    EXPECT_EQ(mt::to_string(mt::trace_time(milliseconds(-1))), "1969-12-31T23:59:59.999Z");
    for (const char* const text : {"0000-01-01T00:00:00.000Z", "1582-10-15T01:02:03.004Z", "2555-01-01T00:00:00.000Z",
                                   "9999-12-31T23:59:59.999Z"})
        EXPECT_EQ(mt::to_string(mt::detail::parse_time(text).value()), text);
    EXPECT_EQ(mt::to_string(mt::trace_time::max()), "9999-12-31T23:59:59.999Z");
    EXPECT_EQ(mt::to_string(mt::trace_time::min()), "0000-01-01T00:00:00.000Z");
}

TEST(rows, of_feedback_nested_without_end_have_no_value) {
    mt::assessment deep;
    deep.what = mt::assessment::kind::feedback;
    deep.value = std::string(200'000, '[') + std::string(200'000, ']');
    mt::trace_info trace;
    trace.assessments.push_back(deep);
    EXPECT_EQ(json::parse(mt::json_line(mt::trace_row(trace)))["feedback"][0]["value"], nullptr);
}

TEST(json_lines_of_rows, hide_nothing_and_command_nothing) {
    const std::string text = "\x1b[31m \xC2\x9B"
                             "2J \xE2\x80\xAE"
                             "cod.exe \x7f \xE2\x80\xA8 \xF3\xA0\x81\x81 \xE2\x80\x8B end";
    const auto line = mt::json_line(json{{text, text}});
    for (const char c : line.substr(0, line.size() - 1)) EXPECT_TRUE(c >= ' ' && c < 0x7F) << line;
    EXPECT_EQ(json::parse(line), (json{{text, text}})) << "the same value";
    EXPECT_EQ(mt::json_line(json{{"a", "b\xff"
                                       "c"}}),
              "{\"a\":\"b\xEF\xBF\xBD"
              "c\"}\n");
}

} // namespace
