// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/identity.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <type_traits>

namespace {

namespace mt = mlflow::trace;
using mt::error_kind;

std::string repeated(std::string_view text, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += text;
    return all;
}

template <class Key>
mt::error fault_of(std::string_view value) {
    const auto parsed = Key::parse(value);
    return parsed ? mt::error{} : parsed.error();
}

// Types of different keys do not convert into each other, and nothing but text makes one.
static_assert(!std::is_convertible_v<mt::user, mt::session> && !std::is_constructible_v<mt::session, mt::user>);
static_assert(!std::is_constructible_v<mt::user, std::nullptr_t>);
static_assert(!std::is_constructible_v<mt::user, std::string>);
static_assert(!std::is_constructible_v<mt::user, const char*>);
static_assert(!std::is_constructible_v<mt::user, std::optional<std::string>>);
static_assert(!std::is_convertible_v<const char (&)[2], mt::user>); // explicit
template <class T>
concept parsable = requires(T value) { mt::user::parse(value); };
static_assert(parsable<std::string> && parsable<std::string_view> && parsable<const char*>);
static_assert(!parsable<std::nullptr_t> && !parsable<std::optional<std::string>> && !parsable<mt::session>);
// A view of a temporary dies with it.
template <class T>
concept viewable_temporary = requires { T::parse("x").value().view(); };
static_assert(!viewable_temporary<mt::user>);

TEST(key, of_1_to_250_code_points_of_any_width) {
    for (const std::string_view character : {"x", "é", "店", "😀"}) {
        EXPECT_TRUE(mt::user::parse(character));
        EXPECT_TRUE(mt::user::parse(repeated(character, 250))) << character;
        const auto refused = fault_of<mt::user>(repeated(character, 251));
        EXPECT_EQ(refused.kind(), error_kind::too_long) << character;
        EXPECT_EQ(refused.actual(), 251U);
        EXPECT_EQ(refused.limit(), 250U);
    }
    EXPECT_EQ(fault_of<mt::client_request_id>(repeated("x", 51)).limit(), 50U);
    EXPECT_TRUE(mt::client_request_id::parse(repeated("😀", 50)));
}

TEST(key, refuses_what_cannot_be_an_id_and_says_why) {
    EXPECT_EQ(fault_of<mt::user>("").kind(), error_kind::empty);
    for (const std::string_view bad :
         {std::string_view("a\0b", 3), std::string_view("a\nb"), std::string_view("a\tb"), std::string_view("a\x7f"),
          std::string_view("a\xC2\x85")}) {
        EXPECT_EQ(fault_of<mt::user>(bad).kind(), error_kind::control_character);
        EXPECT_EQ(fault_of<mt::user>(bad).actual(), 1U);
    }
    for (const std::string_view bad : {"ab\xff", "ab\xC3", "ab\xED\xA0\x80", "ab\xC0\x80", "ab\xF4\x90\x80\x80"}) {
        EXPECT_EQ(fault_of<mt::session>(bad).kind(), error_kind::invalid_utf8);
        EXPECT_EQ(fault_of<mt::session>(bad).actual(), 2U);
    }
    EXPECT_EQ(mt::user::parse(static_cast<const char*>(nullptr)).error().kind(), error_kind::missing);
    const auto message = fault_of<mt::user>(repeated("x", 300)).message();
    EXPECT_NE(message.find("mlflow.trace.user: 300 characters, at most 250"), std::string::npos) << message;
    EXPECT_EQ(message.find("xxx"), std::string::npos) << "the value is nobody's business";
}

TEST(key, owns_its_text) {
    std::string source = "user-1042";
    auto user = mt::user::parse(source).value();
    source.assign(source.size(), '?');
    EXPECT_EQ(user.view(), "user-1042");
    mt::user copy = user;
    user = mt::user{"literal"};
    EXPECT_EQ(copy.view(), "user-1042");
    EXPECT_EQ(user.view(), "literal");
    copy = *&copy;
    EXPECT_EQ(copy.view(), "user-1042");
    EXPECT_EQ(copy, mt::user::parse("user-1042").value());
}

TEST(key, checks_of_ones_own) {
    using tier = mt::key<"app.tier", mt::one_of<"free", "pro">>;
    using tenant = mt::key<"app.tenant", mt::prefix<"t-">, mt::max_length<8>>;
    using request = mt::key<"app.request", mt::uuid>;
    using word = mt::key<"app.word", mt::ascii_word<>>;
    constexpr auto is_even = [](std::string_view value) noexcept { return value.size() % 2 == 0; };
    using even = mt::key<"app.even", mt::predicate<is_even>>;
    EXPECT_EQ(tier{"pro"}.name, "app.tier");
    EXPECT_EQ(fault_of<tier>("Pro").kind(), error_kind::not_allowed);
    EXPECT_TRUE(tenant::parse("t-123456"));
    EXPECT_EQ(fault_of<tenant>("x-1").kind(), error_kind::not_allowed);
    EXPECT_EQ(fault_of<tenant>("t-1234567").limit(), 8U);
    EXPECT_LT(sizeof(tenant), sizeof(mt::user) / 10);
    EXPECT_TRUE(request::parse("3b1c9e52-7d0f-4c55-9a0b-1f6a4e2c8d11"));
    EXPECT_FALSE(request::parse("3b1c9e52-7d0f-4c55-9a0b-1f6a4e2c8d1g"));
    EXPECT_FALSE(request::parse("3b1c9e527d0f-4c55-9a0b-1f6a4e2c8d11-"));
    EXPECT_TRUE(word::parse("a-b_c.d:9"));
    EXPECT_FALSE(word::parse("a b"));
    EXPECT_TRUE(even::parse("ab"));
    EXPECT_FALSE(even::parse("abc"));
}

} // namespace
