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

/// A connection to the gateway: a UART, a topic, a socket. `write` sends all of the bytes and may block. It returns
/// false on failure; the frame is then sent again from its beginning.
template <class T>
concept device_link = requires(T& link, std::string_view bytes) {
    { link.write(bytes) } noexcept -> std::same_as<bool>;
};

/// For applications that read the frames with `drain`.
struct no_link {};
/// For applications in which no interrupt handler and no other thread records.
struct no_mutex {
    /// Does nothing.
    static void lock() noexcept {}
    /// Does nothing.
    static void unlock() noexcept {}
};

/// Options of `framed_exporter`.
template <class Link = no_link>
struct framed_options {
    std::span<char> ring{}; ///< memory for waiting records; must outlive the exporter
    /// Which record is dropped if the ring is full.
    ring_full when_full = ring_full::drop_newest;
    /// Written into each record.
    device_identity device{};
    /// A random number, different at each start of the device. With 0, the gateway stores repeated records again.
    std::uint32_t stream = 0;
    /// The board's monotonic clock, for a device without time of day: its spans have this time. Null: the spans have
    /// UTC.
    std::uint64_t (*monotonic_nano)() noexcept = nullptr;
    bool is_acknowledged = false; ///< whether a record is kept until `acknowledge` has received its acknowledgement
    /// The connection to the gateway.
    [[no_unique_address]] Link link{};
};

/// Counts of a device's traces. At any moment `recorded == sent + dropped + waiting`.
struct framed_counts {
    /// Traces that ended.
    std::uint32_t recorded = 0;
    std::uint32_t sent = 0;    ///< sent, and acknowledged if that is required; or moved by `move_to`
    std::uint32_t dropped = 0; ///< the ring was full, or the trace too long for a frame
    /// Traces in the ring.
    std::uint32_t waiting = 0;
};

/// Keeps a device's traces as records in memory provided by the caller, and sends them as frames (device/frame.hpp)
/// over any link, in chunks of any size. `examples/device_gateway` receives the frames and delivers the traces to
/// MLflow.
///
/// Uses no heap, no exceptions and no atomics.
///
/// Thread-safety: the functions hold `Mutex` (on a board, `bare_metal_platform<board>::mutex`) while they use the
/// ring. `drain`, `send`, `move_to`, `acknowledge` and `resend` are called by one thread at a time, `export_traces`
/// by any.
template <class Link = no_link, class Mutex = no_mutex>
class framed_exporter {
public:
    /// See `thread_safe_exporter` in concepts.hpp.
    static constexpr bool is_thread_safe = true;
    /// See `framed_options`.
    using options = framed_options<Link>;

    /// Stores the options.
    constexpr explicit framed_exporter(const options& chosen) noexcept
        : options_(chosen), ring_(chosen.ring, chosen.when_full) {}

    /// Writes each trace into the ring. A trace that does not fit counts as failed.
    export_result export_traces(trace_batch& traces) noexcept {
        export_result outcome;
        const detail::lock_guard guard(mutex_);
        for (const trace_data& trace : traces) {
            const auto write = [&trace](record_sink& out) { detail::device_record::write(out, trace); };
            (keep(write) ? outcome.exported_spans : outcome.failed_spans) += trace.span_count;
        }
        return outcome;
    }
    /// The same for a trace of a tracer with `static_memory_platform`. Returns false if it does not fit.
    template <class Record>
    bool export_record(const Record& trace) noexcept {
        const detail::lock_guard guard(mutex_);
        return keep([&trace](record_sink& out) { trace.write(out); });
    }

    /// Writes the next bytes for the link into `chunk` and returns their number; 0 if there is nothing to send. A
    /// chunk never contains bytes of two frames, so a chunk with room for the longest frame holds a complete one.
    std::size_t drain(std::span<char> chunk) noexcept {
        const detail::lock_guard guard(mutex_);
        const std::size_t size = fill(chunk);
        finish();
        return size;
    }

    /// Sends the waiting frames over the link. Returns false if the link fails.
    bool send() noexcept {
        static_assert(device_link<Link>,
                      "the link lacks a member: bool write(std::string_view) noexcept; without one, "
                      "pass what drain() returns to the link");
        char chunk[64];
        for (;;) {
            const std::size_t size = locked([&] { return fill(chunk); });
            if (size == 0) return true;
            const bool is_taken = options_.link.write({chunk, size});
            locked([&] { is_taken ? finish() : stop(); });
            if (!is_taken) return false;
        }
    }

