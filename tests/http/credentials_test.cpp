// SPDX-License-Identifier: Apache-2.0
// Credentials that a function gives, to a server over the loopback whose tokens change.
#include "support/raw_server.hpp"
#include "support/sanitized.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

namespace mt = mlflow::trace;

using exporter = mt::mlflow_exporter<mt::beast_transport>;
using client = mt::client<mt::beast_transport>;

// Answers as MLflow does, to those who have the token of the day.
class guarded_server {
public:
    std::string url() const { return server_.url(); }
    void accept_only(std::string token) {
        const std::lock_guard guard(lock_);
        token_ = std::move(token);
    }
    // What was asked since, each with the status that it got.
    std::vector<std::string> take_log() {
        const std::lock_guard guard(lock_);
        return std::exchange(log_, {});
    }

private:
    std::string answer(const std::string& request) {
        const std::lock_guard guard(lock_);
        const bool good = request.find("\r\nAuthorization: Bearer " + token_ + "\r\n") != std::string::npos;
        const auto path = request.find(' ') + 1;
        log_.push_back((good ? "200 " : "401 ") + request.substr(path, request.find_first_of(" ?", path) - path));
        if (!good) return raw::reply(401, R"({"message":"who are you?"})");
        if (request.find(" /version ") != std::string::npos) return raw::reply(200, "3.17.2");
        if (request.find(" /v1/traces ") != std::string::npos) return raw::reply(200, "");
        return raw::reply(200, R"({"experiment":{"experiment_id":"7","name":"Default","lifecycle_stage":"active"}})");
    }

    std::mutex lock_;
    std::string token_ = "token-1";
    std::vector<std::string> log_;
    raw::server server_{[this](raw::peer& peer, int) {
        for (;;) {
            const std::string request = peer.read_request();
            if (request.empty() || !peer.write(answer(request))) return;
        }
    }};
};

// Gives token-1, token-2, … and counts.
struct rotating {
    std::shared_ptr<std::atomic<int>> given = std::make_shared<std::atomic<int>>(0);
    mt::secret operator()() const {
        return mt::bearer_authorization(mt::secret("token-" + std::to_string(++*given)));
    }
};

std::string connect(exporter& to) {
    const auto connected = to.connect();
    return connected ? "connected to " + connected->experiment_id : connected.error().message();
}

const std::string experiment = "/api/2.0/mlflow/experiments/get-by-name";

TEST(credentials, are_asked_for_at_the_first_request_and_after_a_refusal) {
    guarded_server server;
    const rotating tokens;
    exporter to({.tracking_uri = server.url(), .authorization = tokens});
    EXPECT_EQ(*tokens.given, 0);
    EXPECT_EQ(connect(to), "connected to 7");
    EXPECT_EQ(*tokens.given, 1);
    EXPECT_EQ(server.take_log(), (std::vector<std::string>{"200 /version", "200 " + experiment}));

    server.accept_only("token-2"); // the first has expired
    mt::tracer<mt::open_schema, mt::explicit_context, mt::detail::collecting_exporter> tracer;
    tracer.start_trace("chat", mt::user{"user-1042"}).end();
    EXPECT_EQ(to.export_traces(tracer.exporter().collected).exported_spans, 1U);
    EXPECT_EQ(*tokens.given, 2);
    EXPECT_EQ(server.take_log(), (std::vector<std::string>{"401 /v1/traces", "200 /v1/traces"}));
    EXPECT_EQ(to.export_traces(tracer.exporter().collected).exported_spans, 1U);
    EXPECT_EQ(*tokens.given, 2);
    EXPECT_EQ(server.take_log(), std::vector<std::string>{"200 /v1/traces"});
}

