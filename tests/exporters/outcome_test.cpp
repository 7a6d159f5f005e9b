// SPDX-License-Identifier: Apache-2.0
// What is not about the content costs no span: through the exporters, in memory by `retry` and on the disk by
// `spool`.
#include "support/spool_folder.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using kind = mt::error_kind;
using reply = mt::memory_server::reply;

using mlflow_exporter = mt::mlflow_exporter<mt::memory_transport>;
using otlp_exporter = mt::otlp_exporter<mt::memory_transport>;

// Answers as MLflow does, but for the first so many requests that are not about version and experiment.
struct mending_server {
    std::shared_ptr<mt::memory_server> side = std::make_shared<mt::memory_server>();
    std::atomic<int> wrong_for{0};
    std::atomic<int> taken{0};

    mending_server(int times, reply wrong) : wrong_for(times) {
        side->answer_with([this, wrong](const mt::memory_server::request& request) -> reply {
            if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
            if (request.target.find("/experiments/") != std::string::npos)
                return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
            if (--wrong_for >= 0) return wrong;
            ++taken;
            if (request.target == "/v1/traces") return mt::http_response{200, {}, {}};
            return mt::http_response{200, {}, request.body};
        });
    }
};

std::vector<reply> not_about_the_content() {
    std::vector<reply> all;
    for (const kind reason : {kind::bad_request, kind::tls, kind::connect, kind::closed, kind::timeout,
                              kind::bad_reply, kind::other, kind::out_of_memory})
        all.push_back(mt::failure{mt::error{reason, {}, "not today"}});
    for (const int status : {199, 302, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 415, 418, 421, 425,
                             426, 428, 429, 431, 451, 500, 502, 503, 504, 505, 507, 511, 520, 530, 599})
        all.push_back(mt::http_response{status, {}, {}});
    for (const int status : {200, 202, 400, 413, 422, 500, 503})
        all.push_back(mt::http_response{status, {{"Content-Type", "text/html"}}, "<html>Please log in</html>"});
    all.push_back(mt::http_response{200, {{"Content-Type", "application/json"}}, R"({"error":"log in"})"});
    all.push_back(mt::http_response{200, {}, "OK"});
    return all;
}

std::string described(const reply& one) {
    return one ? std::to_string(one->status) + ' ' + one->body : std::to_string(static_cast<int>(one.error().kind()));
}

template <class Exporter>
typename Exporter::options to(const mending_server& server) {
    return {.transport = {server.side}};
}

template <class Tracer>
void expect_nothing_lost(Tracer& tracer, const mending_server& server, const std::string& what) {
    for (int i = 0; i < 5; ++i) static_cast<void>(tracer.start_trace("chat"));
    EXPECT_TRUE(tracer.flush(60s)) << what << tracer.last_error().message();
    const auto spans = tracer.account();
    EXPECT_EQ(spans.exported, 5U) << what << tracer.last_error().message();
    EXPECT_EQ(spans.failed + spans.dropped + spans.queued, 0U) << what;
    EXPECT_GE(server.taken, 1) << what;
}

template <class Exporter>
class delivery : public spool_testing::in_a_folder {};
using exporters = testing::Types<mlflow_exporter, otlp_exporter>;
TYPED_TEST_SUITE(delivery, exporters, );

TYPED_TEST(delivery, from_memory_waits_for_what_is_not_about_the_content) {
    for (const reply& wrong : not_about_the_content()) {
        const mending_server server(4, wrong);
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<TypeParam>>> tracer(
            {.exporter = {.exporter = {.exporter = to<TypeParam>(server),
                                       .first_wait = 1ms,
                                       .longest_wait = 1ms,
                                       .diagnostics = {nullptr}},
                          .delay = 1h,
                          .diagnostics = {nullptr}}});
        expect_nothing_lost(tracer, server, described(wrong));
    }
}

