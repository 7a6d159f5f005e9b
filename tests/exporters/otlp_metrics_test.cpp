// SPDX-License-Identifier: Apache-2.0
// When metrics are sent, and what becomes of what cannot be. otlp_metrics_differential.py looks at the values, and
// tests/collector/ asks a real receiver.
#include "support/sanitized.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

using segment = mt::key<"app.segment">;
using metrics = mt::otlp_metrics<mt::memory_transport, segment, mt::by_tag<"stage">>;
template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;
using tracer_type = tracer_to<metrics>;

class otlp_metrics : public testing::Test {
protected:
    std::shared_ptr<mt::memory_server> receiver = std::make_shared<mt::memory_server>();

    metrics::options options(std::chrono::milliseconds interval = 1h) const {
        return {.interval = interval, .on_notice = nullptr, .transport = {receiver}};
    }
    void answer(int status, std::string type = {}, std::string body = {}) const {
        receiver->answer_with([=](const mt::memory_server::request&) {
            return mt::http_response{status, {{"Content-Type", type}}, body};
        });
    }
    // Two spans, of which one is measured.
    template <class Tracer>
    static void record(Tracer& tracer) {
        auto trace = tracer.start_trace("chat", mt::user{"user-1"}, segment{"pro"}, mt::tag{"stage", "test"});
        tracer.start_span("model", mt::span_type::chat_model).model("m").usage({.input = 3, .output = 5});
    }
    // False once an attempt has failed, however busy the machine is.
    template <class Tracer>
    static bool flush_to_failure(Tracer& tracer) {
        bool is_delivered = false;
        for (int i = 0; i < 1'000 && !is_delivered; ++i) {
            is_delivered = tracer.flush(20ms);
            if (!std::string(tracer.last_error().message()).empty()) break;
        }
        return is_delivered;
    }
    static std::string shown(const mt::span_account& account) {
        return std::to_string(account.exported) + " exported, " + std::to_string(account.failed) + " failed, " +
               std::to_string(account.dropped) + " dropped, " + std::to_string(account.queued) + " queued";
    }
    bool has_sent(std::string_view text, std::size_t number) const {
        return receiver->requests().at(number).body.find(text) != std::string::npos;
    }
};

TEST_F(otlp_metrics, are_sent_at_a_flush_to_their_url) {
    auto chosen = options();
    chosen.metrics_endpoint = "http://collector:4318/own/v1/metrics?a=b";
    chosen.headers = {{"x-api-key", mt::secret("key")}};
    chosen.authorization = mt::bearer_authorization(mt::secret("token"));
    tracer_type tracer({.exporter = chosen});
    EXPECT_TRUE(tracer.flush(1s)) << "nothing to wait for";
    EXPECT_EQ(receiver->request_count(), 0U);
    record(tracer);
    EXPECT_EQ(shown(tracer.account()), "0 exported, 0 failed, 0 dropped, 2 queued");
    EXPECT_TRUE(tracer.flush(30s));
    EXPECT_EQ(shown(tracer.account()), "2 exported, 0 failed, 0 dropped, 0 queued");
    ASSERT_EQ(receiver->request_count(), 1U);
    const auto sent = receiver->requests().front();
    EXPECT_EQ(sent.target, "/own/v1/metrics?a=b");
    EXPECT_EQ(sent.header("Content-Type"), "application/x-protobuf");
    EXPECT_EQ(sent.header("x-api-key"), "key");
    EXPECT_EQ(sent.header("Authorization"), "Bearer token");
    EXPECT_EQ(tracer.last_error().message(), "");
}

TEST_F(otlp_metrics, name_no_user_unless_asked_to) {
    tracer_type tracer({.exporter = options()});
    record(tracer);
    ASSERT_TRUE(tracer.flush(30s));
    EXPECT_TRUE(has_sent("app.segment", 0) && has_sent("stage", 0));
    EXPECT_FALSE(has_sent("user-1", 0) || has_sent("user.id", 0));
    using by_user = mt::otlp_metrics<mt::memory_transport, mt::user, mt::session>;
    tracer_to<by_user> other({.exporter = {.interval = 1h, .transport = {receiver}}});
    record(other);
    ASSERT_TRUE(other.flush(30s));
    EXPECT_TRUE(has_sent("user-1", 1) && has_sent("user.id", 1));
    EXPECT_FALSE(has_sent("session.id", 1)) << "there is none";
}

TEST_F(otlp_metrics, are_sent_again_each_interval_as_long_as_they_are_cumulative) {
    tracer_type tracer({.exporter = options(5ms)});
    record(tracer);
    EXPECT_TRUE(receiver->wait_for_requests(3, 30s)) << "so that no receiver takes the series for ended";
}

TEST_F(otlp_metrics, are_sent_once_as_deltas) {
    auto chosen = options(5ms);
    chosen.temporality = mt::metric_temporality::delta;
    tracer_type tracer({.exporter = chosen});
    record(tracer);
    ASSERT_TRUE(tracer.flush(30s));
    const std::size_t sent = receiver->request_count(); // more than 1 if an interval ended between the spans
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(receiver->request_count(), sent);
    record(tracer);
    EXPECT_TRUE(receiver->wait_for_requests(sent + 1, 30s));
}

