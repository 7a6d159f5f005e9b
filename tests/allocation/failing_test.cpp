// SPDX-License-Identifier: Apache-2.0
// One allocation fails, whichever it is: nothing ends the program, nothing is lost of memory, each span is accounted
// for, the application's own exception is what it was, and what comes later is recorded and delivered. Each time in a
// process of its own, where nothing has been allocated yet, and in one where everything has.
#include "attempts.hpp"

#ifdef MALLOC_IS_COUNTED

#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using attempts::by_number;
using attempts::expect_good;
using attempts::expect_good_in_fresh_processes;
using attempts::tried;
using counted_malloc::failure;

const std::string text(500, 'x');
constexpr std::size_t spans_of_a_record = 5;

struct application_error : std::exception {
    const char* what() const noexcept override { return "of the application"; }
    int code = 7;
};

// Whether the application's exception is still its own.
template <class Tracer>
bool record(Tracer& tracer) {
    auto trace = tracer.start_trace("chat", mt::user{"user-1"}, mt::session{"session-1"}, mt::tag{"stage", "test"},
                                    mt::client_request_id{"request-1"});
    trace.inputs(mt::arg("question", text), mt::arg("k", 5)).outputs(text);
    {
        auto span = tracer.start_span("tool", mt::span_type::tool);
        span.attribute("a", "text").attribute("b", 1).event("seen", mt::arg("at", 3)).outputs(text);
    }
    int codes = 0;
    try {
        tracer.start_span("run").run([] { throw application_error{}; });
    } catch (const application_error& thrown) {
        codes += thrown.code;
    }
    try {
        mt::traced<"traced", "n">(tracer, [](int) -> int { throw application_error{}; })(3);
    } catch (const application_error& thrown) {
        codes += thrown.code;
    }
    const auto scope = tracer.scope(mt::tag{"scoped", "yes"});
    tracer.start_span("last").inputs(text);
    return codes == 14;
}

enum class loss { any, none_that_was_recorded };

// Nothing, or what went wrong. `options` makes the tracer's.
template <class Tracer, class Options>
const char* attempt(const Options& options, long number, bool for_good, loss allowed, bool& has_come) {
    std::optional<Tracer> tracer;
    bool is_unchanged = true;
    auto chosen = options(); // g++ 12 destroys parts of an aggregate twice where one of them throws
    {
        const failure at(number, for_good);
        tried([&] { tracer.emplace(std::move(chosen)); });
        if (tracer) {
            is_unchanged = record(*tracer) && is_unchanged;
            tried([&] { static_cast<void>(tracer->flush(for_good ? 5ms : 5s)); });
            is_unchanged = record(*tracer) && is_unchanged;
            tried([&] { static_cast<void>(tracer->last_error().message()); });
            tried([&] { static_cast<void>(tracer->account()); });
        }
        has_come = at.has_come();
    }
    if (!is_unchanged) return "the application's exception is another one";
    if (!tracer) return nullptr;
    if (!tracer->flush(10s)) return "what was recorded is not delivered";
    const auto before = tracer->account();
    if (!record(*tracer)) return "the application's exception is another one, later";
    if (!tracer->flush(10s)) return "what is recorded later is not delivered";
    const auto account = tracer->account();
    if (account.started != account.exported + account.failed + account.dropped || account.open + account.queued != 0)
        return "the account is not balanced";
    if (account.exported != before.exported + spans_of_a_record) return "what is recorded later is not exported";
    if (allowed == loss::none_that_was_recorded && account.failed != 0) {
        std::fprintf(stderr, "%s\n", tracer->last_error().message().c_str());
        return "a span has failed";
    }
    return nullptr;
}

// The tracer goes while there is no memory.
template <class Tracer, class Options>
const char* attempt_to_end(const Options& options, long number, bool& has_come) {
    auto chosen = options();
    const failure at(number, true);
    {
        std::optional<Tracer> tracer;
        tried([&] { tracer.emplace(std::move(chosen)); });
        if (tracer && !record(*tracer)) return "the application's exception is another one";
    }
    has_come = at.has_come();
    return nullptr;
}

