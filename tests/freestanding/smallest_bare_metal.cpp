// SPDX-License-Identifier: Apache-2.0
// The same as smallest.cpp, with an arena.
#include "machine.hpp"
#include <mlflow/trace/bare_metal.hpp>
#include <mlflow/trace/device/framed.hpp>

namespace mt = mlflow::trace;

namespace {

struct board {
    static inline constinit std::uint64_t ticks = 1;
    static inline constinit int locked = 0;
    static inline constinit mt::arena<1'536> memory;

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
    static void* reallocate(void* block, std::size_t size) noexcept { return memory.reallocate(block, size); }
    static void report(const mt::error&) noexcept {}
};

#ifndef CONTEXT
#define CONTEXT mt::explicit_context
#endif
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using platform = mt::bare_metal_platform<board>;
using framed = mt::framed_exporter<mt::no_link, platform::mutex>;
using tracer = mt::tracer<schema, CONTEXT, framed, mt::record_all, platform>;

char ring[1'024];

[[gnu::noinline]] void turn(tracer& traces, const mt::user& user, const mt::session& session,
                            std::string_view question, std::string_view answer) {
    auto trace = traces.start_trace("assistant", user, session);
    trace.attribute("app.microphone", 2).attribute("app.is_loud", true).attribute("app.room", "kitchen");
    trace.inputs(question);
    trace.outputs(answer);
}

int run() noexcept {
    static const mt::user user{"user-1042"};
    static const mt::session session{"kitchen-7"};
    tracer traces(framed::options{.ring = ring,
                                  .device = {.id = "kitchen-1", .firmware = "1.4.2"},
                                  .stream = 1,
                                  .monotonic_nano = &board::monotonic_nano});
    turn(traces, user, session, "How warm is it?", "warm");
    char chunk[64];
    std::size_t sent = 0;
    while (const std::size_t size = traces.exporter().drain(chunk)) sent += size;
    return sent > 200 && traces.account().exported == 1 ? 0 : 1;
}

} // namespace

extern "C" void run_device() noexcept { exit_with(run()); }
