// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/flash_ring.hpp>
#include <mlflow/trace/device/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace embedded {

namespace mt = mlflow::trace;

/// Sends the records of a `flash_ring`, one at a time, and removes each once the gateway has acknowledged it.
template <class Link, class Flash>
class stored_records {
public:
    using ring = mt::flash_ring<Flash>;

    /// `stream` and `now` are those of the exporter's options. `room` has space for one record.
    stored_records(ring& records, Link link, std::uint32_t stream, mt::frame_encoder::clock now,
                   std::span<char> room) noexcept
        : records_(records), link_(link), stream_(stream), now_(now), room_(room) {}

    /// Sends the oldest record. Call it again if its acknowledgement is late. Returns false if there is no record, or
    /// if the link fails.
    bool send() noexcept {
        const std::size_t size = records_.front(room_);
        if (size == 0) return false;
        auto frame = mt::frame_of({room_.data(), size}, stream_, now_);
        char chunk[64];
        while (!frame.is_done())
            if (!link_.write({chunk, frame.read(chunk, sizeof chunk)})) return false;
        return true;
    }
    /// Reads bytes from the gateway. Returns true if they acknowledge the oldest record.
    bool acknowledge(std::string_view received) noexcept {
        bool is_removed = false;
        replies_.read(received, [&](const mt::frame& reply) {
            // Not necessarily the one that `send` has sent: `append` may have dropped that one since.
            if (!mt::acknowledges(reply, {room_.data(), records_.front(room_)})) return;
            is_removed = records_.pop();
        });
        return is_removed;
    }

private:
    ring& records_;
    Link link_;
    std::uint32_t stream_;
    mt::frame_encoder::clock now_;
    std::span<char> room_;
    mt::frame_decoder<0> replies_;
};

} // namespace embedded
