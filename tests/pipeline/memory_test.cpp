// SPDX-License-Identifier: Apache-2.0
// Memory runs out on the thread that delivers.
#include "support/spool_folder.hpp"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>

// How many allocations of this thread fail from now on. Weak, because the sanitizers of clang bring an operator new
// that cannot be replaced.
namespace {
thread_local int failing_allocations = 0;
}
[[gnu::weak, gnu::noinline]] void* operator new(std::size_t size) {
    if (failing_allocations > 0 && failing_allocations-- > 0) throw std::bad_alloc();
    if (void* memory = std::malloc(size)) return memory;
    throw std::bad_alloc();
}
[[gnu::weak, gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::weak, gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;

// Is away at first, and then leaves that much less memory.
struct greedy_exporter {
    struct options {
        int takes = 0;
    };
    explicit greedy_exporter(options chosen) : takes(chosen.takes) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        failing_allocations = 0;
        if (++attempts > 3) return {.exported_spans = batch.span_count()};
        mt::export_result outcome{.failed_spans = batch.span_count(),
                                  .error = mt::error(mt::error_kind::other, {}, "a text that takes memory"),
                                  .retryable = true};
        failing_allocations = takes;
        return outcome;
    }
    int takes;
    int attempts = 0;
};

using out_of_memory = in_a_folder;

template <class Exporter>
void expect_to_be_delivered(typename Exporter::options options) {
    mt::tracer<mt::open_schema, mt::thread_local_context, Exporter> tracer({.exporter = std::move(options)});
    for (int i = 0; i < 3; ++i) auto span = tracer.start_span("span");
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(tracer.account().exported, 3U);
}

TEST_F(out_of_memory, a_retry_gives_up_nothing) {
    for (int takes = 1; takes <= 5; ++takes)
        expect_to_be_delivered<mt::batch<mt::retry<greedy_exporter>>>(
            {.exporter = {.exporter = {takes}, .first_wait = 1ms}, .delay = std::chrono::hours(1)});
}

TEST_F(out_of_memory, a_spool_goes_on) {
    for (int takes = 1; takes <= 20; ++takes)
        expect_to_be_delivered<mt::spool<greedy_exporter>>({.exporter = {takes},
                                                            .folder = folder,
                                                            .first_wait = 1ms,
                                                            .longest_wait = 1ms,
                                                            .diagnostics = {.interval = 0ms}});
}

} // namespace
