// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/check.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

using mt::error_kind;

TEST(check, one_of_and_prefix_compare_to_the_letter) {
    using tier = mt::one_of<"free", "pro">;
    static_assert(tier::allows("pro"));
    for (const char* const other : {"", "Pro", "pro ", "freepro"}) EXPECT_FALSE(tier::allows(other)) << other;
    EXPECT_TRUE(mt::prefix<"eu-">::allows("eu-"));
    EXPECT_TRUE(mt::prefix<"eu-">::allows("eu-west"));
    EXPECT_FALSE(mt::prefix<"eu-">::allows("eu"));
    EXPECT_FALSE(mt::prefix<"eu-">::allows(" eu-west"));
}

TEST(check, a_word_has_ascii_letters_digits_and_what_is_listed) {
    EXPECT_TRUE(mt::ascii_word<>::allows("azAZ09-_.:"));
    for (const char* const other : {"a b", "a/b", "a@b", "\xC3\xBC", "[", "`"})
        EXPECT_FALSE(mt::ascii_word<>::allows(other)) << other;
    EXPECT_TRUE(mt::ascii_word<"@">::allows("a@b"));
    EXPECT_FALSE(mt::ascii_word<"@">::allows("a-b"));
    EXPECT_FALSE(mt::ascii_word<>::allows(std::string_view("a\0b", 3)));
}

TEST(check, a_uuid_has_hexadecimal_digits_and_dashes_in_their_places) {
    EXPECT_TRUE(mt::uuid::allows("017f22e2-79b0-7cc3-98c4-DC0C0C07398F"));
    for (const char* const other : {"", "017f22e279b07cc398c4dc0c0c07398f", "017f22e2-79b0-7cc3-98c4-dc0c0c07398",
                                    "{17f22e2-79b0-7cc3-98c4-dc0c0c073}", "017f22e2-79b0-7cc3-98c4-dc0c0c07398ff",
                                    "017f22e2-79b0-7cc3-98c4-dc0c0c07398g", "017f22e-279b0-7cc3-98c4-dc0c0c07398f"})
        EXPECT_FALSE(mt::uuid::allows(other)) << other;
}

TEST(check, a_predicate_is_your_own_function) {
    using even = mt::predicate<[](std::string_view value) noexcept { return value.size() % 2 == 0; }>;
    EXPECT_TRUE(even::allows("ab"));
    EXPECT_FALSE(even::allows("abc"));
}

TEST(check, says_what_is_wrong_with_a_text_and_where) {
    const auto fault = [](std::string_view value) { return mt::detail::check_text("key", value, 3); };
    EXPECT_EQ(fault("abc").kind(), error_kind::none);
    EXPECT_EQ(fault("\xC3\xBC\xC3\xBC\xC3\xBC").kind(), error_kind::none) << "characters, not bytes";
    EXPECT_EQ(fault("").kind(), error_kind::empty);
    EXPECT_EQ(fault("abcd").kind(), error_kind::too_long);
    EXPECT_EQ(fault("abcd").actual(), 4U);
    EXPECT_EQ(fault("abcd").limit(), 3U);
    EXPECT_EQ(fault("a\xFF").kind(), error_kind::invalid_utf8);
    EXPECT_EQ(fault("ab\n").kind(), error_kind::control_character);
    EXPECT_EQ(fault("ab\x7F").kind(), error_kind::control_character);
}

} // namespace
