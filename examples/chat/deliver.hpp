// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace chat {

/// Flushes until everything is delivered, or until there has been no progress for `without_progress`: a slow server
/// gets the time that it needs.
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