TYPED_TEST(delivery, from_the_disk_waits_for_what_is_not_about_the_content) {
    int number = 0;
    for (const reply& wrong : not_about_the_content()) {
        const mending_server server(4, wrong);
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<TypeParam>> tracer(
            {.exporter = {.exporter = to<TypeParam>(server),
                          .folder = this->folder + std::to_string(number++),
                          .delay = 1ms,
                          .first_wait = 1ms,
                          .longest_wait = 1ms,
                          .diagnostics = {nullptr}}});
        for (int i = 0; i < 5; ++i) static_cast<void>(tracer.start_trace("chat"));
        for (int i = 0; i < 1000 && tracer.account().exported < 5; ++i) static_cast<void>(tracer.flush(1s));
        EXPECT_EQ(tracer.account().exported, 5U) << described(wrong) << tracer.last_error().message();
        EXPECT_EQ(tracer.account().failed, 0U) << described(wrong);
    }
}

TYPED_TEST(delivery, does_not_take_a_page_for_an_answer) {
    mending_server server(1'000'000, mt::http_response{200, {{"Content-Type", "text/html"}}, "<html>log in</html>"});
    mt::tracer<mt::open_schema, mt::thread_local_context, TypeParam> tracer({.exporter = to<TypeParam>(server)});
    static_cast<void>(tracer.start_trace("chat"));
    EXPECT_EQ(tracer.account().exported, 0U);
    EXPECT_NE(tracer.last_error().message().find("with text/html, which does not confirm that anything was stored"),
              std::string::npos)
        << tracer.last_error().message();
}

TYPED_TEST(delivery, counts_what_the_receiver_rejects_and_sends_nothing_again) {
    const mending_server server(
        1, mt::http_response{200,
                             {{"Content-Type", "application/json"}},
                             R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"bad"}})"});
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<TypeParam>>> tracer(
        {.exporter = {.exporter = {.exporter = to<TypeParam>(server), .first_wait = 1ms, .diagnostics = {nullptr}},
                      .delay = 1h,
                      .diagnostics = {nullptr}}});
    for (int i = 0; i < 5; ++i) static_cast<void>(tracer.start_trace("chat"));
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 3U);
    EXPECT_EQ(tracer.account().failed, 2U);
    EXPECT_EQ(server.taken, 0) << "nothing is sent again";
    EXPECT_EQ(tracer.last_error().message(), "the receiver rejected spans: bad");
}

// ---- What a trace needs besides its spans.

TEST(trace_info, makes_a_trace_count_only_when_it_is_stored) {
    for (const char* const wrong :
         {"", "{}", "<html>log in</html>", R"({"trace":{}})",
          R"({"trace":{"trace_info":{"trace_id":"tr-0123456789abcdef0123456789abcdef"}}})"}) {
        auto side = std::make_shared<mt::memory_server>();
        std::atomic<int> infos{0};
        side->answer_with([&](const mt::memory_server::request& request) -> reply {
            if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
            if (request.target.find("/experiments/") != std::string::npos)
                return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
            if (request.target == "/v1/traces") return mt::http_response{200, {}, {}};
            return mt::http_response{200, {}, ++infos < 4 ? wrong : request.body};
        });
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<mlflow_exporter>>> tracer(
            {.exporter = {.exporter = {.exporter = {.transport = {side}},
                                       .first_wait = 1ms,
                                       .longest_wait = 1ms,
                                       .diagnostics = {nullptr}},
                          .delay = 1h,
                          .diagnostics = {nullptr}}});
        for (int i = 0; i < 10; ++i)
            static_cast<void>(
                tracer.start_trace("chat", mt::client_request_id::parse("r-" + std::to_string(i)).value()));
        ASSERT_TRUE(tracer.flush(60s)) << wrong;
        EXPECT_EQ(tracer.account().exported, 10U) << wrong << tracer.last_error().message();
        EXPECT_GE(infos, 13) << wrong;
    }
}

