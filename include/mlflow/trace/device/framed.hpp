// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/device/record.hpp>
#include <mlflow/trace/device/record_ring.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/wire/protobuf.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What brings bytes to a gateway: a UART, a topic, a socket. `write` takes all of them, and may wait; false: it
/// could not, and the frame that they are a part of begins again later.
template <class T>
concept device_link = requires(T& link, std::string_view bytes) {
    { link.write(bytes) } noexcept -> std::same_as<bool>;
};

/// For those who take the bytes by `drain`.
struct no_link {};
/// Where no interrupt handler and no other thread records.
struct no_mutex {
    static void lock() noexcept {}
    static void unlock() noexcept {}
};

template <class Link = no_link>
struct framed_options {
    std::span<char> ring{}; ///< where records wait; it lives as long as the exporter
    ring_full when_full = ring_full::drop_newest;
    device_identity device{};
    std::uint32_t stream = 0; ///< another random number at each start of the device
    /// The board's, for a device that has no time of day and whose spans carry this in its place. Null: they carry
    /// UTC.
    std::uint64_t (*monotonic_nano)() noexcept = nullptr;
    bool is_acknowledged = false; ///< a record stays until `acknowledge` has been told of it
    [[no_unique_address]] Link link{};
};

/// Traces of a device, counted. At any moment `recorded == sent + dropped + waiting`.
struct framed_counts {
    std::uint32_t recorded = 0;
    std::uint32_t sent = 0;    ///< and acknowledged, where that is asked for
    std::uint32_t dropped = 0; ///< by a ring that was full
    std::uint32_t waiting = 0;
};

/// Keeps the traces of a device as records in a ring of the caller's, and gives them out as frames
/// (`device/frame.hpp`) over any link, in chunks of any size. What `device_gateway` in `examples/` takes, and brings
/// to MLflow.
///
/// Uses no heap, no exceptions, and no atomics. Thread-safety: export and `drain` take `Mutex` (for a board,
/// `bare_metal_platform<board>::mutex`) for as long as they copy; `drain`, `send`, `acknowledge` and `resend` are for
/// one thread at a time.
template <class Link = no_link, class Mutex = no_mutex>
class framed_exporter {
public:
    static constexpr bool is_thread_safe = true;
    using options = framed_options<Link>;

    constexpr explicit framed_exporter(options chosen) noexcept
        : options_(chosen), ring_(chosen.ring, chosen.when_full) {}

    export_result export_traces(trace_batch& traces) noexcept {
        export_result outcome;
        const detail::lock_guard guard(mutex_);
        for (const trace_data& trace : traces)
            (keep(trace) ? outcome.exported_spans : outcome.failed_spans) += trace.span_count;
        return outcome;
    }

    /// The next bytes for the link, and how many; 0 where nothing is to be sent. Never of two frames, so that a chunk
    /// with room for the longest frame is a whole one.
    std::size_t drain(std::span<char> chunk) noexcept {
        const detail::lock_guard guard(mutex_);
        const std::size_t size = fill(chunk);
        finish();
        return size;
    }

    /// Sends what waits over the link. False where that did not take it.
    bool send() noexcept
        requires device_link<Link>
    {
        char chunk[64];
        for (;;) {
            const std::size_t size = locked([&] { return fill(chunk); });
            if (size == 0) return true;
            const bool is_taken = options_.link.write({chunk, size});
            locked([&] { is_taken ? finish() : begin_again(); });
            if (!is_taken) return false;
        }
    }

    /// Moves what waits into a store that lasts, such as a `flash_ring`, instead: `keep(std::string_view record)`
    /// says whether it has it; `frame_of` makes the frame of a record. `room` is for one record. False where one is
    /// longer, or not kept: it stays here.
    template <class Keep>
    bool move_to(Keep&& keep, std::span<char> room) noexcept {
        for (;;) {
            std::uint32_t sequence = 0;
            const std::size_t size = locked([&] {
                const auto record = ring_.front();
                if (record.size > 0) sequence = sequence_of(record);
                if (record.size <= room.size()) {
                    const auto [first, second] = ring_.bytes(record);
                    detail::write_bytes(detail::write_bytes(room.data(), first), second);
                }
                return record.size;
            });
            if (size == 0) return true;
            if (size > room.size() || !keep(std::string_view(room.data(), size))) return false;
            locked([&] { settle(sequence); });
        }
    }

