// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/wire/protobuf.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Reads the fields of one protobuf message:
//
//     for (protobuf_reader at(bytes); at.next();) use(at.field(), at.type(), at.bytes() or at.number());
//
// It never reads out of bounds, and stops at the first malformed field; `failed()` then returns true.
class protobuf_reader {
public:
    explicit protobuf_reader(std::string_view message) noexcept : rest_(message) {}

    [[nodiscard]] bool next() noexcept {
        const char* const begin = rest_.data();
        raw_ = {};
        bytes_ = {};
        number_ = 0;
        if (rest_.empty() || failed_) return false;
        std::uint64_t tag = 0;
        if (!varint(tag) || tag >> 3U == 0 || tag >> 3U > 0x1fffffff) return fail();
        field_ = static_cast<std::uint32_t>(tag >> 3U);
        type_ = static_cast<wire_type>(tag & 7U);
        switch (type_) {
        case wire_type::varint:
            if (!varint(number_)) return fail();
            break;
        case wire_type::fixed64:
            if (!fixed(8)) return fail();
            break;
        case wire_type::fixed32:
            if (!fixed(4)) return fail();
            break;
        case wire_type::length_delimited: {
            std::uint64_t length = 0;
            if (!varint(length) || length > rest_.size()) return fail();
            bytes_ = rest_.substr(0, static_cast<std::size_t>(length));
            rest_.remove_prefix(static_cast<std::size_t>(length));
            break;
        }
        default: return fail(); // groups are in proto2 only, and OTLP has none
        }
        raw_ = {begin, static_cast<std::size_t>(rest_.data() - begin)};
        return true;
    }

    [[nodiscard]] std::uint32_t field() const noexcept { return field_; }
    [[nodiscard]] wire_type type() const noexcept { return type_; }
    [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; } // of a length-delimited field
    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }  // of any other field
    [[nodiscard]] std::string_view raw() const noexcept { return raw_; }     // with tag and length
    [[nodiscard]] bool failed() const noexcept { return failed_; }

private:
    bool fail() noexcept {
        failed_ = true;
        return false;
    }
    bool varint(std::uint64_t& value) noexcept {
        value = 0;
        for (std::size_t i = 0; i < max_varint_size && i < rest_.size(); ++i) {
            const auto byte = static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i]));
            value |= (byte & 0x7fU) << (7 * i);
            if (byte < 0x80) {
                rest_.remove_prefix(i + 1);
                return true;
            }
        }
        return false;
    }
    bool fixed(std::size_t size) noexcept {
        if (rest_.size() < size) return false;
        for (std::size_t i = 0; i < size; ++i)
            number_ |= static_cast<std::uint64_t>(static_cast<unsigned char>(rest_[i])) << (8 * i);
        rest_.remove_prefix(size);
        return true;
    }

    std::string_view rest_;
    std::string_view raw_;
    std::string_view bytes_;
    std::uint64_t number_ = 0;
    std::uint32_t field_ = 0;
    wire_type type_ = wire_type::varint;
    bool failed_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
