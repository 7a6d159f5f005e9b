// SPDX-License-Identifier: Apache-2.0
// A device that loses power twice before it can send: each start records a trace and moves it to flash, and the third
// sends them all to a `device_gateway`. The flash is memory that a reset of the emulator leaves as it is.
// `tests/mlflow/device.py` builds it and runs it in qemu.
#include "board.hpp"
#include "stored.hpp"
#include <mlflow/trace/device/framed.hpp>

#include <array>
#include <cstring>

namespace {

using namespace embedded;

struct flash {
    static constexpr std::uint32_t sector_size = 4096;
    static constexpr std::uint32_t sector_count = 2;
    static constexpr std::uint32_t program_size = 8;
    [[gnu::section(".noinit")]] static char cells[sector_size * sector_count];

    static bool erase(std::uint32_t sector) noexcept {
        std::memset(cells + sector * sector_size, 0xff, sector_size);
        return true;
    }
    static bool program(std::uint32_t address, std::string_view bytes) noexcept {
        for (const char byte : bytes) {
            cells[address] = static_cast<char>(cells[address] & byte);
            ++address;
        }
        return true;
    }
    static void read(std::uint32_t address, std::span<char> to) noexcept {
        std::memcpy(to.data(), cells + address, to.size());
    }
};
char flash::cells[sector_size * sector_count];
[[gnu::section(".noinit")]] std::uint32_t starts; // zero when the emulator begins

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using framed = mt::framed_exporter<mt::no_link, mt::bare_metal_platform<board>::mutex>;
using tracer = mt::tracer<schema, mt::global_context, framed, mt::record_all, mt::bare_metal_platform<board>>;
using records = stored_records<uart, flash>;

std::array<char, 2 * 1024> waiting;
std::array<char, records::ring::longest> room;
flash cells;

// Arm semihosting, https://github.com/ARM-software/abi-aa/blob/main/semihosting/semihosting.rst.
int ask_host(int call, const void* argument) noexcept {
    register int r0 asm("r0") = call;
    register const void* r1 asm("r1") = argument;
    asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void reset() noexcept {
    device_register(0xe000ed0c) = 0x05fa'0004; // AIRCR.SYSRESETREQ
    for (;;) {
    }
}

int run() noexcept {
    const std::uint32_t start = starts++;
    board::start(start, static_cast<std::uint32_t>(ask_host(0x11, nullptr)));
    const auto stream = static_cast<std::uint32_t>(board::random());
    tracer traces(framed::options{.ring = waiting,
                                  .device = {.id = "cellar-1", .firmware = "1.4.2"},
                                  .stream = stream,
                                  .monotonic_nano = &board::monotonic_nano});
    {
        auto trace = traces.start_trace("start", mt::user{"user-1043"}, mt::session{"cellar-1"});
        trace.inputs(mt::arg("number", start));
    }
    records::ring stored(cells, mt::ring_full::drop_oldest);
    if (!traces.exporter().move_to([&](std::string_view record) noexcept { return stored.append(record); }, room))
        return 1;
    if (start < 2) reset();

    records out(stored, uart{}, stream, &board::monotonic_nano, room);
    for (int attempt = 0; attempt < 100; ++attempt) {
        if (!out.send()) return 0;
        for (const auto end = board::monotonic_nano() + 500'000'000; board::monotonic_nano() < end;) {
            if (!uart::has_byte()) continue;
            const char byte = uart::read();
            if (out.acknowledge({&byte, 1})) break;
        }
    }
    return 2;
}

} // namespace

extern "C" void run_device() noexcept {
    const int reason[] = {0x20026, run()}; // ADP_Stopped_ApplicationExit
    ask_host(0x20, reason);
}