class encoding_exporter {
public:
    mt::export_result export_traces(mt::trace_batch& batch) {
        request_.clear();
        if (!mt::append_otlp_request(request_, batch, {}, mt::otlp_receiver::mlflow))
            return {.failed_spans = batch.span_count(), .error = mt::error(mt::error_kind::out_of_memory)};
        return {.exported_spans = batch.span_count()};
    }

private:
    mt::detail::buffer request_;
};

using mlflow_server = mt::mlflow_exporter<mt::memory_transport>;
template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;
constexpr mt::diagnostics nobody{.write = nullptr};

// An MLflow that takes everything; it forgets what it was sent.
mt::memory_transport_options served() {
    auto server = std::make_shared<mt::memory_server>();
    server->answer_with([](const mt::memory_server::request& asked) {
        if (asked.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (asked.target.starts_with("/v1/traces")) return mt::http_response{200, {}, ""};
        if (asked.target.find("get-by-name") != std::string::npos)
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"1"}})"};
        return mt::http_response{200, {}, asked.body};
    });
    return {std::move(server)};
}

mt::memory_transport_options served_metrics() {
    auto server = std::make_shared<mt::memory_server>();
    server->answer_with([](const mt::memory_server::request&) { return mt::http_response{200, {}, {}}; });
    return {std::move(server)};
}

template <class Exporter, class Options>
by_number all_of(Options options, loss allowed = loss::any, bool for_good = false) {
    return [=](long number, bool& has_come) {
        return attempt<tracer_to<Exporter>>(options, number, for_good, allowed, has_come);
    };
}

TEST(a_failing_allocation, while_recording) {
    using exporter = encoding_exporter;
    expect_good(all_of<exporter>([] { return typename tracer_to<exporter>::options{}; }));
}

TEST(a_failing_allocation, and_all_behind_it_while_recording) {
    using exporter = encoding_exporter;
    expect_good(all_of<exporter>([] { return typename tracer_to<exporter>::options{}; }, loss::any, true));
}

TEST(a_failing_allocation, in_batch) {
    using exporter = mt::batch<encoding_exporter>;
    expect_good(all_of<exporter>(
        [] { return typename tracer_to<exporter>::options{.exporter = {.delay = 0ms, .diagnostics = nobody}}; }));
}

TEST(a_failing_allocation, and_all_behind_it_in_batch) {
    using exporter = mt::batch<encoding_exporter>;
    const auto options = [] {
        return typename tracer_to<exporter>::options{.exporter = {.delay = 0ms, .diagnostics = nobody}};
    };
    expect_good(all_of<exporter>(options, loss::any, true));
}

const auto retry_options = [] {
    return tracer_to<mt::batch<mt::retry<mlflow_server>>>::options{
        .exporter = {.exporter = {.exporter = {.transport = served()},
                                  .first_wait = 1ms,
                                  .longest_wait = 2ms,
                                  .diagnostics = nobody},
                     .delay = 0ms,
                     .shutdown_timeout = 5ms,
                     .diagnostics = nobody}};
};

TEST(a_failing_allocation, in_batch_and_retry) {
    expect_good(all_of<mt::batch<mt::retry<mlflow_server>>>(retry_options, loss::none_that_was_recorded));
}

TEST(a_failing_allocation, and_all_behind_it_while_batch_and_retry_end) {
    expect_good_in_fresh_processes([](long number, bool& has_come) {
        return attempt_to_end<tracer_to<mt::batch<mt::retry<mlflow_server>>>>(retry_options, number, has_come);
    });
}

class spooled : public testing::Test {
protected:
    using exporter = mt::spool<mlflow_server>;

    std::string folder =
        std::filesystem::temp_directory_path() / ("mlflow_trace-failing-" + std::to_string(::getpid()) + "-spool");

    void TearDown() override { std::filesystem::remove_all(folder); }

    auto options() const {
        return [where = folder] {
            return tracer_to<exporter>::options{.exporter = {.exporter = {.transport = served()},
                                                             .folder = where,
                                                             .delay = 0ms,
                                                             .first_wait = 1ms,
                                                             .longest_wait = 2ms,
                                                             .shutdown_timeout = 5ms,
                                                             .diagnostics = nobody}};
        };
    }
};
using a_failing_allocation_in_spool = spooled;

