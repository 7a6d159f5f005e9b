// SPDX-License-Identifier: Apache-2.0
// How many traces a second reach an MLflow server: by the library, and by the same requests without it.
//
//   benchmark_delivery URI EXPERIMENT TRACES CONNECTIONS library|requests spans|request-ids
//
// `requests`: the bodies are made before, and CONNECTIONS threads send them with the library's transport as fast as
// the server responds. `request-ids`: each trace has a client request ID, for which MLflow needs a second request.
// Prints one JSON object. benchmarks/delivery.py runs it.
#include <mlflow/trace.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using clock_type = std::chrono::steady_clock;
using exporter = mt::mlflow_exporter<mt::beast_transport>;

struct choices {
    std::string uri, experiment;
    std::size_t traces = 0, connections = 0;
    bool has_request_ids = false;
};

// Four spans, three deep.
template <class Tracer>
void record(Tracer& tracer, std::size_t number, const choices& chosen) {
    const std::string text(500, static_cast<char>('a' + number % 26));
    const auto fill = [&](auto& span) {
        span.inputs(mt::arg("question", text)).outputs(text).attribute("model", "a-model").attribute("tokens", 1234);
    };
    const auto user = *mt::user::parse("user-" + std::to_string(number % 100));
    const auto session = *mt::session::parse("session-" + std::to_string(number % 500));
    const auto id = *mt::client_request_id::parse("request-" + std::to_string(number));
    auto trace = chosen.has_request_ids ? tracer.start_trace("agent", user, session, id)
                                        : tracer.start_trace("agent", user, session);
    fill(trace);
    auto plan = tracer.start_span("plan");
    fill(plan);
    for (const char* const name : {"model", "tool"}) {
        auto span = tracer.start_span(name);
        fill(span);
    }
}

double seconds_since(clock_type::time_point begun) {
    return std::chrono::duration<double>(clock_type::now() - begun).count();
}

double with_the_library(const choices& chosen) {
    using to_mlflow = mt::batch<mt::retry<exporter>>;
    mt::tracer<mt::open_schema, mt::thread_local_context, to_mlflow> tracer(
        to_mlflow::options{.max_queue_bytes = std::size_t{1} << 30U, .max_queue_spans = 4 * chosen.traces},
        exporter::options{.tracking_uri = chosen.uri,
                          .experiment_name = chosen.experiment,
                          .info_connections = chosen.connections});
    const auto begun = clock_type::now();
    for (std::size_t number = 0; number < chosen.traces; ++number) record(tracer, number, chosen);
    if (!tracer.flush(std::chrono::hours(1)) || tracer.account().exported != 4 * chosen.traces)
        throw std::runtime_error(tracer.last_error().message());
    return seconds_since(begun);
}

struct request {
    std::string_view target, type;
    std::string body;
};

struct requests {
    std::vector<request> spans, infos;
};

requests requests_of(mt::trace_batch& batch, const std::string& experiment_id, bool has_request_ids) {
    std::vector<request> all;
    mt::detail::buffer body;
    if (has_request_ids)
        for (const mt::trace_data& trace : batch) {
            body.clear();
            mt::detail::append_trace_info(body, trace, experiment_id, {});
            all.push_back({"/api/3.0/mlflow/traces", "application/json", std::string(body.view())});
        }
    std::vector<request> spans;
    while (!batch.empty()) { // as many spans as the library sends in one request by default
        mt::trace_batch part;
        while (!batch.empty() && part.span_count() < 1'024) part.push_back(batch.pop_front());
        body.clear();
        mt::otlp_form form(mt::otlp_receiver::mlflow);
        form.goes_with_trace_info = true;
        if (!mt::append_otlp_request(body, part, {}, form)) throw std::bad_alloc();
        spans.push_back({"/v1/traces", "application/x-protobuf", std::string(body.view())});
    }
    return {std::move(spans), std::move(all)};
}

double without_the_library(const choices& chosen) {
    exporter connected({.tracking_uri = chosen.uri, .experiment_name = chosen.experiment});
    const auto experiment = connected.connect();
    if (!experiment) throw std::runtime_error(experiment.error().message());
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::detail::collecting_exporter> tracer;
    for (std::size_t number = 0; number < chosen.traces; ++number) record(tracer, number, chosen);
    const std::string& experiment_id = experiment->experiment_id;
    const auto all = requests_of(tracer.exporter().collected, experiment_id, chosen.has_request_ids);
    const auto server = mt::endpoint::parse(chosen.uri);
    if (!server) throw std::runtime_error(server.error().message());

    std::atomic<std::size_t> failed{0};
    const auto send = [&](const std::vector<request>& all) {
        std::atomic<std::size_t> next{0};
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < chosen.connections; ++i)
            threads.emplace_back([&] {
                mt::beast_transport transport(*server, {});
                for (std::size_t at = next++; at < all.size(); at = next++) {
                    const request& each = all[at];
                    const mt::http_header headers[] = {{"Content-Type", each.type},
                                                       {"x-mlflow-experiment-id", experiment_id}};
                    const auto reply = transport.send({.method = mt::http_method::post,
                                                       .target = each.target,
                                                       .headers = headers,
                                                       .body = each.body,
                                                       .timeout = std::chrono::minutes(5)});
                    if (!reply || reply->status != 200) ++failed;
                }
            });
        for (auto& each : threads) each.join();
    };
    const auto begun = clock_type::now();
    send(all.spans); // first, as the library does, so that no trace is ever without its spans
    send(all.infos);
    if (failed != 0) throw std::runtime_error(std::to_string(failed) + " requests failed");
    return seconds_since(begun);
}

std::size_t number_of(std::string_view text) {
    std::size_t number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc() || end != text.data() + text.size() || number == 0)
        throw std::runtime_error("not a number: " + std::string(text));
    return number;
}

} // namespace

int main(int count, char** given) {
    try {
        if (count != 7)
            throw std::runtime_error("usage: URI EXPERIMENT TRACES CONNECTIONS library|requests spans|request-ids");
        const std::string_view how = given[5], what = given[6];
        const choices chosen{given[1], given[2], number_of(given[3]), number_of(given[4]), what == "request-ids"};
        const double seconds = how == "library" ? with_the_library(chosen) : without_the_library(chosen);
        std::printf("{\"seconds\": %.4f, \"traces_a_second\": %.1f}\n", seconds,
                    static_cast<double>(chosen.traces) / seconds);
    } catch (const std::exception& error) {
        return std::fprintf(stderr, "benchmark_delivery: %s\n", error.what()), 1;
    }
}
