// SPDX-License-Identifier: Apache-2.0
// Threads that end in the middle: by pthread_cancel, wherever they are in the library or in the application's code
// that it runs, and by pthread_exit. The program goes on, and so does the recording.
#include "support/raw_server.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <functional>
#include <pthread.h>
#include <semaphore>
#include <string>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

// A thread that is cancelled once it has said where it is.
class cancelled_thread {
public:
    explicit cancelled_thread(std::function<void(cancelled_thread&)> run) : run_(std::move(run)) {
        const auto start = [](void* self) -> void* {
            auto& here = *static_cast<cancelled_thread*>(self);
            here.run_(here);
            return nullptr;
        };
        EXPECT_EQ(pthread_create(&thread_, nullptr, start, this), 0);
    }

    // On the thread: from here on it may be cancelled. `pass` makes it go on only once it has been.
    void is_there() { there_.release(); }
    void wait_for_cancellation() { cancelled_.acquire(); }

    // Whether it ended by that.
    bool cancel() {
        there_.acquire();
        EXPECT_EQ(pthread_cancel(thread_), 0);
        cancelled_.release();
        void* outcome = nullptr;
        EXPECT_EQ(pthread_join(thread_, &outcome), 0);
        return outcome == PTHREAD_CANCELED;
    }

private:
    std::function<void(cancelled_thread&)> run_;
    std::binary_semaphore there_{0};
    std::binary_semaphore cancelled_{0};
    pthread_t thread_{};
};

template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;

template <class Tracer>
void expect_balance(Tracer& tracer, std::size_t exported) {
    EXPECT_TRUE(tracer.flush(10s));
    const auto account = tracer.account();
    EXPECT_EQ(account.exported, exported);
    EXPECT_EQ(account.started, account.exported + account.failed + account.dropped);
    EXPECT_EQ(account.open, 0U);
}

TEST(cancellation, ends_the_spans_of_the_thread) {
    tracer_to<mt::memory_exporter> tracer;
    cancelled_thread thread([&](cancelled_thread& self) {
        auto trace = tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"});
        auto span = tracer.start_span("waits");
        self.is_there();
        for (;;) ::pause();
    });
    EXPECT_TRUE(thread.cancel());
    expect_balance(tracer, 2);
    auto after = tracer.start_span("after");
}

TEST(cancellation, passes_through_what_runs_a_function) {
    tracer_to<mt::memory_exporter> tracer;
    cancelled_thread traced([&](cancelled_thread& self) {
        mt::traced<"waits">(tracer, [&] {
            self.is_there();
            for (;;) ::pause();
        })();
    });
    EXPECT_TRUE(traced.cancel());
    cancelled_thread run([&](cancelled_thread& self) {
        tracer.start_span("run").run([&] {
            self.is_there();
            for (;;) ::pause();
        });
    });
    EXPECT_TRUE(run.cancel());
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    for (const auto& trace : traces) {
        EXPECT_EQ(trace.spans.at(0).code, mt::status::error);
        EXPECT_EQ(trace.spans.at(0).status_message, "ended with its thread");
    }
}

TEST(cancellation, passes_through_a_thread_that_exits_by_itself) {
    tracer_to<mt::memory_exporter> tracer;
    auto exits = mt::traced<"exits">(tracer, [] { pthread_exit(nullptr); });
    pthread_t thread{};
    ASSERT_EQ(pthread_create(
                  &thread, nullptr,
                  [](void* run) -> void* {
                      (*static_cast<decltype(exits)*>(run))();
                      return nullptr;
                  },
                  &exits),
              0);
    EXPECT_EQ(pthread_join(thread, nullptr), 0);
    expect_balance(tracer, 1);
}

// What the application's code does meanwhile is a place to be cancelled at, but not here.
TEST(cancellation, waits_for_code_that_makes_a_value) {
    tracer_to<mt::memory_exporter> tracer;
    cancelled_thread thread([&](cancelled_thread& self) {
        auto span = tracer.start_span("span");
        span.attribute("slow", [&] {
            self.is_there();
            self.wait_for_cancellation();
            ::usleep(1); // a place where threads are cancelled
            return "made";
        });
        for (;;) ::pause();
    });
    EXPECT_TRUE(thread.cancel());
    const auto traces = tracer.exporter().take();
    EXPECT_EQ(traces.at(0).spans.at(0).attributes["slow"], "made");
}

struct waiting_exporter {
    struct options {
        cancelled_thread** thread = nullptr;
    };
    explicit waiting_exporter(options chosen) : thread(chosen.thread) {}
    mt::export_result export_traces(mt::trace_batch& batch) const {
        if (*thread) {
            (*thread)->is_there();
            (*thread)->wait_for_cancellation();
            ::usleep(1);
        }
        return {.exported_spans = batch.span_count()};
    }
    cancelled_thread** thread;
};

TEST(cancellation, waits_for_an_exporter) {
    cancelled_thread* current = nullptr;
    tracer_to<waiting_exporter> tracer({.exporter = {&current}});
    cancelled_thread thread([&](cancelled_thread& self) {
        current = &self;
        tracer.start_span("exported").end();
        for (;;) ::pause();
    });
    EXPECT_TRUE(thread.cancel());
    current = nullptr;
    expect_balance(tracer, 1);
}

class in_a_folder : public testing::Test {
protected:
    std::string folder =
        std::filesystem::temp_directory_path() / ("mlflow_trace-cancellation-" + std::to_string(::getpid()));
    void SetUp() override { std::filesystem::create_directory(folder); }
    void TearDown() override { std::filesystem::remove_all(folder); }

