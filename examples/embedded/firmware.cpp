// SPDX-License-Identifier: Apache-2.0
// A voice assistant without an operating system. It records its turns and sends them over the UART to a
// `device_gateway` until each one is acknowledged. `tests/mlflow/device.py` builds it and runs it in qemu.
#include "board.hpp"
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/static_memory.hpp>

#include <array>

namespace {

using namespace embedded;

#ifndef SERIAL_NUMBER
#define SERIAL_NUMBER 1
#endif

#ifdef FIXED_MEMORY // in memory inside the tracer, instead of the board's arena
using platform = mt::static_memory_platform<board, {.spans = 2, .bytes = 768}>;
#else
using platform = mt::bare_metal_platform<board>;
#endif
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using framed = mt::framed_exporter<uart, platform::mutex>;
using tracer = mt::tracer<schema, mt::global_context, framed, mt::record_all, platform>;

constinit std::array<char, 4 * 1024> ring{};

// What a server has sent to the device: its session, and the header `traceparent`. The turn joins the session, and
// links to the server's span.
constexpr std::string_view session_of_server = "kitchen-7";
constexpr std::string_view traceparent_of_server = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

void converse(tracer& traces, std::string_view question, std::string_view answer) {
    const auto session = mt::session::parse(session_of_server);
    const auto caller = mt::remote_span::parse(traceparent_of_server);
    if (!session.has_value() || !caller.has_value()) return;
    auto trace = traces.start_trace("assistant", mt::user{"user-1042"}, *session, *caller, mt::span_type::agent);
    trace.inputs(mt::arg("question", question));
    {
        auto span = traces.start_span("generate", mt::span_type::llm);
        span.model("tiny").usage({.input = 12, .output = 3}).attribute("app.microphone", 2);
        board::wait(30'000'000);
        span.outputs(answer);
    }
    trace.outputs(answer);
}

// Sends until everything is acknowledged; repeats what is not acknowledged within 100 ms.
bool deliver(framed& to) noexcept {
    for (int attempt = 0; attempt < 600; ++attempt) {
        to.send();
        for (const auto end = board::monotonic_nano() + 100'000'000; board::monotonic_nano() < end;) {
            if (!uart::has_byte()) continue;
            const char byte = uart::read();
            to.acknowledge({&byte, 1});
            if (to.counts().waiting == 0) return true;
        }
        to.resend();
    }
    return false;
}

// Arm semihosting, https://github.com/ARM-software/abi-aa/blob/main/semihosting/semihosting.rst.
enum class host_call : int { time = 0x11, exit_extended = 0x20 };

int ask_host(host_call call, const void* argument) noexcept {
    register int r0 asm("r0") = static_cast<int>(call);
    register const void* r1 asm("r1") = argument;
    asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

int run() noexcept {
    board::start(SERIAL_NUMBER, static_cast<std::uint32_t>(ask_host(host_call::time, nullptr)));
    static constexpr char id[] = {'k', 'i', 't', 'c', 'h', 'e', 'n', '-', '0' + SERIAL_NUMBER};
    tracer traces(framed::options{.ring = ring,
                                  .device = {.id = {id, sizeof id}, .firmware = "1.4.2"},
                                  .stream = static_cast<std::uint32_t>(board::random()),
                                  .monotonic_nano = &board::monotonic_nano,
                                  .is_acknowledged = true});
    converse(traces, "How warm is it?", "It is \"warm\".");
    board::wait(50'000'000);
    converse(traces, "And tomorrow?", "Colder.");
    if (!deliver(traces.exporter())) return 1;
    converse(traces, "Thanks.", "You are welcome.");
    if (!deliver(traces.exporter())) return 2;
    return traces.account().exported == 6 && traces.exporter().counts().sent == 3 ? 0 : 3;
}

} // namespace

extern "C" void run_device() noexcept {
    const int reason[] = {0x20026, run()}; // ADP_Stopped_ApplicationExit
    ask_host(host_call::exit_extended, reason);
}
