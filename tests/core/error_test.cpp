// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/error.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace mt = mlflow::trace;

namespace {

using mt::error;
using mt::error_kind;

static_assert(error().kind() == error_kind::none);
static_assert(error(error_kind::too_long, "key", 300, 250).limit() == 250);
static_assert(std::is_nothrow_copy_constructible_v<error> && std::is_nothrow_move_assignable_v<error>);
static_assert(!std::is_constructible_v<error, error_kind, std::string>, "its text would dangle");
static_assert(std::is_constructible_v<error, error_kind, const std::string&>);

TEST(error, says_what_it_is_about) {
    const error named(error_kind::timeout, std::string("127.0.0.1:") + "5000", "no response within 300 ms");
    EXPECT_EQ(named.message(), "127.0.0.1:5000: no response within 300 ms");
    EXPECT_EQ(named.about(), "127.0.0.1:5000");
    const error sentence(error_kind::other, "http://h", " answered 404");
    EXPECT_EQ(sentence.message(), "http://h answered 404");
    EXPECT_EQ(sentence.about(), "http://h");
    EXPECT_EQ(error(error_kind::closed, {}, "cut").message(), "cut");
    EXPECT_EQ(error(error_kind::closed, {}, "cut").about(), "");
    EXPECT_EQ(error(error_kind::empty, "app.tenant").message().substr(0, 17), "app.tenant: empty");
}

TEST(error, keeps_all_but_the_words_in_other_words) {
    using namespace std::chrono_literals;
    const auto code = std::make_error_code(std::errc::timed_out);
    const error first = error(error_kind::connect, "host:1", "timed out", code).with_reply(503, 2s, true);
    const error other = first.with_message("connect to " + first.message());
    EXPECT_EQ(other.message(), "connect to host:1: timed out");
    EXPECT_EQ(other.about(), "host:1");
    EXPECT_EQ(other.kind(), error_kind::connect);
    EXPECT_EQ(other.code(), code);
    EXPECT_EQ(other.status(), 503);
    EXPECT_EQ(other.retry_after(), 2s);
    EXPECT_TRUE(other.is_html());
    EXPECT_EQ(other.with_message("secret").about(), "") << "the new words do not name it";
    EXPECT_FALSE(error(error_kind::empty, "key").code());

    const error long_value = error(error_kind::too_long, "key", 300, 250).with_message("key is too long");
    EXPECT_EQ(long_value.actual(), 300U);
    EXPECT_EQ(long_value.limit(), 250U);
}

TEST(error, copies_outlive_what_they_were_copied_from) {
    error kept;
    {
        const error made(error_kind::file, std::string(100, 'f'), "cannot be read");
        kept = made;
        const error again = kept;
        EXPECT_EQ(again, made);
    }
    EXPECT_EQ(kept.about(), std::string(100, 'f'));
    const error moved = std::move(kept);
    EXPECT_EQ(moved.message(), std::string(100, 'f') + ": cannot be read");
    EXPECT_NE(moved, error(error_kind::file));
}

TEST(error, is_told_to_the_sender_of_a_header_without_what_is_inside) {
    const error value(error_kind::not_allowed, "app.tenant");
    EXPECT_EQ(value.of_header("X-Tenant").message(), "X-Tenant: does not have the required form");
    EXPECT_EQ(value.of_header("X-Tenant").about(), "X-Tenant");
    EXPECT_EQ(error(error_kind::missing).of_header("X-User-ID").message(),
              "X-User-ID: missing; every request must have it");
}

} // namespace
