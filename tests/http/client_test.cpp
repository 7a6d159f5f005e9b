// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

namespace {

namespace mt = mlflow::trace;

using client = mt::detail::http_client<mt::memory_transport>;

// What is told of this reply to a request with credentials; nothing if it is passed on.
std::string told(std::string uri, mt::http_response reply) {
    auto server = std::make_shared<mt::memory_server>();
    server->queue_reply(std::move(reply));
    client asking({.option = "uri",
                   .uri = std::move(uri),
                   .headers = {},
                   .workspace = {},
                   .authorization = mt::bearer_authorization(mt::secret("token")),
                   .timeout = std::chrono::seconds(1),
                   .transport = {server}});
    const auto answer = asking.send(mt::http_method::get, "/version?a=b");
    EXPECT_EQ(server->request_count(), 1U) << "nobody else is asked";
    return answer ? std::string() : answer.error().message();
}

TEST(http_client, a_redirect_is_named_and_not_followed) {
    const auto redirect = [](std::string location) {
        return told("http://mlflow", {302, {{"Location", std::move(location)}}, {}});
    };
    const std::string end = "; redirects are not followed. If that address is right, configure it";
    EXPECT_EQ(redirect("https://mlflow.example:8443/login?ticket=hidden"),
              "http://mlflow responded 302 to /version with a redirect to https://mlflow.example:8443" + end);
    EXPECT_EQ(redirect("https://user:hidden@h"),
              "http://mlflow responded 302 to /version with a redirect to h" + end);
    EXPECT_EQ(redirect("/login?ticket=hidden"),
              "http://mlflow responded 302 to /version with a redirect to /login" + end);
    EXPECT_EQ(redirect("https://a\nb"),
              "http://mlflow responded 302 to /version with a redirect to https://a b" + end);
    EXPECT_EQ(told("http://mlflow", {304, {}, {}}),
              "http://mlflow responded 304 to /version with a redirect to " + end);
}

TEST(http_client, plain_http_to_a_tls_port_is_recognised) {
    for (const char* const page : {"<center>The plain HTTP request was sent to HTTPS port</center>",
                                   "Reason: You're speaking plain HTTP to an SSL-enabled server port.",
                                   "Client sent an HTTP request to an HTTPS server.\n"}) {
        EXPECT_EQ(told("http://mlflow:8443", {400, {}, page}),
                  "http://mlflow:8443: the server expects TLS; use https://");
        EXPECT_EQ(told("https://mlflow:8443", {400, {}, page}), "");
    }
    EXPECT_EQ(told("http://mlflow", {400, {}, "bad request"}), "");
    EXPECT_EQ(told("http://mlflow", {200, {}, "The plain HTTP request was sent to HTTPS port"}), "");
}

TEST(http_client, a_proxy_that_wants_credentials_is_recognised) {
    EXPECT_EQ(told("http://mlflow", {407, {}, "<html>"}), "http://mlflow: the proxy rejected the credentials; set "
                                                          "them in http_proxy as http://user:password@host:port");
}

TEST(http_client, a_wrong_address_is_named_by_its_option) {
    client asking({"tracking_uri", "mlflow:5000", {}, {}, {}, std::chrono::seconds(1), {}});
    const auto answer = asking.send(mt::http_method::get, "/version");
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().message(),
              "tracking_uri: the URL \"mlflow:5000\" has no scheme; write it as http://host:port");
}

TEST(http_client, own_headers_and_the_workspace_go_with_every_request_and_the_secrets_are_masked) {
    auto server = std::make_shared<mt::memory_server>();
    server->answer_with([](const mt::memory_server::request& asked) {
        return mt::http_response{403, {}, "the key " + std::string(asked.header("X-Proxy-Key")) + " is not known"};
    });
    client asking({.option = "uri",
                   .uri = "http://mlflow",
                   .headers = {{"X-Proxy-Key", mt::secret("key-0123456789")}},
                   .workspace = "team-1",
                   .authorization = mt::bearer_authorization(mt::secret("token")),
                   .timeout = std::chrono::seconds(1),
                   .transport = {server}});
    for (const auto method : {mt::http_method::get, mt::http_method::post}) {
        const mt::http_header own[] = {{"Content-Type", "text/plain"}};
        const auto reply = asking.send(method, "/version", own);
        ASSERT_TRUE(reply);
        EXPECT_EQ(asking.refusal("/version", *reply).message().find("key-0123456789"), std::string::npos);
    }
    ASSERT_EQ(server->requests().size(), 2U);
    for (const auto& asked : server->requests()) {
        EXPECT_EQ(asked.header("X-Proxy-Key"), "key-0123456789");
        EXPECT_EQ(asked.header("X-MLFLOW-WORKSPACE"), "team-1");
        EXPECT_EQ(asked.header("Content-Type"), "text/plain");
        EXPECT_EQ(asked.header("Authorization"), "Bearer token");
    }
}

} // namespace
