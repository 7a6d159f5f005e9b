// SPDX-License-Identifier: Apache-2.0
// How cost grows: nanoseconds per piece of work over how much there is of it. Each point is the fewest of several
// repetitions; the points of a series are measured in turn. Writes JSON; plots.py draws it.
//
//   benchmark_growth [--quick]
#include "gated.hpp"
#include "measuring.hpp"
#include "producers.hpp"
#include "recorded.hpp"
#include "workload.hpp"
#include <mlflow/trace.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace benchmarks {
namespace {

using explicit_tracer = mt::tracer<mt::open_schema, mt::explicit_context, discard>;
using span_type = decltype(std::declval<open_tracer&>().start_span(""));

// Does what there is `size` of, and returns the nanoseconds for one.
using measured_size = std::function<double(std::size_t size)>;

struct series {
    const char* name;
    const char* x;
    const char* y;
    std::vector<std::size_t> sizes;
    measured_size measure;
};

// Repeats the work so that about `pieces` are done, and returns the nanoseconds per piece.
template <class Work>
double per_piece(std::size_t size, std::size_t pieces, Work&& work) {
    const std::size_t rounds = std::max<std::size_t>(1, pieces / std::max<std::size_t>(1, size));
    return nano_per_unit(rounds * std::max<std::size_t>(1, size), [&] {
        for (std::size_t i = 0; i < rounds; ++i) work();
    });
}

std::vector<std::string> numbered(std::size_t count) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("app.entry_number_" + std::to_string(i));
    return names;
}

std::string text_of(std::size_t size, std::size_t escape_each) {
    std::string text(size, 'x');
    for (std::size_t i = 0; escape_each != 0 && i < size; i += escape_each) text[i] = '"';
    return text;
}

open_tracer& tracer() {
    static open_tracer one;
    return one;
}

// A tracer that meets objects which are not on the stack. From then on it trusts the context less.
std::shared_ptr<open_tracer> tracer_of_such_objects() {
    constexpr mt::error_handler ignore = [](void*, const mt::error&) noexcept {};
    return std::make_shared<open_tracer>(open_tracer::options{.on_error = ignore});
}

double payload(std::size_t size, std::size_t escape_each) {
    const std::string text = text_of(size, escape_each);
    return per_piece(size, 2'000'000, [&] { tracer().start_span("span").inputs(text); });
}

template <class Start>
double open_at_once(std::size_t size, Start&& start) {
    using trace = decltype(start());
    return per_piece(size, 20'000, [&] {
        std::vector<trace> open;
        open.reserve(size);
        for (std::size_t i = 0; i < size; ++i) open.push_back(start());
        for (trace& each : open) each.end(); // the oldest first
    });
}

double behind_a_queue(std::size_t waiting) {
    std::mutex gate;
    std::unique_lock closed(gate);
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<gated>> queued(
        {.exporter = {.exporter = {&gate},
                      .max_queue_bytes = std::size_t{1} << 30U,
                      .max_queue_spans = 1'000'000,
                      .diagnostics = {.write = nullptr}}});
    for (std::size_t i = 0; i < waiting; ++i) record_bare(queued);
    const double nano = nano_per_unit(1'000, [&] {
        for (int i = 0; i < 1'000; ++i) record_bare(queued);
    });
    closed.unlock();
    queued.flush(std::chrono::seconds(60));
    return nano;
}

double with_threads(std::size_t count) {
    constexpr std::size_t traces = 1'000;
    static tracer_to<discard> shared;
    static std::vector<text_pairs> texts(4);
    producers threads(static_cast<int>(count), 0);
    const auto run = [&](std::size_t number) {
        for (std::size_t i = 0; i < traces; ++i) record_trace(shared, texts[number]);
    };
    threads.run(1, run);
    const std::size_t processors = std::min<std::size_t>(count, std::thread::hardware_concurrency());
    return threads.run(4 * traces * count, run) * static_cast<double>(processors);
}

