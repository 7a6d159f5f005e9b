// SPDX-License-Identifier: Apache-2.0
// Each place where delivery runs code of the application, by each thing that such code may do. What comes of it is
// what docs/reliability.md says, "Your code inside the library"; tests/spans/user_code_test.cpp has the places where
// recording does.
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <unistd.h>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

enum class hook { exporter, transport, token, diagnostics };

// What the hook that is tried does, the first time that it runs.
struct {
    hook tried{};
    std::function<void()> run;
    std::atomic<int> left{0};
    std::atomic<bool> is_failing{false}; // the exporter, until that has been told
} behaviour;

void behave_as(hook one) {
    if (one == behaviour.tried && behaviour.left.fetch_sub(1) > 0) behaviour.run();
}

// Answers as MLflow does.
struct serving_transport {
    struct options {};
    explicit serving_transport(const mt::endpoint&, options) {}
    mt::result<mt::http_response> send(const mt::http_request& request) {
        if (request.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (request.target.find("search") != std::string_view::npos)
            return mt::http_response{200, {}, R"({"traces":[{"trace_id":"tr-1","request_time":"2026-11-23"}]})"};
        if (request.target.find("experiments/get") != std::string_view::npos)
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"1","lifecycle_stage":"active"}})"};
        behave_as(hook::transport);
        return mt::http_response{200, {}, ""};
    }
};
using mlflow_server = mt::mlflow_exporter<serving_transport>;

// Behaves, and passes on.
struct behaving_exporter {
    using options = mlflow_server::options;
    explicit behaving_exporter(options chosen) : server(std::move(chosen)) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        behave_as(hook::exporter);
        if (behaviour.is_failing) throw std::runtime_error("of the exporter");
        return server.export_traces(batch);
    }
    mlflow_server server;
};

void write_diagnostics(void*, std::string_view) noexcept {
    behave_as(hook::diagnostics);
    behaviour.is_failing = false;
}

template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;

// The pipelines, each with all hooks.
mlflow_server::options server() {
    return {.experiment_id = "1", .authorization = []() -> mt::secret {
                behave_as(hook::token);
                return mt::bearer_authorization(mt::secret("a-token"));
            }};
}
constexpr mt::diagnostics told{.write = &write_diagnostics, .interval = 0ms};

struct in_batch_and_retry {
    using exporter = mt::batch<mt::retry<behaving_exporter>>;
    static exporter::options options(const std::string&) {
        return {.exporter = {.exporter = server(), .first_wait = 1ms, .longest_wait = 2ms, .diagnostics = told},
                .delay = 1ms,
                .diagnostics = told};
    }
};
struct in_spool {
    using exporter = mt::spool<behaving_exporter>;
    static exporter::options options(const std::string& folder) {
        return {.exporter = server(),
                .folder = folder,
                .delay = 1ms,
                .first_wait = 1ms,
                .longest_wait = 2ms,
                .diagnostics = told};
    }
};

using parameters = std::tuple<hook, const char*>;
constexpr const char* hook_names[] = {"exporter", "transport", "token_function", "diagnostics"};

template <class Pipeline>
void expect_what_is_documented(const parameters& tried_now) {
    using tracer_type = tracer_to<typename Pipeline::exporter>;
    const std::string name = std::get<1>(tried_now);
    const std::string folder =
        std::filesystem::temp_directory_path() / ("mlflow_trace-user-code-" + std::to_string(::getpid()));
    behaviour.left = 0;
    behaviour.tried = std::get<0>(tried_now);
    constexpr std::size_t own_spans = 20;
    std::atomic<std::size_t> recorded{0};
    bool has_waited_for_itself = false;
    {
        tracer_type tracer({.exporter = Pipeline::options(folder)});
        const auto application = std::this_thread::get_id();
        if (name == "throws") behaviour.run = [] { throw std::runtime_error("of the application"); };
        if (name == "throws_what_is_no_exception") behaviour.run = [] { throw 42; };
        if (name == "records")
            behaviour.run = [&] {
                auto trace = tracer.start_trace("nested", mt::user{"u"}, mt::no_session, mt::nested);
                tracer.start_span("inner").inputs("x");
                recorded += 2;
            };
        if (name == "flushes")
            behaviour.run = [&] {
                // From the thread that delivers it cannot wait for itself.
                if (std::this_thread::get_id() != application) has_waited_for_itself = tracer.flush(10s);
            };
        if (name == "asks")
            behaviour.run = [&] {
                static_cast<void>(tracer.account());
                static_cast<void>(tracer.last_error().message());
                static_cast<void>(tracer.exporter().status());
            };
        if (name == "blocks") behaviour.run = [] { std::this_thread::sleep_for(5ms); };
        if (name == "makes_another_tracer")
            behaviour.run = [] {
                tracer_to<mt::batch<mt::memory_exporter>> other;
                other.start_span("elsewhere").end();
                EXPECT_TRUE(other.flush(10s));
                EXPECT_EQ(other.account().exported, 1U);
            };
        constexpr int most_runs = 2;
        behaviour.left = most_runs;
        behaviour.is_failing = behaviour.tried == hook::diagnostics;
        for (std::size_t i = 0; i < own_spans / 2; ++i) {
            auto trace = tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"});
            tracer.start_span("inner").outputs("y");
            trace.end();
            if (i == 0) {
                EXPECT_TRUE(tracer.flush(10s));
            }
        }
        EXPECT_TRUE(tracer.flush(10s));
        EXPECT_LT(behaviour.left, most_runs) << "it has not run";
        const auto account = tracer.account();
        EXPECT_EQ(account.started, own_spans + recorded);
        EXPECT_EQ(account.exported, own_spans)
            << "nothing of the application's own is lost: " << tracer.last_error().message();
        EXPECT_EQ(account.dropped, recorded) << "what delivery records by the tracer that it serves";
        EXPECT_EQ(account.failed + account.open + account.queued, 0U);
        EXPECT_FALSE(has_waited_for_itself);
    }
    behaviour.run = nullptr;
    std::filesystem::remove_all(folder);
}

