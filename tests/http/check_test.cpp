// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/check.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

const mt::endpoint server = mt::endpoint::parse("http://127.0.0.1:5000/mlflow").value();

// The message of the refusal, or an empty text.
std::string refusal(const mt::endpoint& to, const mt::http_request& request) {
    const auto refused = mt::check_request(to, request);
    if (!refused) return {};
    EXPECT_EQ(refused->kind(), mt::error_kind::bad_request);
    EXPECT_EQ(refused->message().find_first_of("\r\n"), std::string::npos);
    return refused->message();
}
std::string refusal_of_header(std::string_view name, std::string_view value) {
    const mt::http_header header{name, value};
    return refusal(server, {.headers = {&header, 1}});
}

TEST(CheckRequest, TakesWhatHttpAllows) {
    EXPECT_EQ(refusal(server, {}), "");
    EXPECT_EQ(refusal(server, {.target = "/a%20b?c=d&e=~#'()"}), "");
    EXPECT_EQ(refusal_of_header("X-User-ID", "user-1042"), "");
    EXPECT_EQ(refusal_of_header("!#$%&'*+-.^_`|~09azAZ", ""), "");
    EXPECT_EQ(refusal_of_header("X", "tab\tand \xc3\xa9"), "");
}

TEST(CheckRequest, RefusesEveryByteThatDoesNotBelongInTheTarget) {
    EXPECT_NE(refusal(server, {.target = ""}), "");
    EXPECT_NE(refusal(server, {.target = "no-slash"}), "");
    EXPECT_NE(refusal(server, {.target = "http://127.0.0.1/"}), "");
    for (int byte = 0; byte < 256; ++byte) {
        const std::string target = {'/', static_cast<char>(byte)};
        EXPECT_EQ(refusal(server, {.target = target}).empty(), byte > 0x20 && byte < 0x7f) << byte;
    }
}

TEST(CheckRequest, RefusesEveryByteThatDoesNotBelongInAHeader) {
    constexpr std::string_view separators = "()<>@,;:\\\"/[]?={} ";
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text = {'x', static_cast<char>(byte)};
        const bool is_token =
            byte > 0x20 && byte < 0x7f && separators.find(static_cast<char>(byte)) == std::string_view::npos;
        EXPECT_EQ(refusal_of_header(text, "v").empty(), is_token) << byte;
        EXPECT_EQ(refusal_of_header("X", text).empty(), byte == '\t' || (byte >= 0x20 && byte != 0x7f)) << byte;
    }
    EXPECT_NE(refusal_of_header("", "v"), "");
}

TEST(CheckRequest, NamesTheHeaderAndKeepsTheSecret) {
    const auto by_name = refusal_of_header("Authorization", "Bearer s3cret\n");
    EXPECT_NE(by_name.find("Authorization"), std::string::npos);
    EXPECT_EQ(by_name.find("s3cret"), std::string::npos);
    const auto swapped = refusal_of_header("Bearer s3cret", "Authorization");
    EXPECT_NE(swapped.find("header 1"), std::string::npos);
    EXPECT_EQ(swapped.find("s3cret"), std::string::npos);
}

TEST(CheckRequest, RefusesTheHeadersThatATransportWrites) {
    for (const auto name : {"Host", "content-length", "Transfer-Encoding", "CONNECTION", "upgrade"})
        EXPECT_NE(refusal_of_header(name, "x").find(name), std::string::npos) << name;
}

TEST(CheckRequest, RefusesAServerThatWasNotParsed) {
    EXPECT_NE(refusal({}, {}), "");
    EXPECT_NE(refusal({"ftp", "127.0.0.1", 21, ""}, {}), "");
    EXPECT_NE(refusal({"http", "", 80, ""}, {}), "");
    EXPECT_NE(refusal({"http", "a\r\nX: y", 80, ""}, {}), "");
    EXPECT_NE(refusal({"http", "a", 80, "/b c"}, {}), "");
    EXPECT_NE(refusal({"http", "a", 80, "b"}, {}), "");
}

} // namespace