TEST_F(otlp_metrics, that_do_not_arrive_are_kept_and_told_of) {
    answer(503, "text/plain", "busy");
    for (const auto temporality : {mt::metric_temporality::cumulative, mt::metric_temporality::delta}) {
        auto chosen = options();
        chosen.temporality = temporality;
        tracer_type tracer({.exporter = chosen});
        record(tracer);
        EXPECT_FALSE(flush_to_failure(tracer));
        EXPECT_EQ(shown(tracer.account()), "0 exported, 0 failed, 0 dropped, 2 queued");
        EXPECT_EQ(tracer.last_error().message(), "http://127.0.0.1:4318 responded 503 to /v1/metrics: busy");
        record(tracer);
        answer(200);
        EXPECT_TRUE(tracer.flush(30s));
        EXPECT_EQ(shown(tracer.account()), "4 exported, 0 failed, 0 dropped, 0 queued");
        answer(503, "text/plain", "busy");
    }
}

TEST_F(otlp_metrics, are_tried_again_while_a_flush_waits) {
    receiver->queue_reply(mt::http_response{503, {}, {}});
    tracer_type tracer({.exporter = options()});
    record(tracer);
    EXPECT_TRUE(tracer.flush(30s));
    EXPECT_EQ(receiver->request_count(), 2U);
}

TEST_F(otlp_metrics, are_not_taken_for_delivered_by_a_login_page) {
    answer(200, "text/html", "<html>log in</html>");
    tracer_type tracer({.exporter = options()});
    record(tracer);
    EXPECT_FALSE(flush_to_failure(tracer));
    EXPECT_EQ(tracer.account().queued, 2U);
    EXPECT_NE(std::string(tracer.last_error().message()).find("login page"), std::string::npos)
        << tracer.last_error().message();
}

TEST_F(otlp_metrics, that_the_receiver_rejects_are_told_of) {
    answer(200, "application/json", R"({"partialSuccess":{"rejectedDataPoints":"2","errorMessage":"too many"}})");
    for (const auto temporality : {mt::metric_temporality::cumulative, mt::metric_temporality::delta}) {
        auto chosen = options();
        chosen.temporality = temporality;
        tracer_type tracer({.exporter = chosen});
        record(tracer);
        const bool is_delta = temporality == mt::metric_temporality::delta;
        EXPECT_EQ(is_delta ? tracer.flush(30s) : flush_to_failure(tracer), is_delta) << "deltas are not sent again";
        EXPECT_EQ(shown(tracer.account()), is_delta ? "0 exported, 2 failed, 0 dropped, 0 queued"
                                                    : "0 exported, 0 failed, 0 dropped, 2 queued");
        EXPECT_EQ(tracer.last_error().message(), "the receiver rejected 2 data points: too many");
    }
}

TEST_F(otlp_metrics, that_are_left_at_the_end_are_told_of) {
    static std::string told;
    answer(503, "text/plain", "busy");
    auto chosen = options();
    chosen.on_notice = [](const std::string& notice) { told = notice; };
    const auto start = std::chrono::steady_clock::now();
    {
        tracer_type tracer({.exporter = chosen});
        record(tracer);
    }
    EXPECT_EQ(told, "otlp_metrics: the values of 2 spans were not delivered: http://127.0.0.1:4318 responded 503 to "
                    "/v1/metrics: busy");
    EXPECT_LT(std::chrono::steady_clock::now() - start, 4s) << "the end gives up at the first failure";
}

TEST_F(otlp_metrics, that_come_after_the_shutdown_are_dropped) {
    tracer_type tracer({.exporter = options()});
    record(tracer);
    EXPECT_TRUE(tracer.shutdown(30s));
    record(tracer);
    EXPECT_TRUE(tracer.flush(30s));
    EXPECT_EQ(shown(tracer.account()), "2 exported, 0 failed, 2 dropped, 0 queued");
}

TEST_F(otlp_metrics, are_not_sent_after_the_shutdown) {
    tracer_type tracer({.exporter = options(5ms)});
    record(tracer);
    EXPECT_TRUE(tracer.shutdown(30s));
    const auto sent = receiver->request_count();
    std::this_thread::sleep_for(50ms);
    EXPECT_LE(receiver->request_count(), sent + 1) << "but for one under way";
}

// A receiver that does not answer until it may.
struct stalled {
    std::mutex lock;
    std::condition_variable may_go;
    bool is_open = false;

    void open() {
        {
            const std::lock_guard guard(lock);
            is_open = true;
        }
        may_go.notify_all();
    }
    mt::http_response answer() {
        std::unique_lock guard(lock);
        may_go.wait_for(guard, 60s, [this] { return is_open; });
        return {200, {}, {}};
    }
};

