// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/spool/checksum.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// A frame on a link that transports bytes. Numbers are little-endian. Everything between the two zeros is encoded
// with COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999) and contains no zero: a reader that
// starts in the middle, or meets a torn frame, continues at the next zero.
//
//      bytes  what
//          1  0
//          1  version: 1
//          1  kind: 1 record, 2 acknowledgement
//          2  length of the payload, n
//          4  stream: a random number of each start of the device
//          4  sequence number in the stream, from 0
//          n  payload: a record (device/record.hpp), or nothing
//          8  clock: the device's monotonic nanoseconds at the time of sending; 0: no such clock
//          4  CRC-32C (RFC 3720) of everything from the version on
//          1  0
//
// A frame with a payload of n bytes takes at most n + 28 + n / 254 bytes. The code is freestanding: no heap, no
// exceptions.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What a frame is for.
enum class frame_kind : std::uint8_t { record = 1, acknowledgement = 2 };

/// A complete frame. The payload is valid until the decoder reads further bytes.
struct frame {
    /// What the frame is for.
    frame_kind kind{};
    /// The random number of the device's start.
    std::uint32_t stream = 0;
    /// The number of the record in its stream.
    std::uint32_t sequence = 0;
    /// The device's monotonic nanoseconds at the time of sending; 0: no such clock.
    std::uint64_t clock = 0;
    /// The record, or nothing.
    std::string_view payload;
};

namespace detail::framing {

inline constexpr char version = 1;
inline constexpr std::size_t header_size = 12;
inline constexpr std::size_t trailer_size = 12;
inline constexpr std::size_t longest_payload = 0xffff;

template <class Number>
constexpr void write_number(char* to, Number number) noexcept {
    if constexpr (sizeof number > 4) { // a 32-bit processor shifts 64 bits by a function
        write_number(to, static_cast<std::uint32_t>(number));
        return write_number(to + 4, static_cast<std::uint32_t>(number >> 32U));
    }
    for (std::size_t i = 0; i < sizeof number; ++i) to[i] = static_cast<char>(number >> (8 * i) & 255U);
}

// CRC-32C, four bits at a time: its table has 64 bytes, that of `crc32c` 8 KiB. Starts with `crc_begin`; the
// complement of the result is sent.
inline constexpr std::uint32_t crc_begin = 0xffff'ffffU;
struct crc_table {
    std::uint32_t of[16]{};

    consteval crc_table() {
        for (std::uint32_t nibble = 0; nibble < 16; ++nibble) {
            of[nibble] = nibble;
            for (int bit = 0; bit < 4; ++bit) of[nibble] = of[nibble] >> 1U ^ (of[nibble] & 1U ? 0x82f63b78U : 0U);
        }
    }
};
inline constexpr crc_table crc_nibbles;
// Inlined also for small code: a call of it for each byte takes a tenth of the instructions of a span.
[[gnu::always_inline]] constexpr std::uint32_t crc_of(char byte, std::uint32_t crc) noexcept {
    crc ^= static_cast<unsigned char>(byte);
    crc = crc >> 4U ^ crc_nibbles.of[crc & 15U];
    return crc >> 4U ^ crc_nibbles.of[crc & 15U];
}
constexpr std::uint32_t crc_of(std::string_view bytes, std::uint32_t crc) noexcept {
    for (const char byte : bytes) crc = crc_of(byte, crc);
    return crc;
}

struct header {
    char bytes[header_size];

    constexpr header(frame_kind kind, std::uint16_t length, std::uint32_t stream, std::uint32_t sequence) noexcept
        : bytes{version, static_cast<char>(kind)} {
        write_number(bytes + 2, length);
        write_number(bytes + 4, stream);
        write_number(bytes + 8, sequence);
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {bytes, header_size}; }
};

} // namespace detail::framing

/// Writes a frame piece by piece.
///
/// Thread-safety: none.
class frame_encoder {
public:
    /// A clock in nanoseconds.
    using clock = std::uint64_t (*)() noexcept;

    /// An encoder that is done.
    constexpr frame_encoder() noexcept = default;
    /// Encodes a frame of header and payload. They may be split into two pieces, which must outlive the encoder.
    /// `crc` is the CRC-32C of both, started with `crc_begin`. `now` is called as late as possible; it may be null.
    frame_encoder(std::string_view first, std::string_view second, std::uint32_t crc, clock now) noexcept
        : first_(first), second_(second), crc_(crc), now_(now), state_(state::begin) {}

    /// Whether the whole frame has been written.
    [[nodiscard]] bool is_done() const noexcept { return state_ == state::done; }

    /// Writes up to `size` bytes and returns their number, which is smaller only at the end of the frame.
    std::size_t read(char* to, std::size_t size) noexcept {
        std::size_t written = 0;
        while (written < size && !is_done()) to[written++] = next();
        return written;
    }

private:
    enum class state : std::uint8_t { begin, inside, last_block, done };

    [[nodiscard]] std::size_t content() const noexcept { return first_.size() + second_.size(); }
    [[nodiscard]] std::size_t total() const noexcept { return content() + sizeof trailer_; }
    char at(std::size_t place) noexcept {
        if (place < first_.size()) return first_[place];
        if (place < content()) return second_[place - first_.size()];
        if (!is_stamped_) stamp();
        return trailer_[place - content()];
    }
    void stamp() noexcept {
        is_stamped_ = true;
        detail::framing::write_number(trailer_, now_ ? now_() : std::uint64_t{0});
        detail::framing::write_number(trailer_ + 8, ~detail::framing::crc_of({trailer_, 8}, crc_));
    }
    char next() noexcept {
        if (state_ == state::begin) {
            state_ = state::inside;
            return 0;
        }
        if (left_ > 0) {
            const char byte = at(place_++);
            if (--left_ == 0 && is_before_zero_) ++place_;
            return byte;
        }
        if (state_ == state::last_block) {
            state_ = state::done;
            return 0;
        }
        constexpr std::size_t longest = 254;
        while (left_ < longest && place_ + left_ < total() && at(place_ + left_) != 0) ++left_;
        const bool is_end = place_ + left_ == total();
        is_before_zero_ = left_ < longest && !is_end;
        if (is_end) state_ = state::last_block;
        if (left_ == 0 && is_before_zero_) ++place_;
        return static_cast<char>(left_ + 1);
    }

