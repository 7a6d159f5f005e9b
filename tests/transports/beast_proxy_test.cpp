// SPDX-License-Identifier: Apache-2.0
#include "support/environment.hpp"
#include "support/raw_server.hpp"
#include "support/tls_server.hpp"
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
namespace over_beast = mt::detail::over_beast;
using namespace std::chrono_literals;

namespace {

class BeastProxy : public support::environment_test {
protected:
    void SetUp() override {
        environment_test::SetUp();
        for (const char* const name :
             {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "REQUEST_METHOD"})
            set(name, "");
    }

    static auto get(const std::string& url, mt::beast_transport::options options = {}) {
        mt::beast_transport transport(mt::endpoint::parse(url).value(), std::move(options));
        return transport.send({.target = "/version", .timeout = 30s});
    }
    static std::string error_of(const std::string& url) {
        const auto reply = get(url);
        return reply ? "status " + std::to_string(reply->status) : reply.error().message();
    }
};

// A proxy that keeps the heads of the requests, answers those for plain HTTP itself, and leads CONNECT to `port`.
class proxy_server {
public:
    // `before` is written before the answer to CONNECT, and `forged` after it.
    explicit proxy_server(std::uint16_t port = 0, std::string refusal = {}, std::string forged = {},
                          std::string before = {})
        : server_([this, port, refusal, forged, before](raw::peer& peer, int) {
              for (auto request = peer.read_request(); !request.empty(); request = peer.read_request()) {
                  {
                      const std::lock_guard guard(lock_);
                      heads_.push_back(request);
                  }
                  const bool tunnel = request.starts_with("CONNECT ");
                  if (tunnel && !peer.drip(before, 0ms)) return;
                  if (!refusal.empty() || !tunnel) {
                      if (!peer.write(refusal.empty() ? raw::reply(200, "by proxy") : refusal)) return;
                  } else {
                      relay(peer, port, forged);
                      return;
                  }
              }
          }) {}

    std::string address() const { return "127.0.0.1:" + std::to_string(server_.port()); }
    std::vector<std::string> heads() {
        const std::lock_guard guard(lock_);
        return heads_;
    }

private:
    static void relay(raw::peer& client, std::uint16_t port, const std::string& forged) {
        const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        if (::connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
            client.write("HTTP/1.1 200 Connection established\r\n\r\n" + forged)) {
            std::thread back([&] {
                char bytes[4096];
                for (ssize_t count = 0; (count = ::recv(server, bytes, sizeof bytes, 0)) > 0;)
                    if (!client.write({bytes, static_cast<std::size_t>(count)})) break;
                client.shut_down_write();
            });
            for (std::string bytes = client.read_some(); !bytes.empty(); bytes = client.read_some())
                if (::send(server, bytes.data(), bytes.size(), MSG_NOSIGNAL) <= 0) break;
            ::shutdown(server, SHUT_RDWR);
            back.join();
        }
        ::close(server);
    }

    std::mutex lock_;
    std::vector<std::string> heads_;
    raw::server server_;
};

TEST_F(BeastProxy, APlainRequestIsGivenToTheProxyWhole) {
    proxy_server proxy;
    set("http_proxy", "http://user:p%40ss@" + proxy.address() + "/");
    const auto reply = get("http://mlflow.example:5000/a");
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->body, "by proxy");
    ASSERT_EQ(proxy.heads().size(), 1U);
    const auto head = proxy.heads().front();
    EXPECT_TRUE(head.starts_with("GET http://mlflow.example:5000/a/version HTTP/1.1\r\n")) << head;
    EXPECT_NE(head.find("\r\nHost: mlflow.example:5000\r\n"), std::string::npos) << head;
    EXPECT_NE(head.find("\r\nProxy-Authorization: Basic dXNlcjpwQHNz\r\n"), std::string::npos) << head;
}

TEST_F(BeastProxy, AnHttpsServerIsReachedThroughATunnel) {
    const tls::certificate authority("", nullptr);
    const tls::certificate own("DNS:mlflow.example", &authority);
    const tls::server server(own);
    proxy_server proxy(server.port());
    set("HTTPS_PROXY", proxy.address());
    set("HTTP_PROXY", "http://127.0.0.1:9"); // not for https
    const mt::http_header secret[] = {{"Authorization", "Bearer token"}};
    {
        mt::beast_transport transport({"https", "mlflow.example", 443, ""}, {.tls = {.ca_file = authority.file()}});
        for (int i = 0; i < 3; ++i) {
            const auto reply = transport.send({.target = "/version", .headers = secret, .timeout = 30s});
            ASSERT_TRUE(reply) << reply.error().message();
            EXPECT_EQ(reply->body, "mlflow.example");
        }
    }
    EXPECT_EQ(proxy.heads(),
              std::vector<std::string>{"CONNECT mlflow.example:443 HTTP/1.1\r\nHost: mlflow.example:443\r\n\r\n"})
        << "one tunnel, and no token in it";

    mt::beast_transport careful({"https", "other.example", 443, ""}, {.tls = {.ca_file = authority.file()}});
    const auto refused = careful.send({.timeout = 30s});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message().find("hostname mismatch"), std::string::npos) << refused.error().message();
}

