// SPDX-License-Identifier: Apache-2.0
// Signals of the application: its handlers run on its own threads, and a handler that interrupts a recording thread
// costs no span.
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <memory>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

constinit std::atomic<int> handled{0};

class handler {
public:
    handler() {
        struct sigaction chosen{};
        chosen.sa_handler = [](int) { handled.fetch_add(1); }; // without SA_RESTART: calls are interrupted
        ::sigaction(SIGUSR1, &chosen, &before_);
        handled = 0;
    }
    handler(const handler&) = delete;
    handler& operator=(const handler&) = delete;
    ~handler() { ::sigaction(SIGUSR1, &before_, nullptr); }

private:
    struct sigaction before_{};
};

bool is_blocked_here(int signal) {
    sigset_t blocked;
    pthread_sigmask(SIG_BLOCK, nullptr, &blocked);
    return sigismember(&blocked, signal) == 1;
}

// On which threads it is called.
struct looking_exporter {
    struct options {};
    explicit looking_exporter(options) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        takes_signals = !is_blocked_here(SIGUSR1) || !is_blocked_here(SIGINT) || !is_blocked_here(SIGTERM);
        takes_faults = !is_blocked_here(SIGSEGV) && !is_blocked_here(SIGBUS) && !is_blocked_here(SIGPROF);
        return {.exported_spans = batch.span_count()};
    }
    std::atomic<bool> takes_signals{true};
    std::atomic<bool> takes_faults{false};
};

template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;

class signals : public testing::Test {
protected:
    std::string folder =
        std::filesystem::temp_directory_path() / ("mlflow_trace-signals-" + std::to_string(::getpid()));
    handler counting;
    void TearDown() override { std::filesystem::remove_all(folder); }
};

TEST_F(signals, are_not_for_the_threads_of_the_library) {
    tracer_to<mt::batch<looking_exporter, 2>> batched({.exporter = {.delay = 1ms}});
    tracer_to<mt::spool<looking_exporter>> spooled({.exporter = {.folder = folder, .delay = 1ms}});
    batched.start_span("span").end();
    spooled.start_span("span").end();
    ASSERT_TRUE(batched.flush(10s) && spooled.flush(10s));
    const looking_exporter& one =
        batched.exporter().exporter().takes_faults ? batched.exporter().exporter(0) : batched.exporter().exporter(1);
    EXPECT_FALSE(one.takes_signals);
    EXPECT_TRUE(one.takes_faults) << "a handler of crashes tells of them on these threads too";
    EXPECT_FALSE(spooled.exporter().exporter().takes_signals);
    EXPECT_TRUE(spooled.exporter().exporter().takes_faults);
    EXPECT_FALSE(is_blocked_here(SIGUSR1)) << "the application's own thread is as it was";
    EXPECT_FALSE(is_blocked_here(SIGTERM));

    // The only thread of the application blocks it: nobody takes it until that one does.
    sigset_t user, pending;
    sigemptyset(&user);
    sigaddset(&user, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &user, nullptr);
    ASSERT_EQ(::kill(::getpid(), SIGUSR1), 0);
    EXPECT_EQ(::sigpending(&pending), 0);
    EXPECT_EQ(sigismember(&pending, SIGUSR1), 1);
    EXPECT_EQ(handled, 0);
    pthread_sigmask(SIG_UNBLOCK, &user, nullptr);
    EXPECT_EQ(handled, 1);
}

TEST_F(signals, are_not_for_the_threads_of_client_and_exporter) {
    const pthread_t here = pthread_self();
    auto server = std::make_shared<mt::memory_server>();
    std::atomic<int> elsewhere{0}, taken{0};
    server->answer_with([&](const mt::memory_server::request& asked) {
        if (!pthread_equal(pthread_self(), here)) {
            ++elsewhere;
            taken += is_blocked_here(SIGUSR1) ? 0 : 1;
        }
        if (asked.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (asked.target.starts_with("/v1/")) return mt::http_response{200, {}, ""};
        if (asked.target.find("/traces/get?") != std::string::npos)
            return mt::http_response{404, {}, R"({"error_code":"RESOURCE_DOES_NOT_EXIST"})"};
        return mt::http_response{200, {}, R"({"traces":[]})"};
    });
    mt::client<mt::memory_transport> client({.experiment_id = "1", .connections = 3, .transport = {server}});
    const std::vector<std::string> ids(200, "tr-1");
    EXPECT_TRUE(client.get_all(ids));
    EXPECT_GT(elsewhere, 0);
    EXPECT_EQ(taken, 0);

    mt::trace_batch batch;
    struct keeper {
        struct options {
            mt::trace_batch* into = nullptr;
        };
        explicit keeper(options chosen) : into(chosen.into) {}
        mt::export_result export_traces(mt::trace_batch& given) const {
            const std::size_t spans = given.span_count();
            while (mt::trace_data* const one = given.pop_front()) into->push_back(one);
            return {.exported_spans = spans};
        }
        mt::trace_batch* into;
    };
    tracer_to<keeper> tracer({.exporter = {&batch}});
    for (int i = 0; i < 64; ++i) // each is a request of its own
        tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"}, mt::client_request_id{"r"}).end();
    elsewhere = 0;
    mt::mlflow_exporter<mt::memory_transport> exporter({.experiment_id = "1", .transport = {server}});
    static_cast<void>(exporter.export_traces(batch));
    EXPECT_EQ(taken, 0);
}

TEST_F(signals, that_interrupt_a_recording_thread_cost_no_span) {
    tracer_to<mt::spool<looking_exporter>> spooled({.exporter = {.folder = folder + "-interrupted", .delay = 1ms}});
    tracer_to<mt::json_lines_exporter> written({.exporter = {.path = folder + ".jsonl"}});
    const pthread_t here = pthread_self();
    std::atomic<bool> is_over{false};
    std::thread other([&] {
        while (!is_over) pthread_kill(here, SIGUSR1);
    });
    int rounds = 0;
    for (; rounds < 1'000 || handled < 100; ++rounds) {
        spooled.start_trace("turn", mt::user{"u"}, mt::session{"s"}).outputs("x");
        written.start_trace("turn", mt::user{"u"}, mt::session{"s"}).outputs("x");
    }
    EXPECT_TRUE(spooled.flush(10s));
    is_over = true;
    other.join();
    EXPECT_EQ(spooled.account().exported, static_cast<std::uint64_t>(rounds));
    EXPECT_EQ(written.account().exported, static_cast<std::uint64_t>(rounds));
    std::filesystem::remove_all(folder + "-interrupted");
    std::filesystem::remove(folder + ".jsonl");
}

} // namespace
