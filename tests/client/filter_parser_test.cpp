// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/filter_parser.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace mt = mlflow::trace;
namespace field = mt::field;
using namespace std::chrono_literals;

namespace {

TEST(FilterParser, TextFromOutsideCannotSwallowOtherClauses) {
    for (const char* const bad :
         {"trace.status = 'OK' OR trace.status = 'ERROR'", "metadata.`a` = 'b\\' AND trace.status = 'c'",
          "metadata.`a` = 'b''c'", "metadata.`a` IN ('b')", "metadata.`a` = b", "trace.status > 'OK'", "a = 'b'",
          "trace.status = 'OK' AND", "AND", "trace.timestamp_ms > 'now'", "trace.timestamp_ms > 1.5",
          "metadata.`a = 'b'", "metadata.name = 'b'", "prompt = 'a/1'", "trace.status = 'OK';",
          "trace.status = 'OK' -- and more"})
        EXPECT_FALSE(mt::parse_filter(bad)) << bad;
    EXPECT_TRUE(mt::parse_filter("").value().empty());
    EXPECT_EQ(mt::parse_filter(" status = \"OK\" and timestamp_ms >= -5 ").value(),
              field::status == field::ok && field::timestamp >= mt::trace_time(-5ms));
}

TEST(FilterParser, ReadsEachKindOfField) {
    const auto parsed = [](const char* text) { return mt::parse_filter(text).value(); };
    EXPECT_EQ(parsed("metadata.`app segment` IS NOT NULL"), field::metadata("app segment").exists());
    EXPECT_EQ(parsed("tags.stage IS NULL"), field::tag("stage").is_absent());
    EXPECT_EQ(parsed("trace.request_id NOT IN ('a', \"b\")"), field::trace_id.not_in({"a", "b"}));
    EXPECT_EQ(parsed("span.type = 'TOOL'"), field::span_type == "TOOL");
    EXPECT_EQ(parsed("span.attributes.`a b` ilike '%x%'"), field::span_attribute("a b").ilike("%x%"));
    EXPECT_EQ(parsed("feedback.helpful = 'true'"), field::feedback("helpful") == true);
    EXPECT_EQ(parsed("name rlike '^chat'"), field::name.rlike("^chat"));
    EXPECT_EQ(parsed("execution_time_ms <= 1500"), field::execution_time <= 1500ms);
}

TEST(FilterParser, SaysWhatIsWrongAndWhere) {
    const auto fault = [](const char* text) { return mt::parse_filter(text).error().message(); };
    EXPECT_NE(fault("trace.state = 'OK'").find("unknown attribute of a trace"), std::string::npos);
    EXPECT_NE(fault("trace.timestamp_ms LIKE '1'").find("does not support this operator for this field"),
              std::string::npos);
    EXPECT_NE(fault("status = 'OK' AND metadata.`a = 'b'").find("before \""), std::string::npos);
}

} // namespace
