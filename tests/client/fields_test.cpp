// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/fields.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace mt = mlflow::trace;
namespace field = mt::field;
using namespace std::chrono_literals;

namespace {

std::string text_of(const mt::filter& filter) { return filter.text().value(); }

TEST(Fields, OfTypedKeysSayWhatIsThereAndWhatIsNot) {
    using segment = mt::key<"app.segment">;
    EXPECT_EQ(text_of(field::key<segment> == segment{"pro"}), "metadata.`app.segment` = 'pro'");
    EXPECT_EQ(text_of(field::key<segment>.exists()), "metadata.`app.segment` IS NOT NULL");
    EXPECT_EQ(text_of(field::user != mt::anonymous), "metadata.`mlflow.trace.user` IS NOT NULL");
    EXPECT_EQ(text_of(field::session.like("web-%")), "metadata.`mlflow.trace.session` LIKE 'web-%'");
    EXPECT_EQ(text_of(field::client_request_id.in({"a", "b"})), "trace.client_request_id IN ('a', 'b')");
}

TEST(Fields, OfNamesKnownAtRunTimeAreQuoted) {
    EXPECT_EQ(text_of(field::metadata("app version") == "1"), "metadata.`app version` = '1'");
    EXPECT_EQ(text_of(field::tag("stage").is_absent()), "tag.`stage` IS NULL");
    EXPECT_EQ(text_of(field::name.rlike("^chat")), "trace.name RLIKE '^chat'");
}

TEST(Fields, OfNumbersCompareInMilliseconds) {
    EXPECT_EQ(text_of(field::execution_time >= 2s), "trace.execution_time_ms >= 2000");
    EXPECT_EQ(text_of(field::timestamp < mt::trace_time(5ms)), "trace.timestamp_ms < 5");
    EXPECT_EQ(text_of(field::end_time != mt::trace_time(5ms)), "trace.end_time_ms != 5");
}

TEST(Fields, OfAssessmentsCompareAsJson) {
    EXPECT_EQ(text_of(field::feedback("helpful") == true), "feedback.`helpful` = 'true'");
    EXPECT_EQ(text_of(field::feedback("stars") != 4), "feedback.`stars` != '4'");
    EXPECT_EQ(text_of(field::expectation("answer") == "yes"), "expectation.`answer` = 'yes'");
    EXPECT_EQ(text_of(field::expectation("answer").exists()), "expectation.`answer` IS NOT NULL");
}

TEST(Fields, OfSpansAreDecidedByTheServer) {
    for (const auto& filter : {field::span_name == "generate", field::span_type.in({"TOOL"}),
                               field::span_attribute("a").like("%x%"), field::text.ilike("%refund%")})
        EXPECT_FALSE(filter.is_local()) << text_of(filter);
    EXPECT_TRUE((field::user == mt::user{"u"}).is_local());
}

TEST(Fields, OrderResults) {
    EXPECT_EQ(field::timestamp.ascending().text(), "timestamp_ms ASC");
    EXPECT_EQ(field::execution_time.descending().text(), "execution_time_ms DESC");
}

} // namespace
