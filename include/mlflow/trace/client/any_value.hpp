// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>
#include <mlflow/trace/text/json_number.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

// OTLP's AnyValue, and the JSON text that MLflow's server stores for it: the output of Python's json.dumps.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline void append_hex_digits(std::string& out, std::uint32_t value, int digits) {
    while (digits-- > 0) out += "0123456789abcdef"[value >> (4 * digits) & 15U];
}

inline void append_python_text(std::string& out, std::string_view text, bool ascii) {
    out += '"';
    for (std::size_t at = 0; at < text.size();) {
        const auto [code, length, valid] = decode_utf8(suffix_from(text, at));
        const auto escape = std::string_view("\"\\\n\r\t\f\b").find(static_cast<char>(code < 0x80 ? code : 0x7F));
        if (escape != std::string_view::npos) {
            out += {'\\', "\"\\nrtfb"[escape]};
        } else if (code < 0x20 || (ascii && code > 0x7E && code < 0x10000)) {
            out += "\\u";
            append_hex_digits(out, code, 4);
        } else if (ascii && code >= 0x10000) {
            out += "\\u";
            append_hex_digits(out, 0xD800 + ((code - 0x10000) >> 10U), 4);
            out += "\\u";
            append_hex_digits(out, 0xDC00 + ((code - 0x10000) & 0x3FFU), 4);
        } else {
            out += valid ? text.substr(at, length) : std::string_view("\xEF\xBF\xBD");
        }
        at += length;
    }
    out += '"';
}

// As Python's repr: the shortest digits that read back to the same value, with an exponent below 1e-4 and from 1e16
// on.
inline void append_python_float(std::string& out, double value) {
    if (!is_finite(value)) {
        out += value != value ? "NaN" : value < 0 ? "-Infinity" : "Infinity";
        return;
    }
    char written[40];
    const char* const end =
        std::to_chars(written, written + sizeof written, value, std::chars_format::scientific).ptr;
    std::string_view rest(written, static_cast<std::size_t>(end - written));
    if (rest.starts_with('-')) {
        out += '-';
        rest.remove_prefix(1);
    }
    const std::size_t e = rest.find('e');
    const int exponent = std::atoi(std::string(rest.substr(e + 1)).c_str());
    std::string digits(1, rest[0]);
    if (e > 2) digits += rest.substr(2, e - 2);
    if (exponent < -4 || exponent >= 16) {
        out += digits[0];
        if (digits.size() > 1) out += '.' + digits.substr(1);
        out += exponent < 0 ? "e-" : "e+";
        const std::string shown = std::to_string(std::abs(exponent));
        out += (shown.size() < 2 ? "0" : "") + shown;
        return;
    }
    if (exponent < 0) {
        out += "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
        return;
    }
    const auto whole = static_cast<std::size_t>(exponent) + 1;
    if (digits.size() <= whole) out += digits + std::string(whole - digits.size(), '0') + ".0";
    else out += digits.substr(0, whole) + '.' + digits.substr(whole);
}

// Writes a parsed JSON value.
inline void append_python(std::string& out, json_value value, bool ascii) {
    using kind = json_value::kind;
    switch (value.what()) {
    case kind::null: out += "null"; break;
    case kind::boolean: out += value.raw(); break;
    case kind::text: append_python_text(out, value.text(), ascii); break;
    case kind::number:
        if (value.is_integer()) out += value.raw() == "-0" ? "0" : value.raw();
        else append_python_float(out, value.number());
        break;
    case kind::array:
    case kind::object: {
        const bool is_object = value.is(kind::object);
        out += is_object ? '{' : '[';
        bool is_first = true;
        for (const json_value one : value) {
            if (!is_first) out += ", ";
            is_first = false;
            if (is_object) {
                append_python_text(out, one.key(), ascii);
                out += ": ";
            }
            append_python(out, one, ascii);
        }
        out += is_object ? '}' : ']';
    }
    }
}

enum class any_kind : std::uint8_t { none, text, boolean, integer, number, bytes, array, object };

// A value that its type does not allow, for example an integer of more than 64 bits, becomes `none`.
class any_value {
public:
    explicit any_value(json_value any = {}) noexcept {
        if (!any.is(json_value::kind::object)) return;
        constexpr struct {
            std::string_view name, other;
            any_kind what;
        } fields[] = {
            {"stringValue", "string_value", any_kind::text}, {"intValue", "int_value", any_kind::integer},
            {"boolValue", "bool_value", any_kind::boolean},  {"doubleValue", "double_value", any_kind::number},
            {"arrayValue", "array_value", any_kind::array},  {"kvlistValue", "kvlist_value", any_kind::object},
            {"bytesValue", "bytes_value", any_kind::bytes}};
        for (const json_value member : any)
            for (const auto& [name, other, what] : fields)
                if ((member.is_named(name) || member.is_named(other)) && !member.is(json_value::kind::null)) {
                    value_ = member;
                    what_ = is_allowed(what) ? what : any_kind::none;
                }
    }