TEST_F(a_failing_allocation_in_spool, is_survived) {
    expect_good(all_of<exporter>(options(), loss::none_that_was_recorded));
}

// All is on the disk by then, whichever thread comes first elsewhere.
TEST_F(a_failing_allocation_in_spool, while_it_forwards_loses_nothing) {
    expect_good([chosen = options()](long number, bool& has_come) -> const char* {
        auto unhurried = chosen();
        unhurried.exporter.delay = 1h;
        tracer_to<exporter> tracer(std::move(unhurried));
        for (int i = 0; i < 3; ++i) record(tracer);
        const auto recorded = tracer.account();
        {
            const failure at(number);
            tried([&] { static_cast<void>(tracer.flush(5s)); });
            has_come = at.has_come();
        }
        if (!tracer.flush(10s)) return "what was recorded is not delivered";
        const auto account = tracer.account();
        return account.exported == recorded.started ? nullptr : "a span is not exported";
    });
}

TEST_F(a_failing_allocation_in_spool, and_all_behind_it_is_survived_to_the_end) {
    expect_good_in_fresh_processes([chosen = options(), this](long number, bool& has_come) {
        std::filesystem::remove_all(folder); // what earlier attempts left behind would be delivered too
        return attempt_to_end<tracer_to<exporter>>(chosen, number, has_come);
    });
}

TEST(a_failing_allocation, in_fan_out) {
    using exporter = mt::fan_out<encoding_exporter, mt::batch<encoding_exporter>>;
    expect_good(all_of<exporter>([] { return typename tracer_to<exporter>::options{}; }));
}

TEST(a_failing_allocation, in_otlp_metrics) {
    using exporter = mt::otlp_metrics<mt::memory_transport, mt::user, mt::by_tag<"stage">>;
    for (const auto temporality : {mt::metric_temporality::cumulative, mt::metric_temporality::delta}) {
        const auto options = [=] {
            return typename tracer_to<exporter>::options{.exporter = {.temporality = temporality,
                                                                      .interval = 1h,
                                                                      .shutdown_timeout = 5ms,
                                                                      .on_notice = nullptr,
                                                                      .transport = served_metrics()}};
        };
        expect_good(all_of<exporter>(options));
    }
}

// The client gives a result, or throws what `new` threw. It may end the program: destructors of nlohmann/json
// allocate.
TEST(a_failing_allocation, in_the_client) {
    const by_number ask = [](long number, bool& has_come) -> const char* {
        auto server = std::make_shared<mt::memory_server>();
        server->answer_with([](const mt::memory_server::request& asked) {
            if (asked.target.find("search") != std::string::npos)
                return mt::http_response{200, {}, R"({"traces":[{"trace_id":"tr-1","request_time":"2026-11-23",
                    "tags":{"a":"a text that is longer than a small one"},"assessments":[{"assessment_id":"a-1",
                    "feedback":{"value":true}}]}]})"};
            if (asked.target.find("batchGet") != std::string::npos)
                return mt::http_response{200, {}, R"({"traces":[{"trace_info":{"trace_id":"tr-1","request_time":
                    "2026-11-23"},"spans":[{"name":"n"}]}]})"};
            return mt::http_response{200, {}, R"({"assessment":{"assessment_id":"a-1"}})"};
        });
        const auto all = [&](auto& client) {
            const std::string ids[] = {"tr-1"};
            return mt::find_all(client, {.where = mt::field::user == mt::user{"u"}}).has_value() &&
                   client.get_all(ids).has_value() &&
                   client.log_feedback("tr-1", {.name = "helpful", .value = true}).has_value();
        };
        std::optional<mt::client<mt::memory_transport>> client;
        {
            const failure at(number);
            tried([&] {
                client.emplace(mt::client<mt::memory_transport>::options{
                    .experiment_id = "1", .connections = 2, .transport = {server}});
                static_cast<void>(all(*client));
            });
            has_come = at.has_come();
        }
        return !client || all(*client) ? nullptr : "a later call fails";
    };
    expect_good_in_fresh_processes(ask, true);
}

} // namespace

#endif
