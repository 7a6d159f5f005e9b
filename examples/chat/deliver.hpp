// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace chat {

/// Waits until everything is delivered, or for so long nothing was: a server may be slow, and yet take it all.
template <class Tracer>
void deliver(Tracer& tracer, std::chrono::milliseconds without_progress) {
    const auto progress = [&tracer]() -> std::uint64_t { return tracer.exporter().status().progress; };
    for (auto before = progress(); !tracer.flush(without_progress);) {
        const auto now = progress();
        if (now == before) return;
        before = now;
    }
}

} // namespace chat
