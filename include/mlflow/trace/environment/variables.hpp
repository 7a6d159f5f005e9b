// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/text/outer_space.hpp>
#include <mlflow/trace/text/percent.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

using text_pairs = std::vector<std::pair<std::string, std::string>>;

inline failure refuse(std::string_view variable, std::string_view why) {
    return failure{error(error_kind::bad_setting, variable, why)};
}

// An empty variable counts as not set, as in OpenTelemetry and MLflow.
inline std::string_view variable(const char* name) noexcept {
    const char* const value = std::getenv(name);
    return value ? value : std::string_view{};
}

// `name` if it is set, and `otherwise` if not.
inline const char* first_set(const char* name, const char* otherwise) noexcept {
    return variable(name).empty() ? otherwise : name;
}

// Parses a number; the whole text must be one.
template <class Number>
std::optional<Number> parse_number(std::string_view text) noexcept {
    Number number{};
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

inline bool is_quotation_mark(char c) noexcept { return c == '"' || c == '\''; }

// Some shells, .env files and YAML parsers remove quotation marks, and some keep them.
inline bool is_in_quotes(std::string_view text) noexcept {
    if (text.empty()) return false;
    return text.front() == '"' || text.back() == '"' ||
           (text.size() > 1 && is_quotation_mark(text.front()) && text.front() == text.back());
}

// Rejects values that no variable may have. A password may contain quotation marks.
inline std::optional<error> check_text(const char* name, bool may_have_quotes = false) {
    const auto text = variable(name);
    if (!may_have_quotes && is_in_quotes(text))
        return refuse(name, "is in quotation marks, which become part of the value; remove them").error;
    const auto scan = scan_utf8(text);
    if (scan.invalid_at != utf8_scan::npos)
        return refuse(name, "invalid UTF-8 at byte " + std::to_string(scan.invalid_at) + "; write UTF-8").error;
    if (scan.control_at != utf8_scan::npos)
        return refuse(name, "control character at byte " + std::to_string(scan.control_at) +
                                ", for example a line end; remove it")
            .error;
    return std::nullopt;
}

inline std::optional<error> check_texts(std::initializer_list<const char*> names) {
    for (const char* const name : names)
        if (auto wrong = check_text(name)) return wrong;
    return std::nullopt;
}

// Rejects values that cannot be sent in a header.
inline std::optional<error> check_visible(const char* name) {
    if (is_visible_ascii(variable(name))) return std::nullopt;
    return refuse(name, "contains a space or a character outside ASCII; remove it").error;
}

// Reads a number of `Duration` units, if the variable is set; it must be above 0. `example` is used in the error
// message.
template <class Duration>
std::optional<error> read_timeout(std::chrono::milliseconds& timeout, const char* name, std::string_view example) {
    const auto text = variable(name);
    if (text.empty()) return std::nullopt;
    const auto number = parse_number<std::int32_t>(text);
    if (!number || *number <= 0)
        return refuse(name, "not a whole number above 0; use a number of " + std::string(example)).error;
    timeout = Duration(*number);
    return std::nullopt;
}

// RFC 3986, 2.1. Returns nothing if a % is not followed by two hexadecimal digits.
inline std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const int escaped = percent_escape_at(text, at);
        if (escaped < 0 && text[at] == '%') return std::nullopt;
        decoded += escaped < 0 ? text[at] : static_cast<char>(escaped);
        if (escaped >= 0) at += 2;
    }
    return decoded;
}

// `key=value,key=value`, percent-encoded, as W3C Baggage without properties.
inline result<text_pairs> key_value_list(const char* name) {
    text_pairs pairs;
    std::string_view rest = variable(name);
    while (!rest.empty()) {
        const auto comma = std::min(rest.find(','), rest.size());
        const auto member = without_outer_space(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (member.empty()) continue;
        // Named by its position, since it may be a credential.
        const auto which = "entry " + std::to_string(pairs.size() + 1);
        const auto equals = member.find('=');
        if (equals == std::string_view::npos || without_outer_space(member.substr(0, equals)).empty())
            return refuse(name, which + " has no key and =; write key=value,key=value");
        auto key = percent_decoded(without_outer_space(member.substr(0, equals)));
        auto value = percent_decoded(without_outer_space(member.substr(equals + 1)));
        if (!key || !value)
            return refuse(name, which + " contains a % without two hexadecimal digits; write %25 for %");
        const auto is_plain = [](std::string_view text) {
            const auto scan = scan_utf8(text);
            return scan.control_at == utf8_scan::npos && scan.invalid_at == utf8_scan::npos;
        };
        if (!is_plain(*key) || !is_plain(*value))
            return refuse(name, which + " contains a control character or invalid UTF-8; remove it");
        if (is_in_quotes(without_outer_space(member.substr(equals + 1))) || is_quotation_mark(member.front()))
            return refuse(name, which + " is in quotation marks, which become part of the value; remove them, or "
                                        "write %22 if they are intended");
        pairs.emplace_back(std::move(*key), std::move(*value));
    }
    return pairs;
}

// Rejects a URL that no transport accepts. A query is ignored.
inline std::optional<error> check_url(const char* name) {
    const auto url = variable(name);
    const auto parsed = endpoint::parse(url.substr(0, url.find('?')));
    if (!parsed) return refuse(name, parsed.error().message()).error;
    if (!is_visible_ascii(url))
        return refuse(name, "a URL with a space or a character outside ASCII; percent-encode it").error;
    return std::nullopt;
}

// Reads the files of `tls_options`, if the transport has such options.
template <class Options>
std::optional<error> read_tls_files(Options& transport, const char* ca, const char* certificate, const char* key) {
    const char* const names[] = {ca, certificate, key};
    if constexpr (requires { transport.transport; }) { // a transport that wraps another one
        return read_tls_files(transport.transport, ca, certificate, key);
    } else if constexpr (requires { transport.tls.private_key_file; }) {
        std::string* const files[] = {&transport.tls.ca_file, &transport.tls.certificate_file,
                                      &transport.tls.private_key_file};
        for (std::size_t i = 0; i < 3; ++i)
            if (const auto file = variable(names[i]); !file.empty()) *files[i] = file;
        return std::nullopt;
    } else {
        for (const char* const name : names)
            if (!variable(name).empty())
                return refuse(name, "this program's transport does not support certificates; unset it").error;
        return std::nullopt;
    }
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
