// SPDX-License-Identifier: Apache-2.0
// What recording costs: nanoseconds per span of mlflow_trace, of the same bytes written by hand (the floor), and of
// opentelemetry-cpp where it is given, all measured in turn in one process. Writes JSON; report.py reads it.
//
//   benchmark_recording [--quick] [--cpu N]
//
// With counted_malloc.cpp preloaded it counts allocations instead.
#include "floor.hpp"
#include "honest_floor.hpp"
#include "measuring.hpp"
#include "producers.hpp"
#include "recorded.hpp"
#include "workload.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/platform/cycle_counter.hpp>

#if defined(HAS_PEER)
#include "peer.hpp"
#endif

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/random.h>
#include <thread>

namespace benchmarks {
namespace {

constexpr std::size_t traces = 256; // in a repetition of most cases
constexpr std::size_t spans = 4 * traces;
constexpr std::size_t traces_of_producer = 1'024; // long enough that it does not matter which thread wakes up first
constexpr std::size_t children = 64;
constexpr std::size_t rounds_of_children = 64;
constexpr auto patience = std::chrono::seconds(60);

struct arguments {
    int repetitions = 101;
    std::size_t long_run = 40'000; // traces at full speed: more than the queue holds
    int processor = 1;
};

template <class Work>
double of_traces(std::size_t count, Work&& work) {
    return nano_per_unit(4 * count, [&] {
        for (std::size_t i = 0; i < count; ++i) work();
    });
}

// In a new thread each time, the thread itself not counted.
template <class Work>
double on_new_threads(int count, Work&& work) {
    double nano = 0;
    for (int i = 0; i < count; ++i) std::thread([&] { nano += nano_per_unit(1, work); }).join();
    return nano / count;
}

// A child costs what a trace with children takes longer than one without.
template <class Children>
double of_a_child(Children&& with_children) {
    const auto time = [&](std::size_t count) {
        return nano_per_unit(rounds_of_children * children, [&] {
            for (std::size_t i = 0; i < rounds_of_children; ++i) with_children(count);
        });
    };
    const double without = time(0);
    return time(children) - without;
}

void add_floor(figures& all) {
    static text_pairs texts;
    static floor_writer<kernel_clock> kernel;
    static floor_writer<cycle_clock> cycles;
    static floor_writer<kernel_clock, std::size_t{1} << 22U> as_a_queue; // as large as the queue after a burst
    all.add("floor_llm_queue", spans, [] { return of_traces(traces, [] { as_a_queue.llm_trace(texts); }); });
    all.add("floor_llm", spans, [] { return of_traces(traces, [] { kernel.llm_trace(texts); }); });
    all.add("floor_llm_cycles", spans, [] { return of_traces(traces, [] { cycles.llm_trace(texts); }); });
    all.add("floor_bare_root", spans, [] {
        return of_traces(traces, [] {
            for (int i = 0; i < 4; ++i) kernel.bare_root();
        });
    });
    all.add("floor_bare_child", spans, [] {
        return of_traces(traces, [] {
            for (int i = 0; i < 4; ++i) kernel.bare_child();
        });
    });
    // A new thread has to seed its IDs.
    all.add("floor_new_thread", 16, [] {
        return on_new_threads(16, [] {
            std::uint64_t seed[4];
            if (getrandom(seed, sizeof seed, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof seed)) return;
            keep(seed);
            kernel.bare_root();
        });
    });
}

template <class Tracer>
std::size_t dropped_by(Tracer& tracer) {
    tracer.flush(patience);
    const auto account = tracer.account();
    return account.dropped + account.failed;
}

class library_cases {
public:
    library_cases()
        : off_({.enabled = false}), sampled_out_({.recording = {.ratio = 0}}),
          burst_({.exporter = {.delay = std::chrono::milliseconds(1)}}),
          long_({.exporter = {.delay = std::chrono::milliseconds(1)}}) {}
    void add(figures& all, const arguments& given) {
        all.add("llm", spans, [this] { return of_traces(traces, [this] { record_trace(direct_, texts_); }); });
        all.add("llm_literal_keys", spans,
                [this] { return of_traces(traces, [this] { record_trace<keys::literal>(direct_, texts_); }); });
        all.add("llm_cycles", spans, [this] { return of_traces(traces, [this] { record_trace(cycles_, texts_); }); });
        all.add("llm_literal_keys_cycles", spans,
                [this] { return of_traces(traces, [this] { record_trace<keys::literal>(cycles_, texts_); }); });
        all.add("bare_root", spans, [this] {
            return of_traces(traces, [this] {
                for (int i = 0; i < 4; ++i) record_bare(open_);
            });
        });
        all.add("bare_child", rounds_of_children * (children + 2),
                [this] { return of_a_child([this](std::size_t count) { record_children(open_, count); }); });
        all.add("off", spans, [this] { return of_traces(traces, [this] { record_trace(off_, texts_); }); });
        all.add("sampled_out", spans,
                [this] { return of_traces(traces, [this] { record_trace(sampled_out_, texts_); }); });
        all.add("new_thread", 16, [this] { return on_new_threads(16, [this] { record_bare(open_); }); });
        all.add(
            "burst", spans, [this] { return of_traces(traces, [this] { record_trace(burst_, texts_); }); },
            [this] { burst_.flush(patience); });
        all.add(
            "full_speed", 4 * given.long_run,
            [this, count = given.long_run] { return of_traces(count, [this] { record_trace(long_, texts_); }); },
            [this] { long_.flush(patience); });
        all.add("two_producers_discard", 8 * traces_of_producer, [this] {
            return threads_.run(4 * traces_of_producer, [this](std::size_t number) {
                for (std::size_t i = 0; i < traces_of_producer; ++i) record_trace(direct_, each_[number]);
            });
        });
        all.add(
            "two_producers", 8 * traces_of_producer,
            [this] {
                return threads_.run(4 * traces_of_producer, [this](std::size_t number) {
                    for (std::size_t i = 0; i < traces_of_producer; ++i) record_trace(burst_, each_[number]);
                });
            },
            [this] { burst_.flush(patience); });
    }
    std::size_t dropped() { return dropped_by(burst_) + dropped_by(direct_); }
    std::size_t dropped_at_full_speed() { return dropped_by(long_); }
    static bool counts_cycles() { return mt::cycle_counter_platform::counts_cycles(); }

private:
    text_pairs texts_;
    text_pairs each_[2];
    tracer_to<discard> direct_;
    tracer_to<discard, mt::record_all, mt::cycle_counter_platform> cycles_;
    open_tracer open_;
    tracer_to<discard> off_;
    tracer_to<discard, mt::record_ratio> sampled_out_;
    tracer_to<mt::batch<encode_and_drop>> burst_;
    tracer_to<mt::batch<encode_and_drop>> long_;
    producers threads_{2, 0};
};

#if defined(HAS_PEER)
class peer_cases {
public:
    void add(figures& all, const arguments& given) {
        const auto traces_of = [this](peer::pipeline& to, std::size_t count) {
            return of_traces(count, [&] { peer::record_trace(to.tracer(), texts_); });
        };
        all.add("peer_llm", spans, [=, this] { return traces_of(direct_, traces); });
        all.add("peer_bare_root", spans, [this] {
            return of_traces(traces, [this] {
                for (int i = 0; i < 4; ++i) peer::record_bare(direct_.tracer());
            });
        });
        all.add("peer_bare_child", rounds_of_children * (children + 2), [this] {
            return of_a_child([this](std::size_t count) { peer::record_children(direct_.tracer(), count); });
        });
        all.add("peer_off", spans,
                [this] { return of_traces(traces, [this] { peer::record_trace(*off_, texts_); }); });
        all.add("peer_sampled_out", spans, [=, this] { return traces_of(sampled_out_, traces); });
        all.add("peer_new_thread", 16,
                [this] { return on_new_threads(16, [this] { peer::record_bare(direct_.tracer()); }); });
        all.add("peer_burst", spans, [=, this] { return traces_of(burst_, traces); }, [this] { burst_.flush(); });
        all.add(
            "peer_full_speed", 4 * given.long_run,
            [=, this, count = given.long_run] {
                full_speed_ += 4 * count;
                return traces_of(long_, count);
            },
            [this] { long_.flush(); });
        all.add("peer_two_producers_discard", 8 * traces_of_producer, [this] { return both(direct_); });
        all.add(
            "peer_two_producers", 8 * traces_of_producer, [this] { return both(burst_); },
            [this] { burst_.flush(); });
    }
    std::size_t dropped_at_full_speed() const { return full_speed_ - long_.exported(); }
    std::size_t recorded_at_full_speed() const { return full_speed_; }

private:
    double both(peer::pipeline& to) {
        return threads_.run(4 * traces_of_producer, [&](std::size_t number) {
            for (std::size_t i = 0; i < traces_of_producer; ++i) peer::record_trace(to.tracer(), each_[number]);
        });
    }