TEST(trace_info, of_many_traces_goes_on_several_connections_after_the_spans) {
    auto side = std::make_shared<mt::memory_server>();
    std::atomic<int> at_once{0}, most{0}, span_requests{0};
    std::atomic<bool> is_early{false};
    side->answer_with([&](const mt::memory_server::request& request) -> reply {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target.find("/experiments/") != std::string::npos)
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        if (request.target == "/v1/traces") return ++span_requests, mt::http_response{200, {}, {}};
        if (span_requests == 0) is_early = true;
        const int now = ++at_once;
        for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
        }
        std::this_thread::sleep_for(5ms);
        --at_once;
        return mt::http_response{200, {}, request.body};
    });
    mt::tracer<mt::open_schema, mt::explicit_context, mt::detail::collecting_exporter> tracer;
    for (int i = 0; i < 40; ++i) tracer.start_trace("chat", mt::client_request_id{"r-1"}).end();
    mlflow_exporter exporter({.transport = {side}, .info_connections = 4});
    const auto outcome = exporter.export_traces(tracer.exporter().collected);
    EXPECT_EQ(outcome.exported_spans, 40U) << outcome.error.message();
    EXPECT_EQ(most, 4);
    EXPECT_EQ(span_requests, 1);
    EXPECT_FALSE(is_early);
}

TEST(trace_info, that_is_interrupted_leaves_a_right_account) {
    auto side = std::make_shared<mt::memory_server>();
    mlflow_exporter exporter({.transport = {side}, .info_connections = 2});
    std::atomic<int> stored{0};
    side->answer_with([&](const mt::memory_server::request& request) -> reply {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target.find("/experiments/") != std::string::npos)
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        if (request.target == "/v1/traces") return mt::http_response{200, {}, {}};
        if (++stored == 10) exporter.interrupt();
        return mt::http_response{200, {}, request.body};
    });
    mt::tracer<mt::open_schema, mt::explicit_context, mt::detail::collecting_exporter> tracer;
    for (int i = 0; i < 100; ++i) tracer.start_trace("chat", mt::client_request_id{"r-1"}).end();
    mt::trace_batch& batch = tracer.exporter().collected;
    const auto outcome = exporter.export_traces(batch);
    EXPECT_EQ(outcome.exported_spans, static_cast<std::size_t>(stored));
    EXPECT_EQ(outcome.exported_spans + outcome.failed_spans, 100U);
    EXPECT_EQ(batch.span_count(), outcome.failed_spans) << "what is stored does not come again";
    EXPECT_EQ(mt::outcome_of(outcome), mt::outcome::wait);
    EXPECT_NE(outcome.error.message().find("stored spans were sent"), std::string::npos) << outcome.error.message();
}

TEST(trace_info, at_fault_costs_its_own_trace_alone) {
    auto side = std::make_shared<mt::memory_server>();
    side->answer_with([](const mt::memory_server::request& request) -> reply {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target.find("/experiments/") != std::string::npos)
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        if (request.target == "/v1/traces") return mt::http_response{200, {}, {}};
        if (request.body.find("r-17\"") != std::string::npos)
            return mt::http_response{400, {}, R"({"message":"no"})"};
        return mt::http_response{200, {}, request.body};
    });
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<mlflow_exporter>>> tracer(
        {.exporter = {.exporter = {.exporter = {.transport = {side}}, .first_wait = 1ms, .diagnostics = {nullptr}},
                      .delay = 1h,
                      .diagnostics = {nullptr}}});
    for (int i = 0; i < 50; ++i)
        static_cast<void>(tracer.start_trace("chat", mt::client_request_id::parse("r-" + std::to_string(i)).value()));
    ASSERT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 49U);
    EXPECT_EQ(tracer.account().failed, 1U);
}

// ---- Credentials.

// Takes only the token of the day, and answers others with 401 and their own token in it.
struct guarded_server {
    std::shared_ptr<mt::memory_server> side = std::make_shared<mt::memory_server>();
    std::atomic<int> token{1};

