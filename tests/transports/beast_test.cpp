// SPDX-License-Identifier: Apache-2.0
#include "support/raw_server.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <fcntl.h>
#include <mutex>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using kind = mt::error_kind;

namespace {

mt::beast_transport transport_to(const std::string& url, mt::beast_transport::options options = {}) {
    return mt::beast_transport(mt::endpoint::parse(url).value(), options);
}

mt::http_request get(std::string_view target = "/") { return {.target = target, .timeout = 2s}; }

void answer_all(raw::peer& peer, int) {
    while (!peer.read_request().empty()) peer.write(raw::reply(200, "ok"));
}

TEST(BeastTransport, WritesTheRequestAsTheServerNeedsIt) {
    std::string seen;
    {
        raw::server server([&](raw::peer& peer, int) {
            seen = peer.read_request();
            peer.write(raw::reply(200, "", "X-Reply: yes\r\n"));
        });
        auto transport = transport_to(server.url() + "/mlflow/");
        const std::array headers = {mt::http_header{"X-Experiment", "7"}, mt::http_header{"Accept", "*/*"}};
        const auto reply = transport.send(
            {mt::http_method::post, "/v1/traces?a=b", headers, std::string_view("body\0bytes", 10), 2s});
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->header("x-reply"), "yes");
        EXPECT_NE(seen.find("\r\nHost: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"), std::string::npos);
    }
    EXPECT_TRUE(seen.starts_with("POST /mlflow/v1/traces?a=b HTTP/1.1\r\n")) << seen;
    EXPECT_NE(seen.find("\r\nUser-Agent: mlflow_trace/" MLFLOW_TRACE_VERSION "\r\n"), std::string::npos);
    EXPECT_NE(seen.find("\r\nX-Experiment: 7\r\n"), std::string::npos);
    EXPECT_NE(seen.find("\r\nContent-Length: 10\r\n"), std::string::npos);
    EXPECT_TRUE(seen.ends_with(std::string_view("\r\n\r\nbody\0bytes", 14)));
}

TEST(BeastTransport, WritesEveryMethod) {
    std::vector<std::string> seen;
    std::mutex mutex;
    raw::server server([&](raw::peer& peer, int) {
        for (auto request = peer.read_request(); !request.empty(); request = peer.read_request()) {
            {
                const std::lock_guard lock(mutex);
                seen.push_back(request.substr(0, request.find(' ')));
            }
            peer.write(raw::reply(200, ""));
        }
    });
    auto transport = transport_to(server.url());
    using enum mt::http_method;
    for (const auto method : {get, post, put, patch, delete_})
        ASSERT_TRUE(transport.send({.method = method, .timeout = 2s}));
    const std::lock_guard lock(mutex);
    EXPECT_EQ(seen, (std::vector<std::string>{"GET", "POST", "PUT", "PATCH", "DELETE"}));
}

TEST(BeastTransport, ARequestMayNameItsOwnUserAgent) {
    std::string seen;
    {
        raw::server server([&](raw::peer& peer, int) {
            seen = peer.read_request();
            peer.write(raw::reply(200, ""));
        });
        auto transport = transport_to(server.url());
        const std::array headers = {mt::http_header{"user-agent", "mine/1"}};
        ASSERT_TRUE(transport.send({.headers = headers, .timeout = 2s}));
    }
    EXPECT_NE(seen.find("user-agent: mine/1\r\n"), std::string::npos);
    EXPECT_EQ(seen.find("mlflow_trace"), std::string::npos);
}

TEST(BeastTransport, KeepsOneConnection) {
    raw::server server(answer_all);
    auto transport = transport_to(server.url());
    for (int i = 0; i < 20; ++i) {
        const auto reply = transport.send(get());
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->body, "ok");
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, KeepsItsConnectionWhenMoved) {
    raw::server server(answer_all);
    auto transport = transport_to(server.url());
    ASSERT_TRUE(transport.send(get()));
    auto moved = std::move(transport);
    ASSERT_TRUE(moved.send(get()));
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, ConnectsAgainWhenEachReplyClosesTheConnection) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(200, "ok", "Connection: close\r\n"));
    });
    auto transport = transport_to(server.url());
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(transport.send(get()));
    EXPECT_EQ(server.connections(), 5);
}

TEST(BeastTransport, ConnectsAgainAfterAnUnannouncedClose) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(200, "ok"));
    });
    auto transport = transport_to(server.url());
    for (int i = 0; i < 5; ++i) {
        const auto reply = transport.send(get());
        ASSERT_TRUE(reply) << reply.error().message();
    }
    EXPECT_EQ(server.connections(), 5);
}