TEST(credentials, are_shared_by_exporter_and_client) {
    guarded_server server;
    const rotating tokens;
    const mt::credentials shared = tokens;
    exporter to({.tracking_uri = server.url(), .authorization = shared});
    client from({.tracking_uri = server.url(), .authorization = shared});
    EXPECT_EQ(connect(to), "connected to 7");
    EXPECT_TRUE(from.experiment_by_name("Default"));
    EXPECT_EQ(*tokens.given, 1);
    server.accept_only("token-2");
    EXPECT_TRUE(from.experiment_by_name("Default"));
    exporter other({.tracking_uri = server.url(), .authorization = shared});
    EXPECT_EQ(connect(other), "connected to 7");
    EXPECT_EQ(*tokens.given, 2);
}

TEST(credentials, are_asked_for_once_by_many_who_are_refused_at_once) {
    guarded_server server;
    const rotating tokens;
    const mt::credentials shared = tokens;
    ASSERT_TRUE(shared.current());
    server.accept_only("token-2");
    std::vector<std::thread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            client from({.tracking_uri = server.url(), .authorization = shared});
            if (from.experiment_by_name("Default")) ++good;
        });
    for (auto& each : threads) each.join();
    EXPECT_EQ(good, 8);
    EXPECT_EQ(*tokens.given, 2);
}

TEST(credentials, that_stay_refused_are_an_error_and_no_loop) {
    guarded_server server;
    server.accept_only("another");
    const rotating tokens;
    exporter changing({.tracking_uri = server.url(), .authorization = tokens});
    EXPECT_EQ(connect(changing), server.url() + " responded 401 to /version: who are you?");
    EXPECT_EQ(server.take_log().size(), 2U);
    const auto same = [] { return mt::bearer_authorization(mt::secret("old")); };
    exporter constant({.tracking_uri = server.url(), .authorization = same});
    EXPECT_EQ(connect(constant), server.url() + " responded 401 to /version: who are you?");
    EXPECT_EQ(server.take_log().size(), 1U) << "the same value is not tried again";
    exporter fixed({.tracking_uri = server.url(), .authorization = mt::bearer_authorization(mt::secret("old"))});
    EXPECT_EQ(connect(fixed), server.url() + " responded 401 to /version: who are you?");
    EXPECT_EQ(server.take_log().size(), 1U);
}

TEST(credentials, that_cannot_be_had_are_an_error) {
    guarded_server server;
    const auto told = [&](mt::credentials authorization) {
        exporter to({.tracking_uri = server.url(), .authorization = std::move(authorization)});
        return connect(to);
    };
    EXPECT_EQ(told([] { return mt::secret(); }), "authorization: the function returned an empty value");
    EXPECT_EQ(told([]() -> mt::secret { throw std::runtime_error("no file"); }), "authorization: no file");
    EXPECT_EQ(told([]() -> mt::secret { throw 1; }),
              "authorization: the function threw something other than a std::exception");
    EXPECT_EQ(told([]() -> mt::result<mt::secret> {
                  return mt::failure{mt::error{mt::error_kind::timeout, {}, "the vault is away"}};
              }),
              "the vault is away");
    EXPECT_TRUE(server.take_log().empty());
    EXPECT_EQ(told([] { return mt::bearer_authorization(mt::secret("token-1\n")); }),
              "authorization: the function returned a value with a control character, such as a newline; remove it");
    EXPECT_EQ(told([] { return mt::bearer_authorization(mt::secret("token-1")); }), "connected to 7");
}

// The thread that asks is not in the child.
TEST(credentials, a_fork_while_a_function_gives_them_leaves_the_child_its_own_turn) {
    if (is_sanitized) GTEST_SKIP() << "in the child their locks stay as they are";
    std::atomic<bool> is_asking{false};
    const mt::credentials given([&is_asking] {
        is_asking = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return mt::bearer_authorization(mt::secret("token"));
    });
    std::thread asks([&given] { EXPECT_TRUE(given.current()); });
    while (!is_asking) std::this_thread::yield();
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20); // a child that hangs is a failure, not a test that hangs
        const auto own = given.current();
        ::_exit(own && own->reveal() == "Bearer token" && given.current() ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    asks.join();
    EXPECT_TRUE(given.current());
}

} // namespace
