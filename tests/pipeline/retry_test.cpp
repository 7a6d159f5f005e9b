// SPDX-License-Identifier: Apache-2.0
#include "support/raw_server.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

using exporter_type = mt::mlflow_exporter<mt::memory_transport>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<exporter_type>>>;

constexpr auto experiment = R"({"experiment":{"experiment_id":"7"}})";
using mt::error;
using mt::error_kind;

tracer_type::options options_for(const std::shared_ptr<mt::memory_server>& side,
                                 std::chrono::milliseconds give_up = 10s) {
    return {.exporter = {.exporter = {.exporter = {.transport = {side}},
                                      .first_wait = 1ms,
                                      .longest_wait = 5ms,
                                      .give_up_after = give_up},
                         .delay = 1ms}};
}

TEST(retry, sends_again_until_the_server_takes_it) {
    auto side = std::make_shared<mt::memory_server>();
    side->queue_reply(mt::failure{error{error_kind::connect, {}, "connect: refused"}});
    side->queue_reply(mt::failure{error{error_kind::timeout, {}, "timeout"}});
    side->queue_reply(mt::http_response{503, {}, {}});
    side->queue_reply(mt::http_response{200, {}, "3.17.2"});
    side->queue_reply(mt::http_response{429, {}, {}});
    side->queue_reply(mt::http_response{200, {}, "3.17.2"});
    side->queue_reply(mt::http_response{200, {}, experiment});
    for (const int status : {503, 502, 504, 408, 429}) side->queue_reply(mt::http_response{status, {}, {}});
    side->queue_reply(mt::failure{error{error_kind::closed, {}, "closed"}});
    side->queue_reply(mt::http_response{200, {}, {}});
    tracer_type tracer(options_for(side));
    {
        auto span = tracer.start_span("span");
    }
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_EQ(tracer.account().failed, 0U);
    EXPECT_EQ(side->request_count(), 14U);
}

TEST(retry, what_another_attempt_cannot_mend_fails_at_once) {
    for (const int status : {400, 413, 422}) {
        auto side = std::make_shared<mt::memory_server>();
        side->queue_reply(mt::http_response{200, {}, "3.17.2"});
        side->queue_reply(mt::http_response{200, {}, experiment});
        side->queue_reply(mt::http_response{status, {}, {}});
        tracer_type tracer(options_for(side));
        {
            auto span = tracer.start_span("span");
        }
        ASSERT_TRUE(tracer.flush(10s));
        EXPECT_EQ(tracer.account().failed, 1U) << status;
        EXPECT_EQ(side->request_count(), 3U) << status;
        EXPECT_NE(tracer.last_error().message().find(std::to_string(status)), std::string::npos);
    }
}

// Credentials, rights, the experiment: someone mends that, and meanwhile nothing is lost.
TEST(retry, keeps_what_the_server_refuses_to_this_client) {
    for (const int status : {401, 403, 404}) {
        auto side = std::make_shared<mt::memory_server>();
        std::atomic<int> refusals{5};
        side->answer_with([&, status](const auto& request) -> mt::memory_server::reply {
            if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
            if (request.target != "/v1/traces") return mt::http_response{200, {}, experiment};
            return mt::http_response{--refusals < 0 ? 200 : status, {}, {}};
        });
        tracer_type tracer(options_for(side));
        {
            auto span = tracer.start_span("span");
        }
        ASSERT_TRUE(tracer.flush(60s));
        EXPECT_EQ(tracer.account().exported, 1U) << status;
        EXPECT_EQ(refusals, -1) << status;
    }
}

// So it is where a request would not even be right: no trace is at fault.
TEST(retry, keeps_what_cannot_be_sent_yet) {
    const mt::http_response version{200, {}, "3.17.2"};
    const mt::http_response not_mlflow{200, {}, "<html>back soon</html>"};
    const mt::http_response found{200, {}, experiment};
    const mt::http_response deleted{200, {}, R"({"experiment":{"experiment_id":"7","lifecycle_stage":"deleted"}})"};
    const mt::http_response gone{404, {}, {}};
    const mt::http_response refused{400, {}, {}};
    auto side = std::make_shared<mt::memory_server>();
    for (const auto& reply : {not_mlflow, version, refused, version, found, gone, version, deleted, version, found})
        side->queue_reply(reply);
    side->queue_reply(mt::http_response{200, {}, {}});
    tracer_type tracer(options_for(side));
    {
        auto span = tracer.start_span("span");
    }
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
    EXPECT_EQ(side->request_count(), 11U);
}

TEST(retry, waits_for_credentials) {
    auto side = std::make_shared<mt::memory_server>();
    side->queue_reply(mt::http_response{200, {}, "3.17.2"});
    side->queue_reply(mt::http_response{200, {}, experiment});
    side->queue_reply(mt::http_response{401, {}, {}});
    auto options = options_for(side);
    options.exporter.exporter.exporter.authorization = [asked = 0]() mutable -> mt::secret {
        if (const int now = asked++; now == 0 || now == 2) throw std::runtime_error("no token today");
        return mt::bearer_authorization(mt::secret("token"));
    };
    tracer_type tracer(options);
    {
        auto span = tracer.start_span("span");
    }
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 1U) << tracer.last_error().message();
}