    std::string_view first_;
    std::string_view second_;
    std::size_t place_ = 0;
    std::size_t left_ = 0; // of the current block
    std::uint32_t crc_ = 0;
    clock now_ = nullptr;
    char trailer_[detail::framing::trailer_size]{};
    state state_ = state::done;
    bool is_stamped_ = false;
    bool is_before_zero_ = false;
};

/// The frame of a stored record (`framed_exporter::move_to`). A record from an earlier start of the device, which has
/// another stream number, gets no clock, because the current clock does not apply to it.
inline frame_encoder frame_of(std::string_view record, std::uint32_t stream_now, frame_encoder::clock now) noexcept {
    using namespace detail::framing;
    const bool is_of_now =
        record.size() >= header_size && detail::read_little_endian<std::uint32_t>(record.data() + 4) == stream_now;
    return {record, {}, crc_of(record, crc_begin), is_of_now ? now : nullptr};
}

/// The complete frame that acknowledges the record of this stream with this sequence number, for a gateway to send.
inline std::array<char, detail::framing::header_size + detail::framing::trailer_size + 3>
acknowledgement_of(std::uint32_t stream, std::uint32_t sequence) noexcept {
    namespace framing = detail::framing;
    const framing::header header(frame_kind::acknowledgement, 0, stream, sequence);
    frame_encoder encoder(header.view(), {}, framing::crc_of(header.view(), framing::crc_begin), nullptr);
    std::array<char, framing::header_size + framing::trailer_size + 3> bytes{}; // two zeros, and one byte of COBS
    encoder.read(bytes.data(), bytes.size());
    return bytes;
}

/// Whether `reply` acknowledges a stored record (`framed_exporter::move_to`).
[[nodiscard]] inline bool acknowledges(const frame& reply, std::string_view record) noexcept {
    return reply.kind == frame_kind::acknowledgement && record.size() >= detail::framing::header_size &&
           reply.stream == detail::read_little_endian<std::uint32_t>(record.data() + 4) &&
           reply.sequence == detail::read_little_endian<std::uint32_t>(record.data() + 8);
}

/// Finds frames in received bytes, which may be split anywhere. Accepts payloads of up to `MaxPayload` bytes, and has
/// a buffer of that size.
///
/// Thread-safety: none.
template <std::size_t MaxPayload = detail::framing::longest_payload>
class frame_decoder {
public:
    /// Calls `take(const frame&)` for each complete frame.
    template <class Take>
    void read(std::string_view bytes, Take&& take) {
        for (const char byte : bytes) {
            if (byte != 0) {
                put_encoded(static_cast<unsigned char>(byte));
                continue;
            }
            frame found;
            if (is_whole(found)) {
                ++frames_;
                take(static_cast<const frame&>(found));
            } else if (is_begun_) {
                ++damaged_;
            }
            size_ = left_ = 0;
            is_begun_ = is_too_long_ = is_zero_due_ = false;
        }
    }

    /// The number of complete frames.
    [[nodiscard]] std::uint32_t frames() const noexcept { return frames_; }
    /// The number of byte sequences between two zeros that were not valid frames: torn, changed, or of another
    /// version.
    [[nodiscard]] std::uint32_t damaged() const noexcept { return damaged_; }

private:
    void put_encoded(unsigned char byte) noexcept {
        is_begun_ = true;
        if (left_ > 0) {
            put(static_cast<char>(byte));
            --left_;
            return;
        }
        if (is_zero_due_) put(0);
        left_ = byte - 1U;
        is_zero_due_ = byte != 255;
    }
    void put(char byte) noexcept {
        if (size_ < sizeof bytes_) bytes_[size_++] = byte;
        else is_too_long_ = true;
    }
    [[nodiscard]] bool is_whole(frame& found) const noexcept {
        using namespace detail::framing;
        if (size_ < header_size + trailer_size || left_ > 0 || is_too_long_ || bytes_[0] != version) return false;
        const std::size_t length = size_ - header_size - trailer_size;
        const auto kind = static_cast<frame_kind>(bytes_[1]);
        if (detail::read_little_endian<std::uint16_t>(bytes_ + 2) != length ||
            (kind != frame_kind::record && kind != frame_kind::acknowledgement) ||
            detail::read_little_endian<std::uint32_t>(bytes_ + size_ - 4) !=
                static_cast<std::uint32_t>(~crc_of({bytes_, size_ - 4}, crc_begin)))
            return false;
        found = {.kind = kind,
                 .stream = detail::read_little_endian<std::uint32_t>(bytes_ + 4),
                 .sequence = detail::read_little_endian<std::uint32_t>(bytes_ + 8),
                 .clock = detail::read_little_endian<std::uint64_t>(bytes_ + size_ - trailer_size),
                 .payload = {bytes_ + header_size, length}};
        return true;
    }

    char bytes_[detail::framing::header_size + MaxPayload + detail::framing::trailer_size]{};
    std::size_t size_ = 0;
    std::size_t left_ = 0; // of the current block
    std::uint32_t frames_ = 0;
    std::uint32_t damaged_ = 0;
    bool is_begun_ = false;
    bool is_too_long_ = false;
    bool is_zero_due_ = false;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