// The close comes while the request is under way, so that only the missing reply tells.
TEST(BeastTransport, SendsOnceMoreWhenAKeptConnectionClosesWithoutAReply) {
    raw::server server([](raw::peer& peer, int number) {
        if (peer.read_request().empty()) return;
        peer.write(raw::reply(200, "first"));
        if (peer.read_request().empty()) return;
        if (number == 0) return peer.reset();
        peer.write(raw::reply(200, "second"));
    });
    auto transport = transport_to(server.url());
    ASSERT_TRUE(transport.send(get()));
    const auto reply = transport.send({.method = mt::http_method::post, .body = "spans", .timeout = 2s});
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->body, "first");
    EXPECT_EQ(server.connections(), 2);
}

TEST(BeastTransport, DoesNotSendAgainOnceAByteOfTheReplyCame) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(200, "ok"));
        if (!peer.read_request().empty()) peer.write("HTTP/1.1 2");
    });
    auto transport = transport_to(server.url());
    ASSERT_TRUE(transport.send(get()));
    const auto reply = transport.send(get());
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind(), kind::closed);
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, BytesThatNobodyAskedForAreNotTakenForAReply) {
    raw::server server([](raw::peer& peer, int) {
        while (!peer.read_request().empty()) peer.write(raw::reply(200, "ok") + raw::reply(500, "stale"));
    });
    auto transport = transport_to(server.url());
    for (int i = 0; i < 3; ++i) {
        const auto reply = transport.send(get());
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->status, 200);
    }
    EXPECT_EQ(server.connections(), 3);
}

TEST(BeastTransport, LateBytesThatNobodyAskedForAreNotTakenForAReply) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(200, "ok"));
        std::this_thread::sleep_for(20ms);
        peer.write(raw::reply(408, ""));
        peer.wait_for_close();
    });
    auto transport = transport_to(server.url());
    ASSERT_TRUE(transport.send(get()));
    std::this_thread::sleep_for(100ms);
    const auto reply = transport.send(get());
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->status, 200);
    EXPECT_EQ(server.connections(), 2);
}

// A server that sends a body with a 204, or more of a body than it announced, and the rest of it only later.
TEST(BeastTransport, TheRestOfAnEarlierReplyOnAKeptConnectionIsNotTheNextReply) {
    for (const std::string& first : {std::string("HTTP/1.1 204 x\r\nContent-Length: 4\r\n\r\n"),
                                     std::string("HTTP/1.1 304 x\r\n\r\n"), raw::reply(200, "")}) {
        raw::server server([&](raw::peer& peer, int number) {
            peer.read_request();
            if (number == 0) {
                peer.write(first);
                peer.read_request();
                peer.write("body");
            }
            peer.write(raw::reply(200, "next"));
            peer.wait_for_close();
        });
        auto transport = transport_to(server.url());
        ASSERT_TRUE(transport.send({.timeout = 30s}));
        const auto reply = transport.send({.timeout = 30s});
        ASSERT_TRUE(reply) << first << reply.error().message();
        EXPECT_EQ(reply->body, "next");
        EXPECT_EQ(server.connections(), 2);
    }
}

// Once, and then the server is at fault.
TEST(BeastTransport, WhatIsNeverAReplyIsAnErrorOnAKeptConnectionToo) {
    raw::server server([](raw::peer& peer, int number) {
        peer.read_request();
        if (number == 0) {
            peer.write(raw::reply(200, ""));
            peer.read_request();
        }
        peer.write("garbage\r\n\r\n");
        peer.wait_for_close();
    });
    auto transport = transport_to(server.url());
    ASSERT_TRUE(transport.send({.timeout = 30s}));
    const auto reply = transport.send({.timeout = 30s});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind(), mt::error_kind::bad_reply) << reply.error().message();
    EXPECT_EQ(server.connections(), 2);
}

TEST(BeastTransport, ReadsRepliesWithoutBody) {
    for (const int status : {204, 304}) {
        raw::server server([status](raw::peer& peer, int) {
            while (!peer.read_request().empty())
                peer.write("HTTP/1.1 " + std::to_string(status) + " x\r\nETag: \"a\"\r\n\r\n");
        });
        auto transport = transport_to(server.url());
        for (int i = 0; i < 2; ++i) {
            const auto reply = transport.send(get());
            ASSERT_TRUE(reply) << reply.error().message();
            EXPECT_EQ(reply->status, status);
            EXPECT_EQ(reply->body, "");
        }
        EXPECT_EQ(server.connections(), 1);
    }
}