TEST(retry, waits_as_long_as_the_server_asks) {
    auto side = std::make_shared<mt::memory_server>();
    side->queue_reply(mt::http_response{503, {{"Retry-After", "1"}}, {}});
    side->queue_reply(mt::http_response{200, {}, "3.17.2"});
    side->queue_reply(mt::http_response{200, {}, experiment});
    tracer_type tracer(options_for(side));
    const auto begin = std::chrono::steady_clock::now();
    {
        auto span = tracer.start_span("span");
    }
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 1s);
    EXPECT_EQ(tracer.account().exported, 1U);
}

TEST(retry, gives_up_in_the_end_and_counts) {
    auto side = std::make_shared<mt::memory_server>();
    side->answer_with([](const auto&) -> mt::memory_server::reply { return mt::http_response{503, {}, "busy"}; });
    tracer_type tracer(options_for(side, 50ms));
    {
        auto span = tracer.start_span("span");
    }
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_GT(side->request_count(), 3U);
}

TEST(retry, does_not_hold_up_the_end_of_the_program) {
    auto side = std::make_shared<mt::memory_server>();
    side->answer_with(
        [](const auto&) -> mt::memory_server::reply { return mt::http_response{503, {{"Retry-After", "600"}}, {}}; });
    const auto begin = std::chrono::steady_clock::now();
    {
        auto options = options_for(side, std::chrono::hours(1));
        options.shutdown_timeout = options.exporter.shutdown_timeout = 50ms;
        tracer_type tracer(std::move(options));
        {
            auto span = tracer.start_span("span");
        }
        EXPECT_FALSE(tracer.flush(20ms));
        EXPECT_EQ(tracer.account().queued, 1U);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 5s);
}

TEST(retry, without_end_is_a_wait_too) {
    constexpr auto ever = std::chrono::milliseconds::max();
    mt::detail::backoff waits(ever, ever);
    for (int i = 0; i < 100; ++i) EXPECT_GT(waits.next(0ms), std::chrono::hours(24 * 365));
}

// Takes all but the last for itself, as an exporter may, and says that there was no room for that one.
struct hoarding_exporter {
    struct options {};
    explicit hoarding_exporter(options) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome{.error = {mt::error_kind::other, {}, "later"}, .retryable = true};
        while (batch.size() > 1) {
            hoard.push_back(batch.pop_front());
            ++outcome.exported_spans;
        }
        if (++attempts == 3) {
            hoard.append(std::move(batch));
            return {.exported_spans = 1};
        }
        outcome.failed_spans = batch.span_count();
        return outcome;
    }
    mt::trace_batch hoard;
    int attempts = 0;
};

TEST(retry, counts_once_what_an_exporter_keeps) {
    for (const auto give_up : {10s, 0s}) {
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<hoarding_exporter>>> tracer(
            {.exporter = {.exporter = {.first_wait = 1ms, .give_up_after = give_up},
                          .delay = std::chrono::hours(1)}});
        for (int i = 0; i < 10; ++i) auto span = tracer.start_span("span");
        ASSERT_TRUE(tracer.flush(60s));
        EXPECT_EQ(tracer.account().exported, give_up == 0s ? 9U : 10U);
        EXPECT_EQ(tracer.account().failed, give_up == 0s ? 1U : 0U);
    }
}

TEST(retry, a_page_is_known_while_an_export_does_not_come_back) {
    auto side = std::make_shared<mt::memory_server>();
    std::atomic<bool> hangs{false};
    std::atomic<bool> is_hanging{false};
    side->answer_with([&](const auto& request) -> mt::memory_server::reply {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target == "/v1/traces")
            for (is_hanging = hangs.load(); hangs;) std::this_thread::sleep_for(1ms);
        return mt::http_response{200, {}, experiment};
    });
    tracer_type tracer(options_for(side));
    static_cast<void>(tracer.start_trace("before"));
    ASSERT_TRUE(tracer.flush(60s));
    hangs = true;
    static_cast<void>(tracer.start_trace("hangs"));
    while (!is_hanging) std::this_thread::sleep_for(1ms);
    EXPECT_NE(tracer.start_trace("meanwhile").url(), "");
    hangs = false;
}

// A server that is away for a while, over real HTTP: nothing is lost.
TEST(retry, an_outage_loses_nothing) {
    const auto answer = [](raw::peer& peer, int) {
        for (std::string head; !(head = peer.read_request()).empty();) {
            if (head.find("/version") != std::string::npos) peer.write(raw::reply(200, "3.17.2"));
            else if (head.find("get-by-name") != std::string::npos) peer.write(raw::reply(200, experiment));
            else peer.write(raw::reply(200, ""));
        }
    };
    using over_http = mt::mlflow_exporter<mt::beast_transport>;
    std::string url;
    std::uint16_t port = 0;
    { // a port where nobody listens any more
        raw::server gone(answer);
        url = gone.url();
        port = gone.port();
    }
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<over_http>>> tracer(
        {.exporter = {.exporter = {.exporter = {.tracking_uri = url}, .first_wait = 5ms, .longest_wait = 20ms},
                      .delay = 1ms}});
    for (int i = 0; i < 50; ++i) auto span = tracer.start_span("during the outage");
    EXPECT_FALSE(tracer.flush(100ms));
    EXPECT_EQ(tracer.account().exported, 0U);
    EXPECT_NE(tracer.last_error().message().find("refused"), std::string::npos) << tracer.last_error().message();
    raw::server back(answer, raw::family::v4, port);
    EXPECT_TRUE(tracer.flush(20s));
    EXPECT_EQ(tracer.account().exported, 50U);
    EXPECT_EQ(tracer.account().failed, 0U);
}

} // namespace
