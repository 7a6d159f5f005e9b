// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/message.hpp>

#include <gtest/gtest.h>

namespace {

namespace mt = mlflow::trace;

TEST(http_response, is_made_of_a_status_alone_without_a_warning) {
    const mt::http_response reply{.status = 503};
    EXPECT_TRUE(reply.headers.empty());
    EXPECT_EQ(reply.body, "");
}

TEST(http_response, finds_headers_without_case) {
    const mt::http_response reply{200, {{"Retry-After", "5"}, {"X", "1"}, {"retry-after", "6"}}, {}};
    EXPECT_EQ(reply.header("RETRY-AFTER"), "5");
    EXPECT_EQ(reply.header("x"), "1");
    EXPECT_EQ(reply.header("Y"), "");
}

TEST(http_method, has_its_name_in_http) {
    EXPECT_EQ(mt::to_string(mt::http_method::get), "GET");
    EXPECT_EQ(mt::to_string(mt::http_method::post), "POST");
    EXPECT_EQ(mt::to_string(mt::http_method::put), "PUT");
    EXPECT_EQ(mt::to_string(mt::http_method::patch), "PATCH");
    EXPECT_EQ(mt::to_string(mt::http_method::delete_), "DELETE");
}

} // namespace
