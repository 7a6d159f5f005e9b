// SPDX-License-Identifier: Apache-2.0
// Records so often what a case is, for tools that count: record CASE TIMES. The system calls between the two writes
// to a file that is not there belong to the steady state. Linked with counted_locks.cpp it prints the locks of it.
#include <mlflow/trace.hpp>

#include <benchmarks/floor.hpp>
#include <benchmarks/recorded.hpp>
#include <benchmarks/workload.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <unistd.h>

[[gnu::weak]] long locks_of_this_thread();

namespace {

using namespace benchmarks;

constexpr int warm = 64;

void mark(std::string_view what) {
    const ssize_t ignored = ::write(-1, what.data(), what.size());
    static_cast<void>(ignored);
}

// In the steady state the pools and buffers exist.
template <class Once>
void record(int times, Once&& once) {
    for (int i = 0; i < warm; ++i) once();
    const long before = locks_of_this_thread ? locks_of_this_thread() : 0;
    mark("steady state begins");
    for (int i = 0; i < times; ++i) once();
    mark("steady state ends");
    if (locks_of_this_thread) std::printf("%ld\n", locks_of_this_thread() - before);
}

template <class Tracer>
bool is_as_expected(Tracer& tracer, unsigned long long started, unsigned long long exported) {
    tracer.flush(std::chrono::seconds(60));
    const auto account = tracer.account();
    if (account.started == started && account.exported == exported) return true;
    std::fprintf(stderr, "%llu started, %llu exported\n", static_cast<unsigned long long>(account.started),
                 static_cast<unsigned long long>(account.exported));
    return false;
}

bool run(std::string_view what, int times) {
    const auto all = static_cast<unsigned long long>(times + warm);
    text_pairs texts;
    if (what == "llm" || what == "llm_literal_keys") {
        tracer_to<discard> tracer;
        if (what == "llm") record(times, [&] { record_trace(tracer, texts); });
        else record(times, [&] { record_trace<keys::literal>(tracer, texts); });
        return is_as_expected(tracer, 4 * all, 4 * all);
    }
    if (what == "llm_two_threads") {
        tracer_to<discard> tracer;
        std::thread other([&] {
            text_pairs own;
            record(times, [&] { record_trace(tracer, own); });
        });
        record(times, [&] { record_trace(tracer, texts); });
        other.join();
        return is_as_expected(tracer, 8 * all, 8 * all);
    }
    if (what == "llm_queued") {
        tracer_to<mt::batch<encode_and_drop>> tracer;
        record(times, [&] { record_trace(tracer, texts); });
        return is_as_expected(tracer, 4 * all, 4 * all);
    }
    if (what == "bare_root" || what == "bare_child") {
        open_tracer tracer;
        if (what == "bare_root") {
            record(times, [&] { record_bare(tracer); });
            return is_as_expected(tracer, all, all);
        }
        constexpr unsigned children = 64; // with their root once
        record(times, [&] { record_children(tracer, children); });
        return is_as_expected(tracer, (1 + children) * all, (1 + children) * all);
    }
    if (what == "off") {
        tracer_to<discard> tracer({.enabled = false});
        record(times, [&] { record_trace(tracer, texts); });
        return is_as_expected(tracer, 0, 0);
    }
    if (what == "sampled_out") {
        tracer_to<discard, mt::record_ratio> tracer({.recording = {.ratio = 0}});
        record(times, [&] { record_trace(tracer, texts); });
        return is_as_expected(tracer, 0, 0);
    }
    if (what == "floor_llm" || what == "floor_bare_root") {
        floor_writer<kernel_clock> floor;
        if (what == "floor_llm") record(times, [&] { floor.llm_trace(texts); });
        else record(times, [&] { floor.bare_root(); });
        return true;
    }
    return false;
}

} // namespace

int main(int count, char** arguments) {
    if (count != 3) return 2;
    return run(arguments[1], std::atoi(arguments[2])) ? 0 : 1;
}
