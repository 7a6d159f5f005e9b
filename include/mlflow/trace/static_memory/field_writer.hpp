// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/json_escape.hpp>
#include <mlflow/trace/text/utf8.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Writes one field of a span into fixed memory. Has the functions of a buffer that encoders of values use. Written
// for small code: every function is a single one, and not specialised for short values.
class field_writer {
public:
    field_writer(char* begin, std::size_t capacity) noexcept : begin_(begin), capacity_(capacity) {}

    unsigned depth = 0; // of nested arrays and objects

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] char* data() const noexcept { return begin_; }
    [[nodiscard]] std::string_view view() const noexcept { return {begin_, size_}; }
    // Whether everything has fitted so far.
    [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }

    [[nodiscard]] char* ensure(std::size_t size) noexcept {
        is_whole_ = is_whole_ && size <= capacity_ - size_;
        return is_whole_ ? begin_ + size_ : nullptr;
    }
    void commit(std::size_t size) noexcept { size_ += size; }
    void truncate(std::size_t size) noexcept { size_ = size; }
    [[gnu::noinline]] bool push_back(char byte) noexcept {
        char* const to = ensure(1);
        if (!to) return false;
        *to = byte;
        ++size_;
        return true;
    }
    [[gnu::noinline]] bool append(std::string_view bytes) noexcept {
        char* const to = ensure(bytes.size());
        if (!to) return false;
        write_bytes(to, bytes);
        size_ += bytes.size();
        return true;
    }
    [[gnu::noinline]] bool varint(std::uint64_t value) noexcept {
        auto low = static_cast<std::uint32_t>(value);
        for (auto high = static_cast<std::uint32_t>(value >> 32U); (high | low >> 7U) != 0; high >>= 7U) {
            push_back(static_cast<char>(low | 0x80U));
            low = low >> 7U | high << 25U;
        }
        return push_back(static_cast<char>(low));
    }
    [[gnu::noinline]] bool fixed64(std::uint64_t value) noexcept {
        char bytes[sizeof value];
        write_fixed64(bytes, value);
        return append({bytes, sizeof bytes});
    }

    // Appends text. Invalid UTF-8 becomes U+FFFD. With `is_json`, characters are escaped as in a JSON string.
    [[gnu::noinline]] bool text(std::string_view text, bool is_json = false) noexcept {
        const char* at = text.data();
        const char* const end = at + text.size();
        while (at != end) {
            const char* const begin = at;
            while (at != end && static_cast<unsigned char>(*at) < 0x80 && !(is_json && json_escape_letter(*at) != 0))
                ++at;
            append({begin, static_cast<std::size_t>(at - begin)});
            if (at != end) at = special_character(at, end);
        }
        return is_whole_;
    }

    // Begins a length-delimited field. Returns the place of its length, for `close`.
    [[gnu::noinline]] std::size_t open(unsigned field) noexcept {
        push_back(short_tag(field, wire_type::length_delimited));
        push_back(0);
        return size_;
    }
    // Completes the field that began at `at`. A length that takes more than a byte moves the content.
    [[gnu::noinline]] bool close(std::size_t at) noexcept {
        const std::size_t length = size_ - at;
        if (length >= 0x80) push_back(0);
        if (!is_whole_) return false;
        if (length >= 0x80) {
            std::memmove(begin_ + at + 1, begin_ + at, length);
            begin_[at] = static_cast<char>(length >> 7U);
        }
        begin_[at - 1] = static_cast<char>(length >= 0x80 ? length | 0x80U : length);
        return true;
    }
    [[gnu::noinline]] bool text_field(unsigned field, std::string_view content) noexcept {
        const std::size_t at = open(field);
        text(content);
        return close(at);
    }

private:
    // Appends a character outside ASCII, or the escape of one. Returns the place behind it. Not inlined, to save
    // stack.
    [[gnu::noinline]] const char* special_character(const char* at, const char* end) noexcept {
        char escape[6]{'\xEF', '\xBF', '\xBD'}; // U+FFFD
        std::string_view written(escape, 3);
        const char* const character = at;
        if (const char letter = json_escape_letter(*at))
            written = {escape, static_cast<std::size_t>(write_json_escape(escape, *at++, letter) - escape)};
        else if (skip_character(at, end)) written = {character, static_cast<std::size_t>(at - character)};
        append(written);
        return at;
    }
    // Moves `at` behind a character outside ASCII, or behind the bytes that one U+FFFD replaces; then it returns
    // false. The same as `decode_utf8`, which also decodes, in half the code.
    static bool skip_character(const char*& at, const char* end) noexcept {
        const unsigned lead = static_cast<unsigned char>(*at++);
        unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
        unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
        int more = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        bool is_valid = more != 0;
        for (; more > 0 && is_valid; --more) {
            is_valid = at != end && static_cast<unsigned char>(*at) >= low && static_cast<unsigned char>(*at) <= high;
            if (is_valid) ++at;
            low = 0x80;
            high = 0xBF;
        }
        return is_valid;
    }

    char* begin_;
    std::size_t capacity_;
    std::size_t size_ = 0;
    bool is_whole_ = true;
};

// Found before the templates of text/json_writer.hpp.
inline bool append_json_string(field_writer& out, std::string_view text) noexcept {
    return out.push_back('"') && out.text(text, true) && out.push_back('"');
}
inline bool append_bytes(field_writer& out, std::string_view bytes) noexcept { return out.append(bytes); }

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
