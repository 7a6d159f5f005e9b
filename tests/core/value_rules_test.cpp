// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/value_rules.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace mt = mlflow::trace;

namespace {

mt::redaction by_key(const void*, std::string_view key, std::string_view value) {
    if (key == "secret") return mt::redaction::remove();
    if (key == "mail") return mt::redaction::replace(std::string(value.substr(0, 1)) + "…");
    return mt::redaction::keep();
}

std::string text_of(mt::redaction made) { return std::string(std::move(made).text()); }

TEST(value_rules, a_redaction_keeps_removes_or_replaces) {
    EXPECT_TRUE(mt::redaction::keep().is_kept());
    EXPECT_FALSE(mt::redaction::remove().is_kept());
    EXPECT_EQ(text_of(mt::redaction::remove()), "[redacted]");
    EXPECT_EQ(text_of(mt::redaction::replace("")), "") << "also by nothing";
    EXPECT_FALSE(mt::redaction::replace("").is_kept());
}

TEST(value_rules, limits_are_none_but_for_the_depth) {
    const mt::recording_limits limits;
    EXPECT_EQ(limits.attributes, mt::recording_limits::unlimited);
    EXPECT_EQ(limits.span_bytes, mt::recording_limits::unlimited);
    EXPECT_EQ(limits.depth, 100U);
    EXPECT_NE(limits, (mt::recording_limits{.events = 1}));
}

TEST(value_rules, ask_the_redactor_where_there_is_one) {
    mt::detail::value_rules rules;
    EXPECT_TRUE(rules.ask("secret", "value").is_kept());
    rules.redact = by_key;
    EXPECT_EQ(text_of(rules.ask("secret", "value")), "[redacted]");
    EXPECT_EQ(text_of(rules.ask("mail", "ann@example.com")), "a…");
    EXPECT_TRUE(rules.ask("other", "value").is_kept());
}

TEST(value_rules, do_not_ask_a_redactor_about_what_it_records_itself) {
    static mt::detail::value_rules rules;
    static int asked = 0;
    rules.redact = [](const void*, std::string_view, std::string_view) {
        ++asked;
        EXPECT_EQ(text_of(rules.ask("inner", "value")), "[redacted]");
        return mt::redaction::keep();
    };
    EXPECT_TRUE(rules.ask("outer", "value").is_kept());
    EXPECT_EQ(asked, 1);
}

TEST(value_rules, know_what_is_too_deep) {
    mt::detail::recording_buffer out;
    out.depth = 100;
    EXPECT_FALSE(out.is_too_deep());
    out.depth = 101;
    EXPECT_TRUE(out.is_too_deep());
    mt::detail::value_rules rules;
    rules.limits.depth = 200;
    out.rules = &rules;
    EXPECT_FALSE(out.is_too_deep());
    const mt::detail::without_rules own(out);
    EXPECT_TRUE(out.is_too_deep()) << "as without rules";
}

} // namespace
