// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/csv.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <string>

namespace {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

TEST(csv, a_text_that_a_spreadsheet_takes_for_a_formula_is_a_text) {
    for (const std::string text : {"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "\xC2\xA0=1",
                                   "\xEF\xBB\xBF=1", "\xE2\x80\x8B+1", "\xEF\xBC\x9D\x31", "\xEF\xBC\x8B\x31",
                                   "\xEF\xBC\x8D\x31", "\xEF\xBC\xA0\x61", "\xE2\x88\x92\x31", "=", "-"}) {
        EXPECT_EQ(mt::csv_line(json{{"a", text}, {"b", 1}}), "\"'" + text + "\",1\r\n") << text;
        EXPECT_EQ(mt::csv_line(json{{text, 1}}, true), "\"'" + text + "\"\r\n") << text;
        EXPECT_EQ(mt::csv_line(json{{"a", text}}, false, mt::csv_texts::exact), '"' + text + "\"\r\n");
        EXPECT_EQ(mt::csv_line(json{{text, 1}}, true, mt::csv_texts::exact), '"' + text + "\"\r\n");
    }
}

TEST(csv, what_is_no_formula_stays_as_it_is) {
    for (const std::string text : {"", "a=1", "user-1", "1-2", "'=1", "(1)", "\xE5\x88\xA9", "\xff"})
        EXPECT_EQ(mt::csv_line(json{{"a", text}}), '"' + text + "\"\r\n");
    EXPECT_EQ(mt::csv_line(json{{"a", -1}, {"b", -1.5}, {"c", nullptr}, {"d", {{"=", "=1"}}}, {"e", true}}),
              "-1,-1.5,,\"{\"\"=\"\":\"\"=1\"\"}\",true\r\n");
    EXPECT_EQ(mt::csv_line(json{{"a", "=\"x\""}}), "\"'=\"\"x\"\"\"\r\n");
}

} // namespace
