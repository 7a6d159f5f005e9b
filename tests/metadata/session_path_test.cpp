// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/metadata/session_path.hpp>

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>

namespace {

namespace mt = mlflow::trace;

std::string text_of(std::initializer_list<std::string_view> levels) {
    const auto session = mt::session_path(levels);
    return session ? std::string(session->view()) : session.error().message();
}

TEST(session_path, is_a_compact_array) {
    EXPECT_EQ(text_of({"trip-2", "episode-1"}), R"(["trip-2","episode-1"])");
    EXPECT_EQ(text_of({"only"}), R"(["only"])");
    EXPECT_EQ(text_of({"say \"hi\"", "C:\\x", "Zürich"}), R"(["say \"hi\"","C:\\x","Zürich"])");
}

TEST(session_path, has_levels_that_sessions_may_be) {
    EXPECT_EQ(mt::session_path({}).error().kind(), mt::error_kind::empty);
    EXPECT_EQ(mt::session_path({"trip", ""}).error().kind(), mt::error_kind::empty);
    EXPECT_EQ(mt::session_path({"trip\n"}).error().kind(), mt::error_kind::control_character);
    EXPECT_EQ(mt::session_path({"\xff"}).error().kind(), mt::error_kind::invalid_utf8);
}

TEST(session_path, has_the_characters_of_any_session) {
    EXPECT_TRUE(mt::session_path({std::string(246, 'x')}));
    const auto fault = mt::session_path({std::string(100, 'x'), std::string(146, 'x')}).error();
    EXPECT_EQ(fault.kind(), mt::error_kind::too_long);
    EXPECT_EQ(fault.actual(), 253U);
}

} // namespace