TEST(BeastTransport, SkipsInterimReplies) {
    raw::server server([](raw::peer& peer, int) {
        while (!peer.read_request().empty()) {
            peer.write("HTTP/1.1 100 Continue\r\n\r\n");
            std::this_thread::sleep_for(10ms);
            peer.write("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" +
                       raw::reply(201, "done"));
        }
    });
    auto transport = transport_to(server.url());
    for (int i = 0; i < 2; ++i) {
        const auto reply = transport.send({.method = mt::http_method::post, .body = "x", .timeout = 2s});
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->status, 201);
        EXPECT_EQ(reply->body, "done");
        EXPECT_EQ(reply->header("Link"), "");
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, ReturnsRedirectsAndErrorsAsTheyAre) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(raw::reply(302, "", "Location: http://127.0.0.1:1/\r\n"));
        peer.read_request();
        peer.write(raw::reply(503, "busy", "Retry-After: 7\r\n"));
        peer.wait_for_close();
    });
    auto transport = transport_to(server.url());
    const auto redirect = transport.send(get());
    ASSERT_TRUE(redirect);
    EXPECT_EQ(redirect->status, 302);
    const auto busy = transport.send(get());
    ASSERT_TRUE(busy);
    EXPECT_EQ(busy->status, 503);
    EXPECT_EQ(busy->header("retry-after"), "7");
    EXPECT_EQ(busy->body, "busy");
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, ReadsChunkedReplies) {
    raw::server server([](raw::peer& peer, int) {
        while (!peer.read_request().empty()) {
            peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n");
            std::this_thread::sleep_for(10ms);
            peer.write("7\r\n, world\r\n0\r\nX-Trailer: 1\r\n\r\n");
        }
    });
    auto transport = transport_to(server.url());
    for (int i = 0; i < 2; ++i) {
        const auto reply = transport.send(get());
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->body, "hello, world");
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, ReadsAReplyThatEndsWithTheConnection) {
    raw::server server([](raw::peer& peer, int) {
        peer.read_request();
        peer.write("HTTP/1.0 200 OK\r\n\r\nto the end");
    });
    auto transport = transport_to(server.url());
    const auto reply = transport.send(get());
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->body, "to the end");
}

TEST(BeastTransport, ReadsAReplyAsLargeAsAllowedOverAKeptConnection) {
    const std::string body(1'000'000, 'x');
    raw::server server([&](raw::peer& peer, int) {
        while (!peer.read_request().empty()) peer.write(raw::reply(200, body));
    });
    auto transport = transport_to(server.url(), {.max_reply_bytes = body.size()});
    for (int i = 0; i < 3; ++i) {
        const auto reply = transport.send(get());
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->body, body);
    }
    EXPECT_EQ(server.connections(), 1);
}

TEST(BeastTransport, ReachesIpv6) {
    try {
        raw::server server(answer_all, raw::family::v6);
        auto transport = transport_to(server.url());
        const auto reply = transport.send(get());
        ASSERT_TRUE(reply) << reply.error().message();
        auto by_name = transport_to("http://localhost:" + std::to_string(server.port()));
        EXPECT_TRUE(by_name.send(get()));
    } catch (const std::system_error& error) {
        GTEST_SKIP() << "no IPv6 loopback: " << error.what();
    }
}

TEST(BeastTransport, LocalhostFallsBackFromIpv6ToIpv4) {
    raw::server server(answer_all);
    auto transport = transport_to("http://localhost:" + std::to_string(server.port()));
    const auto reply = transport.send(get());
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->body, "ok");
}

// The server's Nagle algorithm holds the body back until the header is acknowledged, which takes 40 ms by default.
TEST(BeastTransport, AcknowledgesAtOnceWhatArrives) {
    raw::server server([](raw::peer& peer, int) {
        while (!peer.read_request().empty()) {
            peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
            peer.write("ok");
        }
    });
    auto transport = transport_to(server.url());
    std::vector<std::chrono::steady_clock::duration> taken;
    for (int i = 0; i < 21; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        ASSERT_TRUE(transport.send(get()));
        taken.push_back(std::chrono::steady_clock::now() - begin);
    }
    std::nth_element(taken.begin(), taken.begin() + 10, taken.end());
    EXPECT_LT(taken[10], 30ms);
}

TEST(BeastTransport, LeavesTheConnectionOfItsParentAlone) {
    raw::server server(answer_all);
    auto transport = transport_to(server.url());
    ASSERT_TRUE(transport.send(get()));
    const auto child = ::fork();
    if (child == 0) ::_exit(transport.send(get()).has_value() ? 0 : 1);
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    EXPECT_EQ(server.connections(), 2);
    EXPECT_TRUE(transport.send(get()));
    EXPECT_EQ(server.connections(), 2);
}

int open_descriptors(bool only_inherited) {
    int count = 0;
    for (int descriptor = 0; descriptor < 256; ++descriptor)
        if (const int flags = ::fcntl(descriptor, F_GETFD); flags >= 0 && !(only_inherited && (flags & FD_CLOEXEC)))
            ++count;
    return count;
}

TEST(BeastTransport, ClosesItsDescriptorsAndLetsNoProgramInheritThem) {
    raw::server server(answer_all);
    const int before = open_descriptors(true);
    {
        auto transport = transport_to(server.url());
        ASSERT_TRUE(transport.send(get()));
        EXPECT_EQ(open_descriptors(true), before);
    }
    raw::server closing([](raw::peer& peer, int) { peer.read_request(); });
    const int all = open_descriptors(false);
    for (int i = 0; i < 20; ++i) ASSERT_FALSE(transport_to(closing.url()).send(get()));
    EXPECT_LE(open_descriptors(false), all + 1); // the last one on the server's side may not be closed yet
}

} // namespace