    text_pairs texts_;
    text_pairs each_[2];
    peer::pipeline direct_{peer::processing::at_the_end_of_each_span};
    peer::pipeline sampled_out_{peer::processing::at_the_end_of_each_span, false};
    peer::pipeline burst_{peer::processing::in_batches};
    peer::pipeline long_{peer::processing::in_batches};
    peer::tracer_pointer off_{
        std::shared_ptr<peer::otel::trace::Tracer>(std::make_shared<peer::otel::trace::NoopTracer>())};
    std::size_t full_speed_ = 0;
    producers threads_{2, 0};
};
#endif

const char* escape_name() noexcept {
    switch (mt::detail::json_way_here) {
    case mt::detail::json_way::vbmi2: return "AVX-512 VBMI2";
    case mt::detail::json_way::avx2: return "AVX2";
    case mt::detail::json_way::ssse3: return "SSSE3";
    case mt::detail::json_way::by_character: break;
    }
    return "none";
}

arguments read(int count, char** given) {
    arguments read;
    for (int i = 1; i < count; ++i) {
        if (std::strcmp(given[i], "--quick") == 0) read.repetitions = 21, read.long_run = 10'000;
        else if (std::strcmp(given[i], "--cpu") == 0 && i + 1 < count) read.processor = std::atoi(given[++i]);
        else std::fprintf(stderr, "unknown argument: %s\n", given[i]), std::exit(2);
    }
    return read;
}

int run(int count, char** given) {
    const arguments chosen = read(count, given);
    if (!texts_are_as_defined()) return std::fprintf(stderr, "the texts are not as defined\n"), 1;
    if (!floor_is_honest()) return std::fprintf(stderr, "the floor writes other bytes than the library\n"), 1;

    figures all;
    library_cases library; // with threads that may run on any processor
#if defined(HAS_PEER)
    peer_cases beside;
#endif
    bind_to(chosen.processor);
    add_floor(all);
    library.add(all, chosen);
#if defined(HAS_PEER)
    beside.add(all, chosen);
#endif
    const allocation_counter counted = counted_allocations();
    if (counted) all.count(counted);
    else all.measure(chosen.repetitions);

    std::printf(
        "{\n  \"processor\": \"%s\",\n  \"compiler\": \"%.*s\",\n  \"escape\": \"%s\",\n  \"version\": \"%s\",\n",
        processor_name().c_str(), static_cast<int>(compiler_name.size()), compiler_name.data(), escape_name(),
        MLFLOW_TRACE_VERSION);
    std::printf("  \"counts_cycles\": %s,\n  \"dropped\": %zu,\n  \"dropped_at_full_speed\": %zu,\n",
                library_cases::counts_cycles() ? "true" : "false", library.dropped(),
                library.dropped_at_full_speed());
#if defined(HAS_PEER)
    std::printf("  \"peer\": \"opentelemetry-cpp " OPENTELEMETRY_VERSION
                "\",\n  \"peer_dropped_at_full_speed\": %zu,\n  \"peer_recorded_at_full_speed\": %zu,\n",
                beside.dropped_at_full_speed(), beside.recorded_at_full_speed());
#endif
    std::printf("  \"figures\": ");
    all.write_json(stdout);
    std::printf("\n}\n");
    return 0;
}

} // namespace
} // namespace benchmarks

int main(int count, char** given) { return benchmarks::run(count, given); }