    [[nodiscard]] any_kind what() const noexcept { return what_; }
    [[nodiscard]] bool is_none() const noexcept { return what_ == any_kind::none; }
    [[nodiscard]] std::string text() const { // for `any_kind::text`
        return value_.is(json_value::kind::text) ? value_.text() : std::string(value_.raw());
    }
    [[nodiscard]] json_value values() const noexcept { return value_["values"]; }
    [[nodiscard]] std::int64_t integer() const noexcept {
        const auto read = value_.is(json_value::kind::text) ? json_value::integer_in(value_.raw()) : value_.integer();
        return read.value_or(0);
    }
    [[nodiscard]] double number() const noexcept {
        if (!value_.is(json_value::kind::text)) return value_.number();
        json_node read{.raw = value_.raw(), .what = json_node::kind::number};
        return json_value(read).number();
    }
    [[nodiscard]] bool is_true() const noexcept { return value_.is_true(); }

private:
    [[nodiscard]] bool is_allowed(any_kind what) const noexcept {
        using kind = json_value::kind;
        const std::string_view raw = value_.raw();
        switch (what) {
        case any_kind::text: return value_.is(kind::text) || value_.is(kind::number) || value_.is(kind::boolean);
        case any_kind::boolean: return value_.is(kind::boolean);
        case any_kind::integer:
            return value_.is(kind::text) ? json_value::integer_in(raw).has_value() : value_.integer().has_value();
        case any_kind::number: {
            if (value_.is(kind::number)) return true;
            if (!value_.is(kind::text)) return false;
            json_cursor number(raw);
            return raw == "NaN" || raw == "Infinity" || raw == "-Infinity" ||
                   (!raw.empty() && (raw[0] == '-' || (raw[0] >= '0' && raw[0] <= '9')) &&
                    number.value(1) == json_cursor::outcome::complete && number.rest().empty());
        }
        case any_kind::bytes: return value_.is(kind::text);
        case any_kind::array:
        case any_kind::object: return value_.is(kind::object);
        case any_kind::none: break;
        }
        return false;
    }

    json_value value_{};
    any_kind what_ = any_kind::none;
};

inline std::string bytes_of_base64(std::string_view text) {
    std::string bytes;
    unsigned bits = 0;
    unsigned held = 0;
    for (char c : text) {
        c = c == '-' ? '+' : c == '_' ? '/' : c;
        constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const auto digit = digits.find(c);
        if (digit == std::string_view::npos) break;
        bits = bits << 6U | static_cast<unsigned>(digit);
        for (held += 6; held >= 8; held -= 8) bytes += static_cast<char>(bits >> (held - 8) & 255U);
    }
    return bytes;
}

// Python's repr of bytes.
inline std::string python_bytes(std::string_view bytes) {
    const char quote = bytes.find('\'') != bytes.npos && bytes.find('"') == bytes.npos ? '"' : '\'';
    std::string shown = {'b', quote};
    for (const char c : bytes) {
        const auto code = static_cast<unsigned char>(c);
        if (c == quote || c == '\\') shown += {'\\', c};
        else if (c == '\t' || c == '\n' || c == '\r') shown += {'\\', c == '\t' ? 't' : c == '\n' ? 'n' : 'r'};
        else if (code >= 0x20 && code < 0x7F) shown += c;
        else {
            shown += "\\x";
            append_hex_digits(shown, code, 2);
        }
    }
    return shown + quote;
}

inline void append_python(std::string& out, const any_value& any, bool ascii) {
    switch (any.what()) {
    case any_kind::none: out += "null"; break;
    case any_kind::text: append_python_text(out, any.text(), ascii); break;
    case any_kind::boolean: out += any.is_true() ? "true" : "false"; break;
    case any_kind::integer: out += std::to_string(any.integer()); break;
    case any_kind::number: append_python_float(out, any.number()); break;
    case any_kind::bytes: append_python_text(out, python_bytes(bytes_of_base64(any.text())), ascii); break;
    case any_kind::array:
    case any_kind::object: {
        const bool is_object = any.what() == any_kind::object;
        out += is_object ? '{' : '[';
        bool is_first = true;
        for (const json_value one : any.values()) {
            if (!is_first) out += ", ";
            is_first = false;
            if (is_object) {
                append_python_text(out, one["key"].text(), ascii);
                out += ": ";
            }
            append_python(out, any_value(is_object ? one["value"] : one), ascii);
        }
        out += is_object ? '}' : ']';
    }
    }
}

// Whether the text is itself JSON, namely a string, object or list: MLflow stores it without encoding it again.
// Numbers and literals are stored as text.
inline bool is_json_in_text(std::string_view text) noexcept {
    const auto first = text.find_first_not_of(" \t\n\r");
    if (first == std::string_view::npos || std::string_view("\"{[").find(text[first]) == std::string_view::npos)
        return false;
    json_cursor cursor(text);
    if (cursor.value(json_cursor::max_depth) != json_cursor::outcome::complete) return false;
    cursor.whitespace();
    return cursor.rest().empty();
}

// The attribute as MLflow stores it.
inline std::string stored_json(const any_value& any) {
    if (any.what() == any_kind::text)
        if (std::string text = any.text(); is_json_in_text(text)) return text;
    std::string written;
    append_python(written, any, false);
    return written;
}

// The text of an identity or tag. If it is itself a JSON string, MLflow decodes it once more.
inline std::string stored_text(const any_value& any) {
    if (any.what() != any_kind::text && any.what() != any_kind::bytes) return stored_json(any);
    std::string text = any.what() == any_kind::text ? any.text() : python_bytes(bytes_of_base64(any.text()));
    if (text.find('"') == std::string::npos || !is_json_in_text(text)) return text;
    json_tree tree;
    if (!tree.read(text) || !tree.root().is(json_value::kind::text)) return text;
    return tree.root().text();
}

// Whether Python would treat the value as false: null, false, 0, "", [] or {}.
inline bool is_nothing(const any_value& any) {
    switch (any.what()) {
    case any_kind::none: return true;
    case any_kind::boolean: return !any.is_true();
    case any_kind::integer: return any.integer() == 0;
    case any_kind::number: return any.number() == 0;
    case any_kind::bytes: return false;
    case any_kind::array:
    case any_kind::object: return any.values().empty();
    case any_kind::text: break;
    }
    const std::string text = any.text();
    if (text.empty()) return true;
    if (text.size() > 256 || !is_json_in_text(text)) return false;
    json_tree tree;
    return tree.read(text) && tree.root().empty() && tree.root().raw().empty();
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
