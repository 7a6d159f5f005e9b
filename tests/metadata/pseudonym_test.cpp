// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/metadata/pseudonym.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

using mt::error_kind;

std::string reversed(std::string_view original) { return {original.rbegin(), original.rend()}; }
std::string nothing(std::string_view) { return {}; }

TEST(pseudonym, gives_what_the_function_makes_of_the_original) {
    const auto who = mt::pseudonym<mt::user, reversed>::parse("user-1042");
    ASSERT_TRUE(who);
    EXPECT_EQ(who->view(), "2401-resu");
}

TEST(pseudonym, checks_the_original_and_names_the_key) {
    using parsed = mt::pseudonym<mt::user, reversed>;
    EXPECT_EQ(parsed::parse("").error().kind(), error_kind::empty);
    EXPECT_EQ(parsed::parse("a\xFF").error().kind(), error_kind::invalid_utf8);
    EXPECT_EQ(parsed::parse("a\r\nb").error().kind(), error_kind::control_character);
    EXPECT_EQ(parsed::parse(std::string(251, 'u')).error().kind(), error_kind::too_long);
    EXPECT_EQ(parsed::parse("").error().about(), "mlflow.trace.user");
    EXPECT_TRUE(parsed::parse(std::string(250, 'u')));
}

TEST(pseudonym, checks_what_the_function_returns_as_every_value_of_the_key) {
    EXPECT_EQ((mt::pseudonym<mt::user, nothing>::parse("user").error().kind()), error_kind::empty);
    const auto twice = [](std::string_view original) { return std::string(original) + std::string(original); };
    using id = mt::pseudonym<mt::client_request_id, twice>;
    EXPECT_EQ(id::parse(std::string(25, 'r'))->view().size(), 50U);
    EXPECT_EQ(id::parse(std::string(26, 'r')).error().kind(), error_kind::too_long);
}

} // namespace
