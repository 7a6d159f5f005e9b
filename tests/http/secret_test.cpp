// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/secret.hpp>

#include <gtest/gtest.h>

#include <concepts>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mt = mlflow::trace;

namespace {

template <class T>
concept printable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!printable<mt::secret> && !std::equality_comparable<mt::secret>);
static_assert(!std::is_convertible_v<mt::secret, std::string_view> &&
              !std::is_convertible_v<const char*, mt::secret>);

TEST(secret, is_given_away_by_reveal_alone) {
    EXPECT_TRUE(mt::secret().empty());
    EXPECT_TRUE(mt::secret("").empty());
    mt::secret first("one");
    mt::secret second = first;
    EXPECT_EQ(second.reveal(), "one");
    second = mt::secret("two");
    EXPECT_EQ(first.reveal(), "one");
    first = std::move(second);
    EXPECT_EQ(first.reveal(), "two");
}

TEST(secret, overwrites_its_memory) {
    alignas(mt::secret) unsigned char place[sizeof(mt::secret)];
    auto* const kept = ::new (place) mt::secret("short"); // in the object itself
    ASSERT_NE(std::string_view(reinterpret_cast<char*>(place), sizeof place).find("short"), std::string_view::npos);
    kept->~secret();
    EXPECT_EQ(std::string_view(reinterpret_cast<char*>(place), sizeof place).find("short"), std::string_view::npos);
}

TEST(secret, leaves_nothing_where_it_was_moved_from) {
    for (const std::string& text : {std::string("0123456789"), std::string(100, 'x')}) {
        alignas(mt::secret) unsigned char place[sizeof(mt::secret)];
        auto* const from = ::new (place) mt::secret(text);
        mt::secret first(std::move(*from));
        EXPECT_TRUE(from->empty());
        EXPECT_EQ(std::string_view(reinterpret_cast<char*>(place), sizeof place).find("12345"),
                  std::string_view::npos);
        *from = std::move(first);
        EXPECT_EQ(from->reveal(), text);
        first = std::move(*from);
        EXPECT_EQ(std::string_view(reinterpret_cast<char*>(place), sizeof place).find("12345"),
                  std::string_view::npos);
        EXPECT_EQ(first.reveal(), text);
        from->~secret();
    }
}

TEST(secret, leaves_nothing_of_what_it_was_assigned_over) {
    const std::string longer(100, 'x');
    for (const std::string& next : {std::string(), std::string("xy"), longer}) {
        for (const bool is_moved : {false, true}) {
            alignas(mt::secret) unsigned char place[sizeof(mt::secret)];
            auto* const over = ::new (place) mt::secret("0123456789");
            mt::secret from(next);
            if (is_moved) *over = std::move(from);
            else *over = from;
            EXPECT_EQ(over->reveal(), next);
            const std::string_view left(reinterpret_cast<char*>(place), sizeof place);
            EXPECT_EQ(left.find("56789"), std::string_view::npos) << next.size();
            over->~secret();
            EXPECT_EQ(left.find("xy"), std::string_view::npos);
        }
    }
}

// The examples of RFC 7617, 2, and RFC 6750, 2.1.
TEST(secret, makes_authorizations) {
    EXPECT_EQ(mt::basic_authorization("Aladdin", mt::secret("open sesame")).reveal(),
              "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    EXPECT_EQ(mt::basic_authorization("", mt::secret()).reveal(), "Basic Og==");
    EXPECT_EQ(mt::bearer_authorization(mt::secret("mF_9.B5f-4.1JqM")).reveal(), "Bearer mF_9.B5f-4.1JqM");
}

} // namespace
