// SPDX-License-Identifier: Apache-2.0
// What recording costs: nanoseconds per span in traces of four LLM spans, three deep, beside the floor of the machine
// (two clock reads, an ID and the copies), both measured in turn in one run. Prints the minimum and the median.
#include <mlflow/trace.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;

// Takes traces and lets them go: what is measured is recording.
struct discard {
    static constexpr bool is_thread_safe = true;
    mt::export_result export_traces(mt::trace_batch& batch) noexcept {
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
};

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;

const std::string question(500, 'q');
const std::string answer(500, 'a');

template <class Span>
void fill(Span& span) {
    span.attribute("llm.temperature_setting", "0.7 balanced")
        .attribute("llm.finish_reason", "stop")
        .attribute("llm.system", "builtin")
        .attribute("llm.request.id", "req-0123456789")
        .attribute("server.address", "127.0.0.1")
        .attribute("llm.usage.input", 120)
        .attribute("llm.usage.output", 48)
        .attribute("llm.max_tokens", 1024);
    span.inputs(question).outputs(answer);
}

template <class Tracer>
void one_trace(Tracer& tracer) {
    auto root = tracer.start_trace("chat", mt::user{"user-1042"}, mt::session{"session-7"});
    fill(root);
    {
        auto agent = tracer.start_span("agent", mt::span_type::agent);
        fill(agent);
        auto model = tracer.start_span("model", mt::span_type::llm);
        fill(model);
    }
    auto tool = tracer.start_span("tool", mt::span_type::tool);
    fill(tool);
}

template <class Tracer>
void one_bare_span(Tracer& tracer) {
    auto span = tracer.start_span("bare");
}

// Almost all of them are recorded, since a trace that is dropped costs less.
template <class Tracer>
void four_sampled_traces(Tracer& tracer, const std::vector<std::string>& sessions, std::size_t& turn) {
    for (int i = 0; i < 4; ++i)
        auto trace =
            tracer.start_trace("chat", mt::user{"user-1042"}, mt::session::parse(sessions[++turn % 64]).value());
}

// Per span: the clock twice, an ID, and as many bytes as the encoded span has, copied in pieces.
void floor_of_one_trace(std::vector<char>& ring) {
    for (int span = 0; span < 4; ++span) {
        std::uint64_t words[4] = {mt::hosted_platform::monotonic_nano(), mt::hosted_platform::new_span_id().value, 0,
                                  0};
        char* to = ring.data();
        for (int piece = 0; piece < 11; ++piece, to += 24) std::memcpy(to, "0123456789abcdef01234567", 24);
        std::memcpy(to, question.data(), question.size());
        std::memcpy(to + question.size(), answer.data(), answer.size());
        words[2] = mt::hosted_platform::monotonic_nano();
        std::memcpy(to + 1000, words, sizeof words);
        asm volatile("" : : "r"(ring.data()) : "memory");
    }
}

template <class Work>
double nano_per_span(Work&& work, int rounds) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < rounds; ++i) work();
    const auto spent = std::chrono::steady_clock::now() - begin;
    return static_cast<double>(std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count()) / rounds / 4;
}

struct series {
    const char* name;
    std::vector<double> figures{};

    void print(double floor) {
        std::sort(figures.begin(), figures.end());
        const double median = figures[figures.size() / 2];
        std::printf("%-42s %8.1f %8.1f %8.2f\n", name, figures.front(), median, median / floor);
    }
};

} // namespace

int main() {
    constexpr int repetitions = 21;
    constexpr int rounds = 20'000;
    using direct_tracer = mt::tracer<schema, mt::thread_local_context, discard>;
    using batched_tracer = mt::tracer<schema, mt::thread_local_context, mt::batch<discard>>;
    direct_tracer direct;
    direct_tracer off({.enabled = false});
    mt::tracer<mt::open_schema, mt::thread_local_context, discard> bare;
    batched_tracer batched({.exporter = {.max_queue_bytes = std::size_t{1} << 30U, .max_queue_spans = 10'000'000}});
    mt::tracer<schema, mt::thread_local_context, discard, mt::record_ratio> by_trace(
        {.recording = {.ratio = 0.999'999}});
    mt::tracer<schema, mt::thread_local_context, discard, mt::record_session_ratio<>> by_session(
        {.recording = {.ratio = 0.999'999}});
    std::vector<std::string> sessions;
    for (int i = 0; i < 64; ++i) sessions.push_back("5f0c2a1e-7c53-4f6e-9a55-0000000000" + std::to_string(10 + i));
    std::size_t turn = 0;
    std::vector<char> ring(4096);

    series floor{"floor: two clock reads, ID, copies"};
    series one_thread{"LLM span, one thread"};
    series consumer{"LLM span, consumer live"};
    series bare_span{"bare span (a trace of its own)"};
    series disabled{"tracing off at run time"};
    series sampled{"root, record_ratio"};
    series sampled_sessions{"root, record_session_ratio"};
    for (int repetition = 0; repetition < repetitions; ++repetition) {
        floor.figures.push_back(nano_per_span([&] { floor_of_one_trace(ring); }, rounds));
        one_thread.figures.push_back(nano_per_span([&] { one_trace(direct); }, rounds));
        consumer.figures.push_back(nano_per_span([&] { one_trace(batched); }, rounds));
        bare_span.figures.push_back(nano_per_span([&] { one_bare_span(bare); }, rounds) * 4);
        disabled.figures.push_back(nano_per_span([&] { one_trace(off); }, rounds));
        sampled.figures.push_back(nano_per_span([&] { four_sampled_traces(by_trace, sessions, turn); }, rounds));
        sampled_sessions.figures.push_back(
            nano_per_span([&] { four_sampled_traces(by_session, sessions, turn); }, rounds));
        batched.flush(std::chrono::seconds(30));
    }
    std::sort(floor.figures.begin(), floor.figures.end());
    const double median_floor = floor.figures[floor.figures.size() / 2];
    std::printf("%-42s %8s %8s %8s\n", "ns per span", "min", "median", "x floor");
    for (series* figures : {&floor, &one_thread, &consumer, &bare_span, &disabled, &sampled, &sampled_sessions})
        figures->print(median_floor);
    const auto account = batched.account();
    std::printf("dropped %llu of %llu spans\n", static_cast<unsigned long long>(account.dropped),
                static_cast<unsigned long long>(account.started));
}