// Text that a proxy, or anyone on the way to it, sends before the handshake is not text of the server.
TEST_F(BeastProxy, WhatFollowsTheAnswerToConnectIsNotReadAsTheServersReply) {
    const tls::certificate authority("", nullptr);
    const tls::certificate own("DNS:mlflow.example", &authority);
    const tls::server server(own);
    proxy_server proxy(server.port(), {}, raw::reply(200, "forged"));
    set("https_proxy", proxy.address());
    mt::beast_transport transport({"https", "mlflow.example", 443, ""}, {.tls = {.ca_file = authority.file()}});
    for (int i = 0; i < 2; ++i) {
        const auto reply = transport.send({.target = "/version", .timeout = 30s});
        ASSERT_FALSE(reply) << reply->body;
        EXPECT_EQ(reply.error().kind(), mt::error_kind::connect) << reply.error().message();
        EXPECT_EQ(mt::outcome_of(reply.error()), mt::outcome::wait);
    }
}

// RFC 9110, 15.2: any number of them may come before the final response, also from a proxy that is still connecting.
TEST_F(BeastProxy, InterimAnswersToConnectAreSkipped) {
    const tls::certificate authority("", nullptr);
    const tls::certificate own("DNS:mlflow.example", &authority);
    const tls::server server(own);
    const std::string one = "HTTP/1.1 100 Continue\r\n\r\n";
    for (const std::string& before :
         {one, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + one,
          std::string("HTTP/1.1 102 Processing\r\nContent-Length: 9\r\nConnection: close\r\n\r\n")}) {
        proxy_server proxy(server.port(), {}, {}, before);
        set("https_proxy", proxy.address());
        mt::beast_transport transport({"https", "mlflow.example", 443, ""}, {.tls = {.ca_file = authority.file()}});
        const auto reply = transport.send({.target = "/version", .timeout = 30s});
        ASSERT_TRUE(reply) << before << reply.error().message();
        EXPECT_EQ(reply->body, "mlflow.example");

        proxy_server closed(0, raw::reply(403, "no"), {}, before);
        set("https_proxy", closed.address());
        EXPECT_NE(error_of("https://mlflow.example").find(" responded 403 to CONNECT "), std::string::npos)
            << error_of("https://mlflow.example");
    }
}