    /// What came back from the gateway, in pieces of any size.
    void acknowledge(std::string_view received) noexcept {
        const detail::lock_guard guard(mutex_);
        replies_.read(received, [this](const frame& reply) noexcept {
            if (reply.kind == frame_kind::acknowledgement && reply.stream == options_.stream) settle(reply.sequence);
        });
    }
    /// All that is not settled, once more, and the frame under way from its beginning: on a new connection, or after
    /// a time without an acknowledgement.
    void resend() noexcept {
        const detail::lock_guard guard(mutex_);
        begin_again();
        if (!ring_.empty()) to_send_ = sequence_of(ring_.front());
    }

    [[nodiscard]] framed_counts counts() noexcept {
        const detail::lock_guard guard(mutex_);
        return {.recorded = sequence_,
                .sent = settled_,
                .dropped = ring_.dropped(),
                .waiting = sequence_ - settled_ - ring_.dropped()};
    }
    [[nodiscard]] Link& link() noexcept { return options_.link; }

private:
    template <class Function>
    auto locked(const Function& function) noexcept {
        const detail::lock_guard guard(mutex_);
        return function();
    }

    // A dropped trace has a number too, which the gateway misses.
    bool keep(const trace_data& trace) noexcept {
        const std::uint32_t sequence = sequence_++;
        const auto write = [&, dropped = ring_.dropped()](auto& out) {
            detail::device_record::write(out, trace, options_.device, dropped);
        };
        detail::device_record::size_counter length;
        write(length);
        if (length.size() > detail::framing::longest_payload) return ring_.drop(), false;
        const detail::framing::header header(frame_kind::record, static_cast<std::uint16_t>(length.size()),
                                             options_.stream, sequence);
        const auto leaving = [this](record_ring::place oldest) {
            if (is_sending_ && sequence_of(oldest) == to_send_) begin_again(); // the gateway finds half a frame
        };
        if (!ring_.begin(detail::framing::header_size + length.size(), leaving)) return false;
        ring_.put(header.view());
        write(ring_);
        ring_.end();
        return true;
    }

    [[nodiscard]] std::uint32_t sequence_of(record_ring::place record) const noexcept {
        return ring_.number_in(record, 8);
    }
    // The first that is not settled, with this number or a later one.
    [[nodiscard]] record_ring::place waiting_from(std::uint32_t sequence) const noexcept {
        auto record = ring_.front();
        while (record.size > 0 &&
               (ring_.is_done(record) || static_cast<std::int32_t>(sequence_of(record) - sequence) < 0))
            record = ring_.after(record);
        return record;
    }

    std::size_t fill(std::span<char> chunk) noexcept {
        if (!is_sending_) {
            const auto next = waiting_from(to_send_);
            if (next.size == 0) return 0;
            to_send_ = sequence_of(next);
            const auto [first, second] = ring_.bytes(next);
            encoder_ = frame_encoder(first, second, ring_.crc(next), options_.monotonic_nano);
            is_sending_ = true;
        }
        return encoder_.read(chunk.data(), chunk.size());
    }
    void finish() noexcept {
        if (!is_sending_ || !encoder_.is_done()) return;
        is_sending_ = false;
        if (!options_.is_acknowledged) settle(to_send_);
        ++to_send_;
        remove_settled();
    }
    void begin_again() noexcept { is_sending_ = false; }

    void settle(std::uint32_t sequence) noexcept {
        const auto record = waiting_from(sequence);
        if (record.size == 0 || sequence_of(record) != sequence) return;
        ring_.set_done(record);
        ++settled_;
        remove_settled();
    }
    // Not what is being sent once more, while its acknowledgement comes in.
    void remove_settled() noexcept {
        while (!ring_.empty() && ring_.is_done(ring_.front()) &&
               !(is_sending_ && sequence_of(ring_.front()) == to_send_))
            ring_.pop_front();
    }

    options options_;
    record_ring ring_;
    frame_encoder encoder_;
    frame_decoder<0> replies_;
    std::uint32_t sequence_ = 0; // of the next trace
    std::uint32_t settled_ = 0;
    std::uint32_t to_send_ = 0; // the sequence number of the record that is sent, or may be next
    bool is_sending_ = false;
    [[no_unique_address]] Mutex mutex_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
