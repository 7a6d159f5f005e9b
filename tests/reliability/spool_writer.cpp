// SPDX-License-Identifier: Apache-2.0
// A process that is made to be killed: four threads record traces into a spool until its standard output is closed.
//
//   spool_writer FOLDER NAME [TRACKING_URI EXPERIMENT [MS]]     traces NAME-0-0, NAME-0-1, …, NAME-1-0, …
//   spool_writer FOLDER                                         delivers what is left, and ends
//
// After each trace a thread sleeps for at most so many milliseconds (with a server 50, else 1).
//
// Writes a line for each trace that is acknowledged, `a NAME-0-0`, and, where there is no server, for each one that
// the receiver has taken, `d NAME-0-0`. A line is written by one call, and either there or not.
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

constexpr std::string_view number_key = "number";

void say(const std::string& lines) {
    for (std::string_view rest = lines; !rest.empty();) {
        constexpr std::size_t most = 4'096; // PIPE_BUF: what a pipe takes whole
        const auto end = rest.size() <= most ? rest.size() : rest.rfind('\n', most - 1) + 1;
        if (::write(STDOUT_FILENO, rest.data(), end) < 0) std::_Exit(0);
        rest.remove_prefix(end);
    }
}

// A receiver that is away now and then.
struct standard_output {
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        outcome.retryable = std::uniform_int_distribution(0, 3)(random) == 0;
        if (outcome.retryable) {
            outcome.failed_spans = batch.span_count();
            outcome.error = mt::error(mt::error_kind::connect, {}, "away");
            return outcome;
        }
        std::string lines;
        for (const mt::trace_data& trace : batch)
            lines += "d " + std::string(trace.entries.find(mt::entry_kind::tag, number_key)) + '\n';
        say(lines);
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    std::minstd_rand random{static_cast<unsigned>(::getpid())};
};

template <class Exporter>
using tracer_of = mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<Exporter>>;

template <class Exporter>
mt::spool_options<Exporter> spool_in(const std::string& folder, mt::detail::options_of<Exporter> exporter = {}) {
    return {.exporter = std::move(exporter),
            .folder = folder,
            .segment_bytes = 64 * 1024,
            .delay = 5ms,
            .first_wait = 1ms,
            .longest_wait = 20ms};
}

template <class Tracer>
void record(Tracer& tracer, const std::string& name, int thread, std::chrono::microseconds longest_pause) {
    std::minstd_rand random(static_cast<unsigned>(::getpid() * 4 + thread));
    for (int i = 0;; ++i) {
        const std::string number = name + '-' + std::to_string(thread) + '-' + std::to_string(i);
        {
            auto trace =
                tracer.start_trace("turn", mt::user{"user-1042"}, mt::session::parse("session-" + name).value(),
                                   mt::tag(number_key, number));
            if (i % 8 == 0) { // what MLflow takes only by a request of its own
                trace.set(mt::client_request_id::parse(number).value());
                trace.metadata("app.segment", "pro");
            }
            trace.inputs(std::string(random() % 4'000, 'x'));
            auto step = trace.start_span("step");
        }
        if (tracer.account().dropped > 0) {
            std::fprintf(stderr, "%s\n", tracer.last_error().message().c_str());
            std::_Exit(1);
        }
        say("a " + number + '\n');
        std::this_thread::sleep_for(longest_pause * static_cast<int>(random() % 1'000) / 1'000);
    }
}

template <class Tracer>
void record_until_killed(Tracer& tracer, const std::string& name, std::chrono::microseconds longest_pause) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
        threads.emplace_back([&, thread] { record(tracer, name, thread, longest_pause); });
    for (std::thread& each : threads) each.join();
}

} // namespace

int main(int argc, char** argv) {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty()) return 2;
    if (arguments.size() >= 4) {
        using to_mlflow = mt::mlflow_exporter<mt::beast_transport>;
        tracer_of<to_mlflow> tracer(
            {.exporter =
                 spool_in<to_mlflow>(arguments[0], {.tracking_uri = arguments[2], .experiment_name = arguments[3]})});
        record_until_killed(tracer, arguments[1],
                            arguments.size() > 4 ? std::chrono::milliseconds(std::stoi(arguments[4])) : 50ms);
    }
    tracer_of<standard_output> tracer({.exporter = spool_in<standard_output>(arguments[0])});
    if (arguments.size() == 2) record_until_killed(tracer, arguments[1], 1ms);
    for (int attempt = 0; attempt < 1'000; ++attempt)
        if (tracer.exporter().recover(std::chrono::steady_clock::now() + 60s)) return 0;
    std::fprintf(stderr, "not all was delivered: %s\n", tracer.last_error().message().c_str());
    return 1;
}