TEST_F(BeastProxy, AnAnswerToConnectThatIsNoneIsSaidToBeThat) {
    const auto error_after = [&](const std::string& answer) {
        const raw::server odd([&](raw::peer& peer, int) {
            peer.read_request();
            peer.write(answer);
        });
        set("https_proxy", "127.0.0.1:" + std::to_string(odd.port()));
        return error_of("https://mlflow.example");
    };
    for (const char* const cut : {"", "HTTP/1.1 2", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nVia: a\r\n"})
        EXPECT_TRUE(error_after(cut).ends_with(": connection closed before the response to CONNECT was complete"))
            << cut << ": " << error_after(cut);
    for (const char* const other : {"HTTP/1.1 000 x\r\n\r\n", "HTTP/1.1 200\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n"})
        EXPECT_NE(error_after(other).find(": the response to CONNECT is not HTTP/1: bad "), std::string::npos)
            << other << ": " << error_after(other);
}

TEST_F(BeastProxy, EndlessInterimAnswersToConnectRunIntoTheDeadline) {
    const raw::server endless([](raw::peer& peer, int) {
        peer.read_request();
        while (peer.write("HTTP/1.1 100 Continue\r\n\r\n")) {
        }
    });
    set("https_proxy", "127.0.0.1:" + std::to_string(endless.port()));
    mt::beast_transport transport({"https", "mlflow.example", 443, ""});
    const auto began = std::chrono::steady_clock::now();
    const auto reply = transport.send({.timeout = 300ms});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind(), mt::error_kind::timeout) << reply.error().message();
    EXPECT_LT(std::chrono::steady_clock::now() - began, 10s);
}

TEST_F(BeastProxy, TheOptionSwitchesItOff) {
    proxy_server proxy;
    set("http_proxy", proxy.address());
    set("https_proxy", proxy.address());
    EXPECT_FALSE(get("http://mlflow.invalid", {.use_proxy = false}));
    EXPECT_FALSE(get("https://mlflow.invalid", {.use_proxy = false}));
    EXPECT_TRUE(proxy.heads().empty());
    EXPECT_TRUE(get("http://mlflow.invalid"));
}

// No server has seen the request: what a proxy says of a tunnel is not about what was to be sent.
TEST_F(BeastProxy, NoAnswerOfAProxyFindsFaultWithTheContent) {
    for (int status = 300; status < 600; ++status) {
        if (status % 100 > 31 && status % 50 != 0) continue;
        proxy_server proxy(0, raw::reply(status, "no"));
        set("https_proxy", proxy.address());
        const auto reply = get("https://mlflow.example");
        ASSERT_FALSE(reply) << status;
        EXPECT_EQ(mt::outcome_of(reply.error()), mt::outcome::wait) << status << ": " << reply.error().message();
    }
}

TEST_F(BeastProxy, ErrorsNameTheProxyAndTheRemedyAndNoPassword) {
    proxy_server closed(0, raw::reply(403, "no"));
    set("https_proxy", "http://user:hidden@" + closed.address());
    EXPECT_EQ(error_of("https://mlflow.example"),
              "the proxy " + closed.address() +
                  " of https_proxy responded 403 to CONNECT mlflow.example:443; allow "
                  "mlflow.example:443 on the proxy, or add it to no_proxy");
    proxy_server unknown(0, raw::reply(407, "who?"));
    set("https_proxy", unknown.address());
    EXPECT_EQ(error_of("https://mlflow.example"), "the proxy " + unknown.address() +
                                                      " of https_proxy responded 407 to CONNECT mlflow.example:443; "
                                                      "add credentials: http://user:password@host:port");
    set("http_proxy", "http://127.0.0.1:9");
    EXPECT_TRUE(error_of("http://mlflow.example").starts_with("connect to the proxy 127.0.0.1:9 of http_proxy: "))
        << error_of("http://mlflow.example");
    for (const char* const wrong : {"https://user:hidden@h:1", "socks5://user:hidden@h:1", "http://user:hidden@:1",
                                    "user:hidden%@h:1", "http://user:hidden@h:port", "user:hid den@h h"}) {
        set("http_proxy", wrong);
        const auto told = error_of("http://mlflow.example");
        EXPECT_TRUE(told.starts_with("http_proxy: ")) << told;
        EXPECT_NE(told.find("; write "), std::string::npos) << told;
        EXPECT_EQ(told.find("hidden"), std::string::npos) << told;
    }
}

TEST_F(BeastProxy, WhoNeedsNone) {
    set("http_proxy", "h:1");
    const auto goes_to_proxy = [&](const std::string& url, const std::string& no_proxy) {
        set("no_proxy", no_proxy);
        const auto found = over_beast::find_proxy(mt::endpoint::parse(url).value());
        EXPECT_TRUE(found);
        return found && found->has_value();
    };
    for (const char* const url :
         {"http://localhost", "http://127.0.0.1:5000", "http://127.9.9.9", "http://[::1]:5000"})
        EXPECT_FALSE(goes_to_proxy(url, "")) << url;

    const std::pair<const char*, const char*> exempt[] = {{"http://mlflow", "*"},
                                                          {"http://mlflow", "a, mlflow ,b"},
                                                          {"http://MLflow.Example", "mlflow.example"},
                                                          {"http://a.mlflow.example", "mlflow.example"},
                                                          {"http://a.b.example", ".example"},
                                                          {"http://a.example", "*.example"},
                                                          {"http://mlflow:5000", "mlflow:5000"},
                                                          {"http://10.1.2.3", "10.1.2.3"},
                                                          {"http://10.1.2.3:5000", "10.1.2.3:5000"},
                                                          {"http://10.1.2.3", "192.168.0.0/16,10.0.0.0/8"},
                                                          {"http://[fd00::1]", "fd00::/8"},
                                                          {"http://[fd00::1]", "fd00::1"},
                                                          {"http://[fd00::1]:5", "[fd00::1]:5"}};
    for (const auto& [url, list] : exempt) EXPECT_FALSE(goes_to_proxy(url, list)) << url << ' ' << list;

    const std::pair<const char*, const char*> others[] = {{"http://mlflow", ""},
                                                          {"http://mlflow", ",, ,"},
                                                          {"http://mlflow.example", ".mlflow.example"},
                                                          {"http://notmlflow.example", "mlflow.example"},
                                                          {"http://mlflow:5000", "mlflow:80"},
                                                          {"http://10.1.2.3", "11.0.0.0/8"},
                                                          {"http://10.1.2.3", "10.1.2"},
                                                          {"http://10.1.2.3:5000", "10.1.2.3:80"},
                                                          {"http://[fd00::1]", "fe00::/8"},
                                                          {"http://[fd00::1]", "10.0.0.0/8"},
                                                          {"http://[fd00::1]:5", "[fd00::1]:6"}};
    for (const auto& [url, list] : others) EXPECT_TRUE(goes_to_proxy(url, list)) << url << ' ' << list;
}

TEST_F(BeastProxy, ACgiProgramDoesNotTrustTheHeaderOfAClient) {
    const auto plain = mt::endpoint::parse("http://mlflow").value();
    set("HTTP_PROXY", "h:1");
    EXPECT_TRUE(over_beast::find_proxy(plain)->has_value());
    set("REQUEST_METHOD", "GET");
    EXPECT_FALSE(over_beast::find_proxy(plain)->has_value());
    set("http_proxy", "h:2");
    EXPECT_EQ(over_beast::find_proxy(plain).value()->server.port, 2);
}

} // namespace