TEST_F(otlp_metrics, hold_up_neither_who_records_nor_the_end) {
    auto gate = std::make_shared<stalled>();
    receiver->answer_with([gate](const mt::memory_server::request&) { return gate->answer(); });
    const auto start = std::chrono::steady_clock::now();
    {
        auto chosen = options(1ms);
        chosen.shutdown_timeout = 10ms;
        metrics exporter(chosen);
        const auto give = [&] {
            tracer_to<mt::detail::collecting_exporter> tracer;
            record(tracer);
            exporter.export_traces(tracer.exporter().collected);
        };
        give();
        ASSERT_TRUE(receiver->wait_for_requests(1, 30s));
        for (int i = 0; i < 100; ++i) give();
        EXPECT_EQ(exporter.account().queued, 202U);
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, 30s);
    gate->open();
}

TEST_F(otlp_metrics, of_a_fan_out_and_of_a_batch) {
    using both = mt::fan_out<mt::memory_exporter, metrics>;
    tracer_to<both> fanned({.exporter = {.exporters = {mt::batch_options<mt::memory_exporter>{}, options()}}});
    record(fanned);
    EXPECT_TRUE(fanned.flush(30s));
    EXPECT_EQ(shown(fanned.exporter().accounts()[1]), "2 exported, 0 failed, 0 dropped, 0 queued");
    EXPECT_EQ(fanned.exporter().exporter<0>().exporter().take().size(), 1U);
    tracer_to<mt::batch<metrics>> batched({.exporter = {.exporter = options()}});
    record(batched);
    EXPECT_TRUE(batched.flush(30s));
    EXPECT_EQ(receiver->request_count(), 2U);
}

TEST_F(otlp_metrics, of_many_threads_are_all_counted) {
    tracer_type tracer({.exporter = options(1ms)});
    constexpr int each = 500;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int k = 0; k < each; ++k) record(tracer);
        });
    for (std::thread& thread : threads) thread.join();
    EXPECT_TRUE(tracer.flush(30s));
    EXPECT_EQ(tracer.account().exported, 2U * 4 * each);
}

TEST_F(otlp_metrics, of_a_forked_child_are_a_stream_of_their_own) {
    if (is_sanitized) GTEST_SKIP() << "the child may hang, see support/sanitized.hpp";
    tracer_type tracer({.exporter = options()});
    record(tracer);
    const auto instance_of = [&](std::size_t request) {
        const std::string body = receiver->requests().at(request).body;
        constexpr std::string_view key = "service.instance.id";
        return body.substr(body.find(key) + key.size() + 4, 36);
    };
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        record(tracer);
        const bool is_good = tracer.flush(30s) && receiver->request_count() == 1 && tracer.account().queued == 0;
        const std::string instance = is_good ? instance_of(0) : std::string(36, '-');
        ::_exit(::write(ends[1], instance.data(), 36) == 36 ? 0 : 1);
    }
    ::close(ends[1]);
    char instance[36]{};
    EXPECT_EQ(::read(ends[0], instance, 36), 36);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    ASSERT_TRUE(tracer.flush(30s));
    EXPECT_EQ(tracer.account().exported, 2U) << "the parent's own";
    const std::string own = instance_of(0);
    EXPECT_EQ(own[8], '-');
    EXPECT_EQ(instance[8], '-');
    EXPECT_NE(own, std::string(instance, 36));
    ::close(ends[0]);
}

TEST_F(otlp_metrics, keep_the_instance_that_they_are_given) {
    auto chosen = options();
    chosen.resource.emplace_back("service.instance.id", "instance-7");
    tracer_type tracer({.exporter = chosen});
    record(tracer);
    ASSERT_TRUE(tracer.flush(30s));
    EXPECT_TRUE(has_sent("instance-7", 0));
}

// A transport that records by the tracer that it serves.
struct recording_transport {
    struct options {
        std::atomic<tracer_to<mt::otlp_metrics<recording_transport>>*>* tracer = nullptr;
    };
    explicit recording_transport(mt::endpoint, options chosen) : chosen_(chosen) {}
    mt::result<mt::http_response> send(const mt::http_request&) const;

private:
    options chosen_;
};
using self_recording = tracer_to<mt::otlp_metrics<recording_transport>>;
mt::result<mt::http_response> recording_transport::send(const mt::http_request&) const {
    chosen_.tracer->load()->start_trace("send").end();
    return mt::http_response{200, {}, {}};
}

TEST(otlp_metrics_of_a_transport_that_records, come_to_an_end) {
    std::atomic<self_recording*> here{nullptr};
    self_recording tracer({.exporter = {.interval = 1h, .transport = {&here}}});
    here = &tracer;
    tracer.start_trace("chat").end();
    EXPECT_TRUE(tracer.flush(30s));
    const auto account = tracer.account();
    EXPECT_EQ(account.exported, 1U);
    EXPECT_EQ(account.dropped, 1U);
}

TEST_F(otlp_metrics, conform) {
    std::string all;
    for (const std::string& fault : mt::exporter_conformance<metrics>(options()).faults()) all += fault + "\n";
    EXPECT_EQ(all, "");
}

} // namespace
