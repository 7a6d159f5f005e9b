// SPDX-License-Identifier: Apache-2.0
// Records in memory whose size is fixed when compiling, on a machine without an operating system, and writes the
// records and what they cost as lines of text by semihosting. `device_test.py` runs it and compares.
#include "machine.hpp"
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/static_memory.hpp>

#include <cstring>

namespace mt = mlflow::trace;

namespace {

struct board {
    static inline constinit std::uint64_t ticks = 0;
    static inline constinit std::uint64_t state = 42;
    static inline constinit int locked = 0;

    static std::uint64_t monotonic_nano() noexcept { return ticks += 1'000; }
    static std::uint64_t wall_nano() noexcept { return 1'795'000'000'000'000'000 + ticks; }
    static std::uint64_t random() noexcept { return state += 0x9e3779b97f4a7c15U; }
    static void lock() noexcept {
        disable_interrupts();
        ++locked;
    }
    static void unlock() noexcept {
        if (--locked == 0) enable_interrupts();
    }
    static void report(const mt::error& error) noexcept {
        say("refused ");
        say_text(error.about());
        say_number(" ", static_cast<std::uint64_t>(error.kind()));
    }
};

// Writes each record to the console.
struct printing_exporter {
    static inline constinit char memory[1'024]{};

    static bool export_record(const mt::trace_record& trace) noexcept {
        mt::record_sink counted;
        trace.write(counted);
        mt::record_ring ring(memory, mt::ring_full::drop_newest);
        if (!ring.begin(counted.size(), [](mt::record_ring::place) {})) return false;
        mt::record_sink sink(ring);
        trace.write(sink);
        ring.end();
        say("record ");
        say_hex(ring.bytes(ring.front()).first);
        say("\n");
        return true;
    }
};

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using platform = mt::static_memory_platform<board, {.spans = 3, .bytes = 640}>;
using framed = mt::framed_exporter<mt::no_link, platform::mutex>;
template <class Exporter>
using device_tracer = mt::tracer<schema, mt::global_context, Exporter, mt::record_all, platform>;

template <class Tracer>
[[gnu::noinline]] void converse(Tracer& tracer, mt::borrowed<mt::session> session, std::string_view question) {
    auto trace = tracer.start_trace("assistant", mt::borrowed<mt::user>("user-1042"), session, mt::span_type::agent);
    trace.inputs(mt::arg("question", question));
    {
        auto span = tracer.start_span("generate", mt::span_type::llm);
        span.model("tiny").usage({12, 3, 0}).attribute("app.microphone", 2).attribute("app.gain", 0.5);
        span.outputs("It is \"warm\".");
    }
    trace.outputs("warm");
}

// One span, as in smallest.cpp.
[[gnu::noinline]] void turn(device_tracer<framed>& traces, std::string_view question, std::string_view answer) {
    auto trace =
        traces.start_trace("assistant", mt::borrowed<mt::user>("user-1042"), mt::borrowed<mt::session>("kitchen-7"));
    trace.attribute("app.microphone", 2).attribute("app.is_loud", true).attribute("app.room", "kitchen");
    trace.inputs(question);
    trace.outputs(answer);
}

[[gnu::noinline]] void send(framed& out) {
    char chunk[64];
    while (out.drain(chunk) != 0) {
    }
}

constexpr std::uint32_t times = 3; // what the ring holds
std::uint32_t instructions_of(const auto& function) {
    const instruction_counter counter;
    for (std::uint32_t i = 0; i < times; ++i) function();
    return counter.count() / times;
}

int run() noexcept {
    static device_tracer<printing_exporter> traces;
    const auto session = mt::borrowed<mt::session>::parse("kitchen-7");
    if (!session.has_value()) return 1;
    converse(traces, *session, "How warm is it?");
    {
        static char huge[1'024];
        std::memset(huge, 'x', sizeof huge);
        const auto caller = mt::remote_span::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        if (!caller.has_value()) return 2;
        auto trace = traces.start_trace("full", mt::borrowed<mt::user>("user-1043"), *session, *caller);
        trace.attribute("app.kept", true);
        trace.inputs(std::string_view(huge, sizeof huge));
        auto second = traces.start_trace("one too many", mt::borrowed<mt::user>("user-1044"), *session);
        static_cast<void>(trace.set(mt::borrowed<mt::user>("user-1044")));
    }
    const mt::span_account account = traces.account();
    say_number("started", account.started);
    say_number("exported", account.exported);
    say_number("dropped", account.dropped);
    say_number("open", account.open);
    say_number("locked", static_cast<std::uint64_t>(board::locked));

    static char ring[2'048];
    static device_tracer<framed> device(device_tracer<framed>::options{
        .exporter = {.ring = ring, .device = {.id = "kitchen-1", .firmware = "1.4.2"}}});
    say_number("tracer", sizeof device);
    const stack_watch stack;
    turn(device, "How warm is it?", "warm");
    send(device.exporter());
    say_number("stack", stack.used_bytes());

    std::size_t bytes = 0;
    const std::uint32_t recording = instructions_of([] { turn(device, "How warm is it?", "warm"); });
    const std::uint32_t sending = instructions_of([&bytes] {
        char chunk[512];
        bytes = device.exporter().drain(chunk);
    });
    say_number("recording", recording);
    say_number("sending", sending);
    say_number("frame", bytes);
    const mt::framed_counts counts = device.exporter().counts();
    say_number("lost", counts.dropped);
    return device.account().exported == 1 + times && counts.recorded == 1 + times ? 0 : 3;
}

} // namespace

extern "C" void run_device() noexcept { exit_with(run()); }
