// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/filter_parser.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace mt = mlflow::trace;
namespace field = mt::field;
using namespace std::chrono_literals;

namespace {

using segment = mt::key<"app.segment", mt::one_of<"free", "pro">>;

TEST(Filter, ReadsAsItIsSaid) {
    const mt::user id{"user-1042"};
    const mt::session sid{"o'brien-1"};
    const auto filter = mt::where(field::user == id && field::session == sid && field::status == field::ok &&
                                  field::execution_time > 2s && field::key<segment> != segment{"pro"});
    EXPECT_EQ(filter.text().value(),
              "metadata.`mlflow.trace.user` = 'user-1042' AND metadata.`mlflow.trace.session` = \"o'brien-1\" AND "
              "trace.status = 'OK' AND trace.execution_time_ms > 2000 AND metadata.`app.segment` != 'pro'");
    EXPECT_EQ(mt::parse_filter(filter.text().value()).value(), filter);
    EXPECT_EQ((field::user == mt::anonymous).text().value(), "metadata.`mlflow.trace.user` IS NULL");
    EXPECT_EQ(field::status.in({field::ok, field::error}).text().value(), "trace.status IN ('OK', 'ERROR')");
    EXPECT_EQ((field::feedback("helpful") == true).text().value(), "feedback.`helpful` = 'true'");
    EXPECT_EQ((field::client_request_id == mt::client_request_id{"req-1"}).text().value(),
              "trace.client_request_id = 'req-1'");
    EXPECT_EQ(mt::filter().text().value(), "");
}

TEST(Filter, TheSameFilterDecidesHere) {
    mt::trace_info trace;
    trace.metadata = {{"mlflow.trace.user", "user-1042"}, {"app.segment", "pro"}};
    trace.tags = {{"mlflow.traceName", "chat"}};
    trace.status = mt::trace_status::error;
    trace.execution_duration = 1500ms;
    trace.request_time = mt::trace_time(10s);
    const auto is = [&](const mt::filter& filter) { return filter.matches(trace); };
    EXPECT_TRUE(is(field::user == mt::user{"user-1042"} && field::status == field::error));
    EXPECT_FALSE(is(field::user == mt::user{"user-1043"}));
    EXPECT_TRUE(is(field::user.like("user-%") && field::name == "chat"));
    EXPECT_FALSE(is(field::user.like("USER-%")));
    EXPECT_TRUE(is(field::user.ilike("USER-____")));
    EXPECT_TRUE(is(field::execution_time >= 1500ms && field::execution_time < 1501ms));
    EXPECT_TRUE(is(field::timestamp == mt::trace_time(10s) && field::end_time == mt::trace_time(11500ms)));
    // As in SQL, what is not there is neither equal nor unequal.
    EXPECT_FALSE(is(field::session != mt::session{"a"}));
    EXPECT_TRUE(is(field::session == mt::no_session));
    EXPECT_TRUE(is(field::metadata("app.version").is_absent()));
    EXPECT_FALSE((field::span_name == "generate").is_local());
}

// For LIKE, SQLite ends a text at its first NUL.
TEST(Filter, AValueWithANulIsSearchedByWhatIsBeforeIt) {
    using namespace std::string_view_literals;
    for (const auto& [filter, text] : {std::pair{field::metadata("k") == "a'b\0c\0"sv, "metadata.`k` LIKE 'a_b%'"},
                                       std::pair{field::metadata("k") == "\0"sv, "metadata.`k` LIKE '%'"},
                                       std::pair{field::tag("k").like("%a\0_"sv), "tag.`k` LIKE '%a%'"},
                                       std::pair{field::tag("k").ilike("a\0"sv), "tag.`k` ILIKE 'a%'"},
                                       std::pair{field::metadata("k") != "a\0"sv, "metadata.`k` LIKE '%'"},
                                       std::pair{field::metadata("k") == "a\\"sv, "metadata.`k` LIKE 'a_'"}}) {
        EXPECT_EQ(filter.text().value(), text);
        EXPECT_FALSE(filter.is_exact());
    }
    mt::trace_info trace;
    trace.metadata["k"] = "a\0c"sv;
    EXPECT_TRUE((field::metadata("k") == "a\0c"sv).matches(trace));
    EXPECT_FALSE((field::metadata("k") == "a"sv).matches(trace));
}

TEST(Filter, WhatCannotBeSaidIsRefusedWithAReason) {
    for (const auto& filter : {field::metadata("a`b") == "c", field::metadata("name") == "c", field::tag("") == "c",
                               field::feedback("x") == "' and \"", field::text.like("'\""), field::trace_id.in({})})
        EXPECT_FALSE(filter.text()) << filter.text().value();
}

TEST(Filter, ARefusalHidesNothingOfTheKey) {
    for (const std::string_view sign : {"\xC2\xAD", "\xE2\x80\xAE", "\xE2\x80\x8B"}) { // none of them can be seen
        const std::string key = "a" + std::string(sign) + "b";
        for (const std::string& value : {std::string("'\""), std::string("a\0b", 3), std::string("a\\")})
            for (const auto& filter : {field::feedback(key) == value, field::expectation(key) == value,
                                       field::span_attribute(key).like(value), field::metadata(key).rlike(value)}) {
                const auto text = filter.text();
                ASSERT_FALSE(text) << text.value();
                EXPECT_EQ(mt::detail::displayed(text.error().message()), text.error().message());
            }
    }
    EXPECT_NE((field::text.like(std::string_view("\0", 1))).text().error().message().find("a NUL"),
              std::string::npos);
}

} // namespace
