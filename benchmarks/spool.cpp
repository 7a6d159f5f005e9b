// SPDX-License-Identifier: Apache-2.0
// What a spool costs the thread that records: microseconds per trace of one span with 2 KB of text, for what it
// survives and for one and four threads. The receiver is away, so that nothing else is measured.
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;

struct away {
    mt::export_result export_traces(mt::trace_batch& batch) {
        mt::export_result outcome;
        outcome.failed_spans = batch.span_count();
        outcome.error = mt::error(mt::error_kind::connect, {}, "away");
        outcome.retryable = true;
        return outcome;
    }
};

double microseconds_per_trace(mt::spool_durability durability, int threads, int traces) {
    char folder[] = "/var/tmp/mlflow_trace-XXXXXX"; // on a disk
    if (!::mkdtemp(folder)) return 0;
    const std::string text(2'000, 'x');
    double spent = 0;
    {
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::spool<away>> tracer(
            {.exporter = {.folder = folder, .durability = durability}});
        const auto begin = std::chrono::steady_clock::now();
        std::vector<std::thread> recording;
        for (int t = 0; t < threads; ++t)
            recording.emplace_back([&] {
                for (int i = 0; i < traces; ++i)
                    tracer.start_trace("turn", mt::user{"user-1042"}, mt::session{"session-7"}).inputs(text);
            });
        for (std::thread& each : recording) each.join();
        spent = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
    }
    if (std::system(("rm -r " + std::string(folder)).c_str()) != 0) return 0;
    return spent / (threads * traces);
}

} // namespace

int main() {
    for (const int threads : {1, 4}) {
        const double crash = microseconds_per_trace(mt::spool_durability::process_crash, threads, 50'000);
        const double power = microseconds_per_trace(mt::spool_durability::power_loss, threads, 500);
        std::printf("%d threads: %.1f µs per trace (process_crash), %.1f µs (power_loss)\n", threads, crash, power);
    }
}
