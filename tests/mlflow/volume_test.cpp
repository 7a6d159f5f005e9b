// SPDX-License-Identifier: Apache-2.0
// Many traces from many threads through one exporter, in few requests.
#include "mlflow/recording.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace recording;

constexpr int threads = 8;
constexpr int traces_per_thread = 250;
constexpr int users = 16;
constexpr int sessions = 64;

struct counts {
    std::atomic<int> batches{0};
    std::atomic<int> spans{0};
    std::atomic<int> otlp_requests{0};
    std::atomic<int> trace_info_requests{0};
    std::atomic<int> other_requests{0};
};

class counting_transport {
public:
    struct options {
        counts* into = nullptr;
    };
    counting_transport(mt::endpoint server, options chosen) : into_(*chosen.into), transport_(std::move(server)) {}

    mt::result<mt::http_response> send(const mt::http_request& request) {
        ++(request.target == "/v1/traces"                         ? into_.otlp_requests
           : request.target.starts_with("/api/3.0/mlflow/traces") ? into_.trace_info_requests
                                                                  : into_.other_requests);
        return transport_.send(request);
    }

private:
    counts& into_;
    mt::beast_transport transport_;
};

class counting_exporter {
public:
    struct options {
        mt::mlflow_exporter<counting_transport>::options exporter{};
        counts* into = nullptr;
    };
    explicit counting_exporter(options chosen) : into_(*chosen.into), exporter_(std::move(chosen.exporter)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        ++into_.batches;
        into_.spans += static_cast<int>(batch.span_count());
        return exporter_.export_traces(batch);
    }

private:
    counts& into_;
    mt::mlflow_exporter<counting_transport> exporter_;
};

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using schema_with_metadata = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<segment>>;
template <class Schema>
using tracer_of = mt::tracer<Schema, mt::thread_local_context, mt::batch<counting_exporter>>;

template <class Tracer>
typename Tracer::options options_for(const std::string& experiment, counts& into) {
    return {.exporter = {.exporter = {.exporter = {.tracking_uri = server(),
                                                   .experiment_name = experiment,
                                                   .timeout = std::chrono::seconds(120),
                                                   .transport = {&into}},
                                      .into = &into}}};
}

json told_span_of(const auto& span, const char* name, json parent) {
    return {{"id", text(span.id().hex())}, {"name", name}, {"parent", std::move(parent)}};
}

// One turn of a chat: the trace, two spans inside it, and one inside the second.
json record_turn(tracer_of<schema>& tracer, int number) {
    const int conversation = number * 7 % sessions;
    const auto user = mt::user::parse("user-" + std::to_string(conversation % users));
    const auto session = mt::session::parse("session-" + std::to_string(conversation));
    json told{{"user", user->view()}, {"session", session->view()}};
    auto trace = tracer.start_trace("turn", *user, *session);
    told["trace_id"] = text(trace.trace_id().mlflow_id());
    told["spans"].push_back(told_span_of(trace, "turn", nullptr));
    trace.inputs(mt::arg("number", number));
    {
        auto span = tracer.start_span("retrieve", mt::span_type::retriever);
        told["spans"].push_back(told_span_of(span, "retrieve", told["spans"][0]["id"]));
    }
    auto span = tracer.start_span("answer", mt::span_type::agent);
    told["spans"].push_back(told_span_of(span, "answer", told["spans"][0]["id"]));
    auto model = tracer.start_span("model", mt::span_type::chat_model);
    told["spans"].push_back(told_span_of(model, "model", told["spans"][2]["id"]));
    return told;
}

TEST(volume, many_traces_in_few_requests) {
    counts sent;
    const std::string experiment = fresh_name("volume");
    std::vector<json> told(threads);
    {
        tracer_of<schema> tracer(options_for<tracer_of<schema>>(experiment, sent));
        std::vector<std::thread> workers;
        for (int thread = 0; thread < threads; ++thread)
            workers.emplace_back([&, thread] {
                for (int i = 0; i < traces_per_thread; ++i)
                    told[static_cast<std::size_t>(thread)].push_back(
                        record_turn(tracer, thread * traces_per_thread + i));
            });
        for (std::thread& worker : workers) worker.join();
        ASSERT_TRUE(tracer.flush(std::chrono::minutes(4)));
        const auto account = tracer.account();
        EXPECT_EQ(account.started, 4U * threads * traces_per_thread);
        EXPECT_EQ(account.exported, account.started) << tracer.last_error().message();
    }
    EXPECT_EQ(sent.spans, 4 * threads * traces_per_thread);
    EXPECT_EQ(sent.otlp_requests, sent.batches);
    EXPECT_LE(sent.batches, 40); // at least 50 traces in each, on average
    EXPECT_EQ(sent.trace_info_requests, 0);
    EXPECT_EQ(sent.other_requests, 3); // version, experiment by name, and its creation
    json& all = expected()["traces"];
    for (json& part : told)
        for (json& trace : part) all.push_back(std::move(trace));
    expected()["experiment"] = experiment;
}

TEST(volume, one_more_request_only_for_a_trace_that_says_more) {
    counts sent;
    {
        using tracer_type = tracer_of<schema_with_metadata>;
        tracer_type tracer(options_for<tracer_type>(fresh_name("volume"), sent));
        for (int i = 0; i < 100; ++i) {
            auto trace = tracer.start_trace("turn", mt::user{"user-1"}, mt::session{"session-1"});
            if (i % 10 == 0) trace.set(segment{"pro"});
            if (i % 10 == 1) trace.set(mt::client_request_id{"request-1"});
            if (i % 10 == 2) trace.set(mt::tag{"kind", "a tag needs no request"});
        }
        ASSERT_TRUE(tracer.flush(std::chrono::minutes(1)));
        EXPECT_EQ(tracer.account().exported, 100U) << tracer.last_error().message();
    }
    EXPECT_EQ(sent.otlp_requests, sent.batches);
    EXPECT_EQ(sent.trace_info_requests, 20);
}

} // namespace
