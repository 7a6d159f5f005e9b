// SPDX-License-Identifier: Apache-2.0
// What a device has of `framed_exporter` and nothing else, to be measured.
#include "machine.hpp"
#include <mlflow/trace/device/framed.hpp>

namespace mt = mlflow::trace;

namespace {

struct interrupts {
    static void lock() noexcept { disable_interrupts(); }
    static void unlock() noexcept { enable_interrupts(); }
};

char memory[1'024];
std::uint64_t ticks() noexcept { return 0; }

constinit mt::framed_exporter<mt::no_link, interrupts> framed({.ring = memory,
                                                               .when_full = mt::ring_full::drop_oldest,
                                                               .device = {.id = "kitchen-1", .firmware = "1.4.2"},
                                                               .stream = 1,
                                                               .monotonic_nano = &ticks,
                                                               .is_acknowledged = true});

} // namespace

extern "C" {
void keep(mt::trace_batch& finished) noexcept { static_cast<void>(framed.export_traces(finished)); }
std::size_t drain(char* to, std::size_t size) noexcept { return framed.drain({to, size}); }
void acknowledge(const char* from, std::size_t size) noexcept { framed.acknowledge({from, size}); }
void resend() noexcept { framed.resend(); }
std::uint32_t dropped() noexcept { return framed.counts().dropped; }
}
