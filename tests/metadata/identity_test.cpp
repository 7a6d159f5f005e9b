// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <type_traits>

namespace mt = mlflow::trace;

namespace {

static_assert(!std::is_convertible_v<mt::user, mt::session> && !std::is_constructible_v<mt::session, mt::user>);
static_assert(!std::is_constructible_v<mt::maybe<mt::user>, mt::absent<mt::session>>);
static_assert(!std::is_default_constructible_v<mt::maybe<mt::user>>, "that there is none is said");

TEST(identity, has_the_names_and_lengths_of_mlflow) {
    EXPECT_EQ(std::string_view(mt::user::name), "mlflow.trace.user");
    EXPECT_EQ(std::string_view(mt::session::name), "mlflow.trace.session");
    EXPECT_TRUE(mt::user::parse(std::string(250, 'u')));
    EXPECT_FALSE(mt::user::parse(std::string(251, 'u')));
    EXPECT_TRUE(mt::client_request_id::parse(std::string(50, 'r')));
    EXPECT_EQ(mt::client_request_id::parse(std::string(51, 'r')).error().limit(), 50U);
}

TEST(identity, that_there_is_none_is_null_as_an_input) {
    mt::detail::buffer out;
    EXPECT_TRUE(mt::append_json(out, mt::anonymous));
    EXPECT_EQ(out.view(), "null");
}

TEST(maybe, says_that_there_is_none) {
    mt::maybe<mt::user> user = mt::anonymous;
    EXPECT_EQ(user.get(), nullptr);
    user = mt::user{"user-1"};
    ASSERT_NE(user.get(), nullptr);
    EXPECT_EQ(user.get()->view(), "user-1");
}

} // namespace
