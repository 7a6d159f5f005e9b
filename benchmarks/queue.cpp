// SPDX-License-Identifier: Apache-2.0
// What a queue of 64 MiB takes whose exporter hangs, and what comes back: of small, middling and large traces, the
// memory that `max_queue_bytes` counts, what malloc has in use, and what the system sees.
#include "gated.hpp"
#include <mlflow/trace.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <malloc.h>
#include <mutex>
#include <string>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using benchmarks::gated;

double resident() {
    long pages = 0;
    if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
        if (std::fscanf(file, "%*d %ld", &pages) != 1) pages = 0;
        std::fclose(file);
    }
    return static_cast<double>(pages * sysconf(_SC_PAGESIZE)) / 1048576;
}
double in_use() {
    const auto all = mallinfo2();
    return static_cast<double>(all.uordblks + all.hblkhd) / 1048576;
}

void run(std::size_t bytes) {
    std::mutex gate;
    gate.lock();
    const std::string text(bytes, 'x');
    std::size_t waiting = 0;
    double held = 0;
    double used = 0;
    double seen = 0;
    {
        mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<gated>> tracer(
            {.exporter = {.exporter = {&gate}, .diagnostics = {.write = nullptr}}});
        for (std::size_t recorded = 0; recorded < (std::size_t{200} << 20U); recorded += bytes + 500)
            tracer.start_trace("ping", mt::user{"user-1042"}, mt::session{"session-7"}).attribute("text", text);
        const auto status = tracer.exporter().status();
        waiting = status.waiting_spans;
        held = static_cast<double>(status.held_bytes) / 1048576;
        used = in_use();
        seen = resident();
        gate.unlock();
        tracer.flush(60s);
    }
    malloc_trim(0);
    std::printf("%9zu %9zu %9.1f %9.1f %9.1f %9.1f %9.1f\n", bytes, waiting, held, used, seen, in_use(), resident());
}

} // namespace

int main() {
    std::printf("MiB held by a queue of 64 MiB, and after it\n%9s %9s %9s %9s %9s %9s %9s\n", "text", "spans",
                "counted", "in use", "resident", "in use", "resident");
    for (const std::size_t bytes : {0U, 100U, 1'000U, 10'000U, 100'000U, 1'000'000U}) run(bytes);
}