class user_code_in_delivery : public testing::TestWithParam<parameters> {};

TEST_P(user_code_in_delivery, in_batch_and_retry_comes_to_what_is_documented) {
    expect_what_is_documented<in_batch_and_retry>(GetParam());
}
TEST_P(user_code_in_delivery, in_spool_comes_to_what_is_documented) {
    expect_what_is_documented<in_spool>(GetParam());
}

std::string name_of(const testing::TestParamInfo<parameters>& one) {
    return std::string(hook_names[static_cast<int>(std::get<0>(one.param))]) + "_" + std::get<1>(one.param);
}

INSTANTIATE_TEST_SUITE_P(each_hook_does, user_code_in_delivery,
                         testing::Combine(testing::Values(hook::exporter, hook::transport, hook::token),
                                          testing::Values("throws", "throws_what_is_no_exception", "records",
                                                          "flushes", "asks", "blocks", "makes_another_tracer")),
                         name_of);
INSTANTIATE_TEST_SUITE_P(diagnostics_do, user_code_in_delivery,
                         testing::Combine(testing::Values(hook::diagnostics), // noexcept
                                          testing::Values("records", "flushes", "asks", "blocks",
                                                          "makes_another_tracer")),
                         name_of);

// What the application calls itself gives it what its own code throws, and can be used again.
TEST(user_code_that_throws, in_the_client_comes_out_again) {
    mt::client<serving_transport> client({.experiment_id = "1"});
    EXPECT_THROW(static_cast<void>(client.for_each_trace({}, [](const mt::trace_info&) { throw 42; })), int);
    behaviour.tried = hook::transport;
    behaviour.run = [] { throw std::runtime_error("of the application"); };
    behaviour.left = 1;
    EXPECT_THROW(static_cast<void>(client.get("tr-1")), std::runtime_error);
    EXPECT_TRUE(client.for_each_trace({}, [](const mt::trace_info&) {}));
}

TEST(user_code_that_throws, as_a_token_function_of_the_client_is_an_error) {
    mt::client<serving_transport> client(
        {.experiment_id = "1", .authorization = []() -> mt::secret { throw std::runtime_error("no token today"); }});
    const auto found = client.get("tr-1");
    ASSERT_FALSE(found);
    EXPECT_NE(found.error().message().find("no token today"), std::string::npos);
}

TEST(user_code_that_comes_back_in, as_a_token_function_is_told_so) {
    mt::client<serving_transport>* same = nullptr;
    std::string inner;
    mt::client<serving_transport> client({.experiment_id = "1", .authorization = [&]() -> mt::secret {
                                              const auto found = same->get("tr-1");
                                              inner = found ? "" : found.error().message();
                                              return mt::bearer_authorization(mt::secret("a-token"));
                                          }});
    same = &client;
    EXPECT_TRUE(mt::find_all(client, {}));
    EXPECT_NE(inner.find("requests its own credentials"), std::string::npos) << inner;
}

struct throwing_seal {
    std::string sign(std::string_view) const { throw std::runtime_error("no key"); }
};

TEST(user_code_that_throws, in_a_propagator_is_reported_and_in_the_setter_comes_out_again) {
    using schema = mt::schema<mt::propagated<mt::required<mt::user>>>;
    int reports = 0;
    const auto count = [](void* to, const mt::error& error) noexcept {
        *static_cast<int*>(to) +=
            error.kind() == mt::error_kind::callback_failed && error.about() == "baggage" ? 1 : 0;
    };
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter> tracer(
        {.on_error = count, .error_context = &reports});
    {
        auto trace = tracer.start_trace("turn", mt::user{"u"});
        const mt::propagator<schema, throwing_seal> sealed({.hosts = {"*"}});
        int headers = 0;
        sealed.inject(trace, "host", [&](auto, auto) { ++headers; });
        EXPECT_EQ(headers, 1) << "traceparent alone";
        EXPECT_EQ(reports, 1);
        const mt::propagator<schema, mt::trust_network> open({.hosts = {"*"}});
        EXPECT_THROW(open.inject(trace, "host", [](auto, auto) { throw 42; }), int);
        trace.outputs("still recorded");
    }
    EXPECT_EQ(tracer.account().exported, 1U);
}

} // namespace
