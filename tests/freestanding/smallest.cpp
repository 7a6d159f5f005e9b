// SPDX-License-Identifier: Apache-2.0
// The smallest use that has all parts: start, three attributes, inputs and outputs as text, end and drain, in memory
// whose size is fixed when compiling. What it costs is measured.
#include "machine.hpp"
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/static_memory.hpp>

namespace mt = mlflow::trace;

namespace {

struct board {
    static inline constinit std::uint64_t ticks = 1;
    static inline constinit int locked = 0;

    static std::uint64_t monotonic_nano() noexcept { return ticks += 1'000; }
    static std::uint64_t wall_nano() noexcept { return ticks; }
    static std::uint64_t random() noexcept { return ticks += 0x9e3779b97f4a7c15U; }
    static void lock() noexcept {
        disable_interrupts();
        ++locked;
    }
    static void unlock() noexcept {
        if (--locked == 0) enable_interrupts();
    }
    static void report(const mt::error&) noexcept {}
};

#ifndef CONTEXT
#define CONTEXT mt::explicit_context
#endif
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using platform = mt::static_memory_platform<board, {.spans = 3, .bytes = 384}>;
using framed = mt::framed_exporter<mt::no_link, platform::mutex>;
using tracer = mt::tracer<schema, CONTEXT, framed, mt::record_all, platform>;

char ring[1'024];

[[gnu::noinline]] void turn(tracer& traces, mt::borrowed<mt::user> user, mt::borrowed<mt::session> session,
                            std::string_view question, std::string_view answer) {
    auto trace = traces.start_trace("assistant", user, session);
    trace.attribute("app.microphone", 2).attribute("app.is_loud", true).attribute("app.room", "kitchen");
    trace.inputs(question);
    trace.outputs(answer);
}

int run() noexcept {
    const mt::borrowed<mt::user> user{"user-1042"};
    const mt::borrowed<mt::session> session{"kitchen-7"};
    static tracer traces(tracer::options{.exporter = {.ring = ring,
                                                      .device = {.id = "kitchen-1", .firmware = "1.4.2"},
                                                      .stream = 1,
                                                      .monotonic_nano = &board::monotonic_nano}});
    turn(traces, user, session, "How warm is it?", "warm");
    char chunk[64];
    std::size_t sent = 0;
    while (const std::size_t size = traces.exporter().drain(chunk)) sent += size;
    return sent > 200 && traces.account().exported == 1 ? 0 : 1;
}

} // namespace

extern "C" void run_device() noexcept { exit_with(run()); }
