// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/tag.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

using mt::error_kind;

mt::error_kind of_key(std::string_view key) { return mt::tag(key, "value").check().kind(); }
mt::error_kind of_value(std::string_view value) { return mt::tag("key", value).check().kind(); }

TEST(tag, has_a_key_as_mlflow_wants_it) {
    static_assert(mt::tag("key", "value").check().kind() == error_kind::none);
    EXPECT_EQ(of_key("A_b-c.d:e/f g9"), error_kind::none);
    EXPECT_EQ(of_key(std::string(250, 'k')), error_kind::none);
    EXPECT_EQ(of_key(std::string(251, 'k')), error_kind::too_long);
    EXPECT_EQ(of_key(""), error_kind::empty);
    EXPECT_EQ(of_key("mlflow.traceName"), error_kind::reserved);
    EXPECT_EQ(of_key("mlflow.linkedPrompts"), error_kind::reserved);
    EXPECT_EQ(of_key("mlflowish"), error_kind::none);
    EXPECT_EQ(of_key("gr\xC3\xBC\xC3\x9F"), error_kind::not_allowed);
    EXPECT_EQ(of_key("a\nb"), error_kind::control_character);
    EXPECT_EQ(of_key("a\xFF"), error_kind::invalid_utf8);
}

// MLflow's path_not_unique: a key is its own normal form as a path.
TEST(tag, has_a_key_that_is_a_path_in_its_normal_form) {
    for (const char* const bad :
         {".", "..", "/a", "a/", "a//b", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "/"})
        EXPECT_EQ(of_key(bad), error_kind::not_allowed) << bad;
    for (const char* const good : {"a/b", "a.b/..c", ".a", "a..", "a/.b"})
        EXPECT_EQ(of_key(good), error_kind::none) << good;
}

TEST(tag, has_a_value_of_up_to_4096_characters) {
    EXPECT_EQ(of_value(""), error_kind::none);
    EXPECT_EQ(of_value("two\nlines\tand a tab"), error_kind::none);
    EXPECT_EQ(of_value(std::string(4096, 'v')), error_kind::none);
    EXPECT_EQ(of_value(std::string(4097, 'v')), error_kind::too_long);
    std::string wide;
    for (int i = 0; i < 4096; ++i) wide += "\xC3\xBC";
    EXPECT_EQ(of_value(wide), error_kind::none);
    EXPECT_EQ(of_value("a\xC3"), error_kind::invalid_utf8);
    EXPECT_EQ(of_value(std::string_view("a\0b", 3)), error_kind::control_character);
}

TEST(tag, metadata_by_its_name_is_checked_alike) {
    const auto fault = [](std::string_view key, std::string_view value) {
        return mt::detail::check_metadata(key, value).kind();
    };
    EXPECT_EQ(fault("own", "value"), error_kind::none);
    EXPECT_EQ(fault("", "value"), error_kind::empty);
    EXPECT_EQ(fault("mlflow.trace.user", "value"), error_kind::reserved);
    EXPECT_EQ(fault("own", ""), error_kind::empty);
    EXPECT_EQ(fault("own", std::string(251, 'v')), error_kind::too_long);
    EXPECT_EQ(fault("own", "a\nb"), error_kind::control_character);
}

} // namespace
