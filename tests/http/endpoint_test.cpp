// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/endpoint.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

namespace mt = mlflow::trace;

std::string parsed(std::string_view url) {
    const auto server = mt::endpoint::parse(url);
    if (!server) return "refused";
    return server->scheme + "|" + server->host + "|" + std::to_string(server->port) + "|" + server->path + "|" +
           server->authority();
}

TEST(endpoint, reads_addresses) {
    EXPECT_EQ(parsed("http://127.0.0.1:5000"), "http|127.0.0.1|5000||127.0.0.1:5000");
    EXPECT_EQ(parsed("https://mlflow.example.com/"), "https|mlflow.example.com|443||mlflow.example.com");
    EXPECT_EQ(parsed("http://host/a/b//"), "http|host|80|/a/b|host");
    EXPECT_EQ(parsed("http://[::1]:5000/x"), "http|::1|5000|/x|[::1]:5000");
    EXPECT_EQ(parsed("http://[::1]"), "http|::1|80||[::1]");
    EXPECT_EQ(parsed("http://[fe80::1%eth0]:81"), "http|fe80::1%eth0|81||[fe80::1%eth0]:81");
    EXPECT_EQ(parsed("http://[::ffff:127.0.0.1]"), "http|::ffff:127.0.0.1|80||[::ffff:127.0.0.1]");
}

TEST(endpoint, refuses_what_is_none) {
    for (const char* bad : {"",
                            "host:5000",
                            "ftp://host",
                            "http://",
                            "http://:5000",
                            "http://h:",
                            "http://h:0",
                            "http://h:65536",
                            "http://h:5x",
                            "http://u:p@h",
                            "http://h?q",
                            "http://h#f",
                            "http://h h",
                            "http://h\r\nX: y",
                            "http://::1:5000",
                            "http://[]",
                            "http://[[::1]",
                            "http://[[1]/:",
                            "http://[host]",
                            "http://[a.b:1/]",
                            "http://[::1\"]",
                            "http://[::1",
                            "http://[::1]x",
                            "http://h\xC3\xA9"})
        EXPECT_EQ(parsed(bad), "refused") << bad;
    EXPECT_EQ(mt::endpoint::parse("http://user:secret@h").error().message().find("secret"), std::string::npos);
}

} // namespace
