// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using kind = mt::error_kind;

namespace {

const mt::endpoint somewhere = mt::endpoint::parse("http://127.0.0.1:5000/mlflow").value();

TEST(MemoryTransport, RemembersWhatWasSentWithItsOwnText) {
    auto server = std::make_shared<mt::memory_server>();
    mt::memory_transport transport(somewhere, {.server = server});
    {
        std::string body = "spans", value = "7";
        const std::array headers = {mt::http_header{"X-Experiment", value}};
        ASSERT_TRUE(transport.send({mt::http_method::post, "/v1/traces", headers, body, 5s}));
        body = "gone!";
        value = "8";
    }
    const auto requests = server->requests();
    ASSERT_EQ(requests.size(), 1U);
    EXPECT_EQ(requests[0].method, mt::http_method::post);
    EXPECT_EQ(requests[0].target, "/mlflow/v1/traces");
    EXPECT_EQ(requests[0].header("x-experiment"), "7");
    EXPECT_EQ(requests[0].header("x-other"), "");
    EXPECT_EQ(requests[0].body, "spans");
    EXPECT_EQ(requests[0].timeout, 5s);
}

TEST(MemoryTransport, AnswersFromTheQueueThenByTheCallableThenBy200) {
    mt::memory_transport transport(somewhere);
    ASSERT_TRUE(transport.server());
    EXPECT_EQ(transport.send({}).value().status, 200);

    // Move-only, so that any callable will do.
    transport.server()->answer_with([count = std::make_unique<int>(0)](const mt::memory_server::request& request) {
        return mt::http_response{201, {{"X-Count", std::to_string(++*count)}}, request.body};
    });
    transport.server()->queue_reply(mt::http_response{503, {{"Retry-After", "1"}}, {}});
    transport.server()->queue_reply(mt::failure{mt::error{kind::closed, {}, "cut"}});
    const auto busy = transport.send({});
    EXPECT_EQ(busy.value().status, 503);
    EXPECT_EQ(busy.value().header("retry-after"), "1");
    EXPECT_EQ(transport.send({}).error().message(), "cut");
    EXPECT_EQ(transport.send({.body = "a"}).value().body, "a");
    EXPECT_EQ(transport.send({.body = "b"}).value().header("x-count"), "2");
    EXPECT_EQ(transport.server()->request_count(), 5U);
}

TEST(MemoryTransport, TheCallableMayFailLookAtTheServerAndThrow) {
    mt::memory_transport transport(somewhere);
    auto& server = *transport.server();
    server.answer_with([&](const mt::memory_server::request&) -> mt::memory_server::reply {
        if (server.request_count() == 1) return mt::failure{mt::error{kind::timeout, {}, "slow"}};
        throw std::runtime_error("broken");
    });
    EXPECT_EQ(transport.send({}).error().kind(), kind::timeout);
    EXPECT_THROW((void)transport.send({}), std::runtime_error);
}

TEST(MemoryTransport, RefusesWhatANetworkTransportRefuses) {
    mt::memory_transport transport(somewhere);
    const std::array headers = {mt::http_header{"X-Session", "a\r\nX-Admin: true"}};
    EXPECT_EQ(transport.send({.headers = headers}).error().kind(), kind::bad_request);
    EXPECT_EQ(transport.server()->request_count(), 0U);
}

TEST(MemoryTransport, SharesAServerBetweenThreads) {
    auto server = std::make_shared<mt::memory_server>();
    EXPECT_FALSE(server->wait_for_requests(1, 10ms));
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([server] {
            mt::memory_transport transport(somewhere, {.server = server});
            for (int k = 0; k < 250; ++k) EXPECT_TRUE(transport.send({.body = "x"}));
        });
    EXPECT_TRUE(server->wait_for_requests(1000, 10s));
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(server->requests().size(), 1000U);
}

} // namespace
