// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/record_ring.hpp>
#include <mlflow/trace/wire/protobuf.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Takes the fields of a record (device/record.hpp), for a ring, or only to count their bytes. A record is written
/// twice, so that no buffer is needed.
///
/// Thread-safety: none.
class record_sink {
public:
    /// Only counts.
    constexpr record_sink() noexcept = default;
    /// Writes into a ring.
    constexpr explicit record_sink(record_ring& ring) noexcept : ring_(&ring) {}

    /// The number of bytes so far.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Writes encoded bytes.
    void put(std::string_view bytes) noexcept {
        size_ += bytes.size();
        if (ring_) ring_->put(bytes);
    }
    /// Writes an integer field.
    void number(unsigned field, std::uint32_t value) noexcept {
        tagged(detail::short_tag(field, detail::wire_type::varint), value);
    }
    /// Writes a field of 8 bytes.
    void fixed64(unsigned field, std::uint64_t value) noexcept {
        // The number lies aligned behind its tag: byte by byte, it would take more code, stack and time.
        struct aligned_field {
            char padding[7];
            char tag;
            std::uint64_t number;
        } encoded;
        encoded.tag = detail::short_tag(field, detail::wire_type::fixed64);
        if constexpr (std::endian::native == std::endian::little) encoded.number = value;
        else detail::framing::write_number(reinterpret_cast<char*>(&encoded.number), value);
        put({reinterpret_cast<const char*>(&encoded) + offsetof(aligned_field, tag), 1 + sizeof value});
    }
    /// Writes the tag and the length of a field whose content follows.
    void begin(unsigned field, std::size_t length) noexcept {
        tagged(detail::short_tag(field, detail::wire_type::length_delimited), static_cast<std::uint32_t>(length));
    }
    /// Writes a text field.
    void bytes(unsigned field, std::string_view value) noexcept {
        begin(field, value.size());
        put(value);
    }
    /// Writes a message, whose fields `content(record_sink&)` writes. It is called twice.
    template <class Content>
    void message(unsigned field, const Content& content) noexcept {
        record_sink counted;
        content(counted);
        begin(field, counted.size());
        content(*this);
    }

private:
    void tagged(char tag, std::uint32_t value) noexcept {
        char encoded[1 + 5]; // not initialized: that would be a call of memset
        encoded[0] = tag;
        std::size_t size = 1;
        for (; value >= 0x80; value >>= 7U) encoded[size++] = static_cast<char>(value | 0x80U);
        encoded[size++] = static_cast<char>(value);
        put({encoded, size});
    }

    record_ring* ring_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
