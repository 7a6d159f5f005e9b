// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/result.hpp>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// A variable of the environment that was not understood. `message` is one line that names the variable, what is
/// wrong with it and what to do, and never shows a value that may be a credential.
struct environment_error {
    std::string variable;
    std::string message;
};

namespace detail {

using text_pairs = std::vector<std::pair<std::string, std::string>>;

inline failure<environment_error> refuse(std::string_view variable, std::string_view why) {
    return failure{environment_error{std::string(variable), std::string(variable) + ": " + std::string(why)}};
}

// An empty variable is one that is not set, as OpenTelemetry and MLflow read it.
inline std::string_view variable(const char* name) noexcept {
    const char* const value = std::getenv(name);
    return value ? value : std::string_view{};
}

// The name of the first that is set, otherwise of the last.
inline const char* first_set(const char* name, const char* otherwise) noexcept {
    return variable(name).empty() ? otherwise : name;
}

inline std::optional<long> positive_number(std::string_view text) noexcept {
    long number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc{} || end != text.data() + text.size() || number <= 0) return std::nullopt;
    return number;
}

inline std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// RFC 3986, 2.1; nothing where a % is not followed by two hexadecimal digits.
inline std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            decoded += text[at];
            continue;
        }
        const auto digits = text.substr(at + 1, 2);
        unsigned char byte = 0;
        const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), byte, 16);
        if (fault != std::errc{} || end != digits.data() + 2) return std::nullopt;
        decoded += static_cast<char>(byte);
        at += 2;
    }
    return decoded;
}

// `key=value,key=value`, percent-encoded, as W3C Baggage without properties.
inline result<text_pairs, environment_error> key_value_list(const char* name) {
    text_pairs pairs;
    std::string_view rest = variable(name);
    while (!rest.empty()) {
        const auto comma = std::min(rest.find(','), rest.size());
        const auto member = trimmed(rest.substr(0, comma));
        rest.remove_prefix(std::min(comma + 1, rest.size()));
        if (member.empty()) continue;
        const auto which = "entry " + std::to_string(pairs.size() + 1); // by its position: it may be a credential
        const auto equals = member.find('=');
        if (equals == std::string_view::npos || trimmed(member.substr(0, equals)).empty())
            return refuse(name, which + " has no key and =; write key=value,key=value");
        auto key = percent_decoded(trimmed(member.substr(0, equals)));
        auto value = percent_decoded(trimmed(member.substr(equals + 1)));
        if (!key || !value) return refuse(name, which + " holds a % without two hexadecimal digits; write %25 for %");
        pairs.emplace_back(std::move(*key), std::move(*value));
    }
    return pairs;
}

} // namespace detail

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