std::vector<series> all_series() {
    std::vector<series> all;
    all.push_back({"attributes",
                   "attributes of a span",
                   "ns per span",
                   {0, 1, 2, 4, 8, 16, 32, 64, 128},
                   [keys = numbered(128)](std::size_t size) {
                       return nano_per_unit(2'000, [&] {
                           for (int i = 0; i < 2'000; ++i) {
                               auto span = tracer().start_span("span");
                               for (std::size_t k = 0; k < size; ++k) span.attribute(keys[k], "value of it");
                           }
                       });
                   }});
    const std::vector<std::size_t> bytes{10, 100, 1'000, 10'000, 100'000, 1'000'000, 10'000'000};
    all.push_back({"payload", "bytes of the inputs, an escape in 16", "ns per byte", bytes,
                   [](std::size_t size) { return payload(size, 16); }});
    all.push_back({"payload_plain", "bytes of the inputs, without escapes", "ns per byte", bytes,
                   [](std::size_t size) { return payload(size, 0); }});
    all.push_back({"chunks",
                   "chunks of a stream, 20 bytes each",
                   "ns per chunk",
                   {1, 10, 100, 1'000, 10'000},
                   [](std::size_t size) {
                       return per_piece(size, 20'000, [&] {
                           auto span = tracer().start_span("span");
                           for (std::size_t i = 0; i < size; ++i) span.chunk("twenty bytes of text");
                       });
                   }});
    const std::vector<std::size_t> deep{1, 3, 10, 30, 100, 300, 1'000, 3'000, 10'000};
    all.push_back({"depth", "nested spans, the innermost ends first", "ns per span", deep,
                   [own = tracer_of_such_objects()](std::size_t size) {
                       return per_piece(size, 10'000, [&] {
                           std::vector<span_type> open;
                           open.reserve(size);
                           for (std::size_t i = 0; i < size; ++i) open.push_back(own->start_span("span"));
                           while (!open.empty()) open.pop_back();
                       });
                   }});
    all.push_back({"outside_in", "nested spans, the outermost ends first", "ns per span", deep,
                   [own = tracer_of_such_objects()](std::size_t size) {
                       return per_piece(size, 10'000, [&] {
                           std::deque<span_type> open;
                           for (std::size_t i = 0; i < size; ++i) open.push_back(own->start_span("span"));
                           while (!open.empty()) open.pop_front();
                       });
                   }});
    all.push_back(
        {"width", "children of one root", "ns per span", {1, 10, 100, 1'000, 10'000, 100'000}, [](std::size_t size) {
             return per_piece(size, 10'000, [&] { record_children(tracer(), size); });
         }});
    const std::vector<std::size_t> open{1, 10, 100, 1'000, 10'000, 100'000};
    all.push_back({"open_traces", "open traces, the oldest ends first", "ns per trace", open,
                   [own = tracer_of_such_objects()](std::size_t size) {
                       return open_at_once(size, [&] { return own->start_trace("trace"); });
                   }});
    all.push_back({"open_traces_explicit", "open traces of explicit_context", "ns per trace", open,
                   [own = std::make_shared<explicit_tracer>()](std::size_t size) {
                       return open_at_once(size, [&] { return own->start_trace("trace"); });
                   }});
    all.push_back({"metadata",
                   "metadata entries of a trace",
                   "ns per entry",
                   {1, 10, 100, 1'000, 10'000, 100'000},
                   [keys = numbered(100'000)](std::size_t size) {
                       return per_piece(size, 10'000, [&] {
                           auto trace = tracer().start_trace("trace");
                           for (std::size_t i = 0; i < size; ++i) trace.metadata(keys[i], "value of it");
                       });
                   }});
    all.push_back({"queue",
                   "spans waiting in the queue",
                   "ns per span",
                   {0, 1'000, 4'000, 16'000, 64'000, 256'000},
                   behind_a_queue});
    all.push_back({"threads", "threads that record LLM spans", "processor ns per span", {1, 2, 3, 4}, with_threads});
    return all;
}

int run(int repetitions) {
    std::printf("{\n  \"processor\": \"%s\",\n  \"processors\": %u,\n  \"compiler\": \"%.*s\",\n"
                "  \"version\": \"%s\",\n  \"series\": [",
                processor_name().c_str(), std::thread::hardware_concurrency(), static_cast<int>(compiler_name.size()),
                compiler_name.data(), MLFLOW_TRACE_VERSION);
    bool is_first = true;
    for (const series& each : all_series()) {
        std::vector<double> fewest(each.sizes.size(), 1e300);
        for (int repetition = 0; repetition < repetitions; ++repetition)
            for (std::size_t i = 0; i < each.sizes.size(); ++i)
                fewest[i] = std::min(fewest[i], each.measure(each.sizes[i]));
        std::printf("%s\n    {\"name\": \"%s\", \"x\": \"%s\", \"y\": \"%s\", \"points\": [", is_first ? "" : ",",
                    each.name, each.x, each.y);
        for (std::size_t i = 0; i < fewest.size(); ++i)
            std::printf("%s[%zu, %.3f]", i == 0 ? "" : ", ", each.sizes[i], fewest[i]);
        std::printf("]}");
        is_first = false;
    }
    std::printf("\n  ]\n}\n");
    return 0;
}

} // namespace
} // namespace benchmarks

int main(int count, char** given) {
    const bool is_quick = count > 1 && std::strcmp(given[1], "--quick") == 0;
    if (count > 1 && !is_quick) return std::fprintf(stderr, "unknown argument: %s\n", given[1]), 2;
    return benchmarks::run(is_quick ? 7 : 21);
}