    // Cancels threads anywhere in their recording. All of what each had recorded is whole.
    template <class Tracer>
    static void cancel_many(Tracer& tracer) {
        for (int round = 0; round < 20; ++round) {
            cancelled_thread thread([&](cancelled_thread& self) {
                for (int i = 0;; ++i) {
                    auto trace = tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"});
                    tracer.start_span("inner").inputs("x");
                    if (i == round) self.is_there();
                    pthread_testcancel();
                }
            });
            EXPECT_TRUE(thread.cancel());
        }
        EXPECT_TRUE(tracer.flush(10s));
        const auto account = tracer.account();
        EXPECT_EQ(account.exported, account.started);
        EXPECT_EQ(account.open + account.queued + account.failed + account.dropped, 0U);
    }
};
using cancellation_among_files = in_a_folder;

TEST_F(cancellation_among_files, leaves_whole_lines) {
    tracer_to<mt::json_lines_exporter> tracer({.exporter = {.path = folder + "/traces.jsonl"}});
    cancel_many(tracer);
    std::ifstream file(folder + "/traces.jsonl");
    std::size_t lines = 0;
    for (std::string line; std::getline(file, line); ++lines) EXPECT_TRUE(line.ends_with('}'));
    EXPECT_EQ(lines * 2, tracer.account().exported);
}

TEST_F(cancellation_among_files, loses_nothing_of_a_spool) {
    using exporter = mt::spool<mt::memory_exporter>;
    tracer_to<exporter> tracer(
        {.exporter = {.folder = folder + "/spool", .durability = mt::spool_durability::power_loss, .delay = 1ms}});
    cancel_many(tracer);
}

TEST_F(cancellation_among_files, loses_nothing_of_a_queue_that_is_waited_for) {
    using exporter = mt::batch<mt::memory_exporter>;
    tracer_to<exporter> tracer(
        {.exporter = {.max_queue_spans = 4, .when_full = mt::when_full::wait, .max_wait = 10s, .delay = 1ms}});
    cancel_many(tracer);
}

// A thread that asks the exporter itself.
template <class Exporter, class Wait>
void expect_wait_survives_cancellation(typename tracer_to<Exporter>::options options, const Wait& wait) {
    options.shutdown_timeout = 1ms;
    tracer_to<Exporter> tracer(std::move(options));
    tracer.start_span("one").end();
    cancelled_thread thread([&](cancelled_thread& self) {
        self.is_there();
        wait(tracer.exporter());
        self.wait_for_cancellation();
        pthread_testcancel();
    });
    EXPECT_TRUE(thread.cancel());
    EXPECT_EQ(tracer.account().started, tracer.account().queued) << "nothing is locked";
}

struct absent_exporter {
    mt::export_result export_traces(mt::trace_batch& batch) {
        return {.failed_spans = batch.span_count(),
                .error = mt::error(mt::error_kind::connect, {}, "away"),
                .retryable = true};
    }
};

TEST(cancellation, waits_for_whoever_asks_an_exporter_itself) {
    const auto soon = [] { return std::chrono::steady_clock::now() + 300ms; };
    using batch = mt::batch<mt::retry<absent_exporter>>;
    const batch::options options{.shutdown_timeout = 1ms, .diagnostics = {.write = nullptr}};
    expect_wait_survives_cancellation<batch>({.exporter = options}, [&](batch& to) { to.flush(soon()); });
    expect_wait_survives_cancellation<batch>({.exporter = options}, [&](batch& to) { to.shutdown(soon()); });
}

TEST_F(cancellation_among_files, waits_for_whoever_asks_a_spool_itself) {
    const auto soon = [] { return std::chrono::steady_clock::now() + 300ms; };
    using spool = mt::spool<absent_exporter>;
    const spool::options options{
        .folder = folder + "/spool", .first_wait = 10s, .shutdown_timeout = 1ms, .diagnostics = {.write = nullptr}};
    expect_wait_survives_cancellation<spool>({.exporter = options}, [&](spool& to) { to.flush(soon()); });
    expect_wait_survives_cancellation<spool>({.exporter = options}, [&](spool& to) { to.recover(soon()); });
}

// An exporter on the recording thread, and the client, wait for a server that does not answer.
TEST(cancellation, waits_for_a_request_under_way) {
    cancelled_thread* current = nullptr;
    raw::server server([&](raw::peer& peer, int) {
        peer.read_request();
        current->is_there();
        peer.wait_for_close();
    });
    tracer_to<mt::otlp_exporter<mt::beast_transport>> tracer(
        {.exporter = {.traces_endpoint = server.url() + "/v1/traces", .timeout = 200ms}});
    cancelled_thread records([&](cancelled_thread& self) {
        current = &self;
        tracer.start_span("sent").end();
        for (;;) ::pause();
    });
    EXPECT_TRUE(records.cancel());
    EXPECT_EQ(tracer.account().failed, 1U);

    cancelled_thread asks([&](cancelled_thread& self) {
        current = &self;
        mt::client<mt::beast_transport> client(
            {.tracking_uri = server.url(), .experiment_id = "1", .timeout = 200ms, .connections = 2});
        static_cast<void>(mt::find_all(client, {}));
        static_cast<void>(client.get("tr-1"));
        for (;;) ::pause();
    });
    EXPECT_TRUE(asks.cancel());
}

} // namespace