    /// Moves the waiting records to persistent storage, such as a `flash_ring`: `keep(std::string_view record)`
    /// returns whether it stored the record. `frame_of` later makes the frame of a stored record. `room` is a buffer
    /// for one record. Returns false if a record is longer than `room` or was not stored; it then stays in the ring,
    /// and those behind it too. Make `room` and `flash_ring::longest` at least as large as the ring. The frame of a
    /// moved record that was sent in part is not completed.
    template <class Keep>
    bool move_to(Keep&& keep, std::span<char> room) noexcept {
        for (;;) {
            std::uint32_t sequence = 0;
            const std::size_t size = locked([&] {
                const auto record = ring_.empty() ? ring_.front() : waiting_from(sequence_of(ring_.front()));
                if (record.size > 0) sequence = sequence_of(record);
                if (record.size <= room.size()) {
                    const auto [first, second] = ring_.bytes(record);
                    detail::write_bytes(detail::write_bytes(room.data(), first), second);
                }
                return record.size;
            });
            if (size == 0) return true;
            if (size > room.size() || !keep(std::string_view(room.data(), size))) return false;
            locked([&] {
                if (is_sending_ && to_send_ == sequence) begin_again();
                settle(sequence);
            });
        }
    }

    /// Reads acknowledgements from the gateway, in pieces of any size.
    void acknowledge(std::string_view received) noexcept {
        const detail::lock_guard guard(mutex_);
        replies_.read(received, [this](const frame& reply) noexcept {
            if (reply.kind == frame_kind::acknowledgement && reply.stream == options_.stream) settle(reply.sequence);
        });
    }
    /// Sends all unacknowledged records again, the current frame from its beginning. Call it on a new connection, or
    /// after a time without acknowledgements.
    void resend() noexcept {
        const detail::lock_guard guard(mutex_);
        stop();
        if (!ring_.empty()) to_send_ = sequence_of(ring_.front());
    }

    /// The counts of traces.
    [[nodiscard]] framed_counts counts() noexcept {
        const detail::lock_guard guard(mutex_);
        return {.recorded = sequence_,
                .sent = settled_,
                .dropped = ring_.dropped(),
                .waiting = sequence_ - settled_ - ring_.dropped()};
    }
    /// The link.
    [[nodiscard]] Link& link() noexcept { return options_.link; }

private:
    template <class Function>
    auto locked(const Function& function) noexcept {
        const detail::lock_guard guard(mutex_);
        return function();
    }

    // A dropped trace uses a number too, so that the gateway notices the gap.
    template <class Write>
    bool keep(const Write& write_trace) noexcept {
        const std::uint32_t sequence = sequence_++;
        const std::uint32_t dropped = ring_.dropped();
        record_sink out; // counts the bytes first
        for (bool is_counted = false;; is_counted = true) {
            write_trace(out);
            detail::device_record::write(out, options_.device, dropped);
            if (is_counted) break;
            if (!begin(out.size(), sequence)) return false;
            out = record_sink(ring_);
        }
        ring_.end();
        return true;
    }
    // Not inlined, so that its variables are not on the stack while the record is written.
    [[gnu::noinline]] bool begin(std::size_t length, std::uint32_t sequence) noexcept {
        if (length > detail::framing::longest_payload) return ring_.drop(), false;
        const auto leaving = [this](record_ring::place oldest) {
            if (is_sending_ && sequence_of(oldest) == to_send_) begin_again(); // the gateway receives half a frame
        };
        if (!ring_.begin(detail::framing::header_size + length, leaving)) return false;
        const detail::framing::header header(frame_kind::record, static_cast<std::uint16_t>(length), options_.stream,
                                             sequence);
        ring_.put(header.view());
        return true;
    }

    [[nodiscard]] std::uint32_t sequence_of(record_ring::place record) const noexcept {
        return ring_.number_in(record, 8);
    }
    // The first unsettled record with this number or a later one.
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
    void stop() noexcept {
        begin_again();
        remove_settled();
    }

    void settle(std::uint32_t sequence) noexcept {
        const auto record = waiting_from(sequence);
        if (record.size == 0 || sequence_of(record) != sequence) return;
        ring_.set_done(record);
        ++settled_;
        remove_settled();
    }
    // A record that is being sent again stays, even if its acknowledgement arrives meanwhile.
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
    std::uint32_t to_send_ = 0; // of the record that is being sent, or is sent next
    bool is_sending_ = false;
    [[no_unique_address]] Mutex mutex_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