    guarded_server() {
        side->answer_with([this](const mt::memory_server::request& request) -> reply {
            const std::string given(request.header("Authorization"));
            if (given != "Bearer token-number-" + std::to_string(token))
                return mt::http_response{401, {}, "{\"message\":\"who is " + given + "?\"}"};
            if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
            if (request.target.find("/experiments/") != std::string::npos)
                return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
            return mt::http_response{200, {}, {}};
        });
    }
};

// What a token function may give for a while, between two good tokens.
TEST(credentials, that_cannot_be_sent_are_asked_for_again) {
    const std::vector<std::string> unusable{
        "token-number-2\n", "token-number-2\r\n", "\ntoken-number-2", "tok\0en", "", "token-number-2\x7f", "throw",
        "token-number-1"};
    for (const std::string& bad : unusable)
        for (const int times : {1, 2, 5}) {
            guarded_server server;
            std::atomic<int> asked{0};
            mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<mt::retry<mlflow_exporter>>> tracer(
                {.exporter = {
                     .exporter = {.exporter = {.authorization = [&]() -> mt::secret {
                                                   const int now = asked++;
                                                   if (now == 0)
                                                       return mt::bearer_authorization(mt::secret("token-number-1"));
                                                   if (now > times)
                                                       return mt::bearer_authorization(mt::secret("token-number-2"));
                                                   if (bad == "throw") throw std::runtime_error("no file");
                                                   if (bad.empty()) return mt::secret();
                                                   return mt::bearer_authorization(mt::secret(bad));
                                               },
                                               .transport = {server.side}},
                                  .first_wait = 1ms,
                                  .longest_wait = 1ms,
                                  .diagnostics = {nullptr}},
                     .delay = 1ms,
                     .diagnostics = {nullptr}}});
            static_cast<void>(tracer.start_trace("before"));
            ASSERT_TRUE(tracer.flush(60s));
            server.token = 2;
            static_cast<void>(tracer.start_trace("while the file is written"));
            ASSERT_TRUE(tracer.flush(60s)) << bad << tracer.last_error().message();
            static_cast<void>(tracer.start_trace("after"));
            ASSERT_TRUE(tracer.flush(60s));
            EXPECT_EQ(tracer.account().exported, 3U) << bad << ": " << tracer.last_error().message();
            EXPECT_EQ(tracer.last_error().message().find("token-number"), std::string::npos)
                << tracer.last_error().message();
        }
}

TEST(credentials, are_never_in_what_is_said_of_an_answer_that_echoes_them) {
    guarded_server server;
    server.token = 99;
    for (const auto& authorization : {mt::bearer_authorization(mt::secret("SECRET/token+1=")),
                                      mt::basic_authorization("u", mt::secret("SECRET"))}) {
        mlflow_exporter exporter({.authorization = authorization, .transport = {server.side}});
        const auto connected = exporter.connect();
        ASSERT_FALSE(connected);
        const std::string told = connected.error().message();
        EXPECT_EQ(told.find("SECRET"), std::string::npos) << told;
        EXPECT_EQ(told.find("dTpTRUNSRVQ"), std::string::npos) << told;
        EXPECT_NE(told.find("who is ***?"), std::string::npos) << told;
    }
    server.side->queue_reply(mt::http_response{403, {}, "no key SECRET%2Fkey, nor SECRET/key"});
    otlp_exporter exporter({.headers = {{"x-api-key", mt::secret("SECRET/key")}}, .transport = {server.side}});
    mt::tracer<mt::open_schema, mt::explicit_context, mt::detail::collecting_exporter> tracer;
    tracer.start_trace("chat").end();
    const auto outcome = exporter.export_traces(tracer.exporter().collected);
    EXPECT_EQ(outcome.error.message(), "http://127.0.0.1:4318 responded 403 to /v1/traces: no key ***, nor ***");
}

} // namespace
