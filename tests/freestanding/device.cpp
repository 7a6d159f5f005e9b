// SPDX-License-Identifier: Apache-2.0
// Records on a machine without an operating system, and writes what its exporter gets as lines of text by
// semihosting. `device_test.py` runs it and compares.
#include "machine.hpp"
#include <mlflow/trace/bare_metal.hpp>

namespace mt = mlflow::trace;

namespace {

struct board {
    static inline constinit std::uint64_t ticks = 0;
    static inline constinit std::uint64_t state = 42;
    static inline constinit int locked = 0;

    static mt::arena<6 * 1024>& memory() noexcept {
        static mt::arena<6 * 1024> only;
        return only;
    }

    static std::uint64_t monotonic_nano() noexcept { return ticks += 1'000; }
    static std::uint64_t wall_nano() noexcept { return 1'795'000'000'000'000'000 + ticks; }
    static std::uint64_t random() noexcept { // splitmix64
        std::uint64_t z = state += 0x9e3779b97f4a7c15U;
        z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
        z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
        return z ^ (z >> 31U);
    }
    static void lock() noexcept {
        disable_interrupts();
        ++locked;
    }
    static void unlock() noexcept {
        if (--locked == 0) enable_interrupts();
    }
    static void* reallocate(void* block, std::size_t size) noexcept { return memory().reallocate(block, size); }
    static void report(const mt::error& error) noexcept {
        say("refused ");
        say_text(error.about());
        say_number("", static_cast<std::uint64_t>(error.kind()));
    }
};

struct printing_exporter {
    static inline constinit bool is_loud = true;

    static mt::export_result export_traces(mt::trace_batch& batch) noexcept {
        for (const mt::trace_data& trace : batch) {
            if (!is_loud) continue;
            say("trace ");
            say_text(trace.id.hex());
            say("\n");
            for (const mt::trace_entry entry : trace.entries) {
                say("entry ");
                say_text(entry.key);
                say("=");
                say_text(entry.value);
                say("\n");
            }
            for (const mt::span_data* span = trace.spans; span; span = span->next) {
                say("span ");
                say_hex(span->body.view());
                say("\n");
            }
        }
        mt::export_result result;
        result.exported_spans = batch.span_count();
        return result;
    }
};

using assistant_schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using device_tracer = mt::tracer<assistant_schema, mt::global_context, printing_exporter, mt::record_all,
                                 mt::bare_metal_platform<board>>;

[[gnu::noinline]] std::string_view converse(device_tracer& tracer, const mt::session& session,
                                            std::string_view question) {
    static const mt::user user{"user-1042"}; // 1 KB, not on the stack
    auto trace = tracer.start_trace("assistant", user, session, mt::span_type::agent);
    trace.inputs(mt::arg("question", question));
    {
        auto span = tracer.start_span("generate", mt::span_type::llm);
        span.model("tiny").usage({12, 3, 0}).attribute("app.microphone", 2).attribute("app.gain", 0.5);
        span.outputs("It is \"warm\".");
    }
    trace.outputs("warm");
    return "warm";
}

int run() noexcept {
    device_tracer tracer;
    const auto session = mt::session::parse("kitchen-7");
    if (!session.has_value()) return 1;
    const stack_watch stack;
    converse(tracer, *session, "How warm is it?");
    const std::size_t stack_bytes = stack.used_bytes();

    // Once warm, a conversation leaves no more in the arena than the one before.
    printing_exporter::is_loud = false;
    converse(tracer, *session, "again");
    const std::size_t warm = board::memory().used_bytes();
    const instruction_counter counter;
    for (int turn = 0; turn < 1'000; ++turn) converse(tracer, *session, "again");
    const std::uint32_t instructions = counter.count() / 2'000;
    if (board::memory().used_bytes() != warm) return 2;

    // A text for which there is no memory is left out, and nothing else.
    printing_exporter::is_loud = true;
    {
        static const char huge[8 * 1024] = {'x'};
        const auto caller = mt::remote_span::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        if (!caller.has_value()) return 3;
        auto trace = tracer.start_trace("full", mt::user{"user-1043"}, *session, *caller);
        trace.inputs(std::string_view(huge, sizeof huge));
        trace.attribute("app.left", true);
        static_cast<void>(trace.set(mt::user{"user-1044"}));
    }

    const mt::span_account account = tracer.account();
    say_number("started", account.started);
    say_number("exported", account.exported);
    say_number("open", account.open);
    say_number("locked", static_cast<std::uint64_t>(board::locked));
    say_number("memory", board::memory().used_bytes());
    say_number("stack", stack_bytes);
    say_number("instructions", instructions);
    return 0;
}

} // namespace

extern "C" void run_device() noexcept { exit_with(run()); }
