// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/text/outer_space.hpp>
#include <mlflow/trace/text/percent.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

// Reads and writes the lists in the W3C headers `baggage` and `tracestate`.
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// W3C Baggage, https://www.w3.org/TR/baggage/#definition and #limits.
inline constexpr std::size_t most_members = 180;
inline constexpr std::size_t most_baggage = 8'192;
// W3C Trace Context, 3.3.1.5.
inline constexpr std::size_t most_tracestate = 512;
inline constexpr std::size_t most_states = 32;

// The characters of a value that need no encoding, except '%', and '+', which some readers decode as a space.
constexpr bool is_baggage_octet(char c) noexcept {
    return c > 0x20 && c < 0x7f && c != '"' && c != '%' && c != '+' && c != ',' && c != ';' && c != '\\';
}

// Text that is not an escape is kept.
inline std::string percent_decoded(std::string_view text, bool plus_is_space) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); ++at) {
        const int escaped = percent_escape_at(text, at);
        if (escaped < 0) decoded += text[at] == '+' && plus_is_space ? ' ' : text[at];
        else decoded += static_cast<char>(escaped), at += 2;
    }
    return decoded;
}

struct baggage_member {
    std::string_view key;
    std::string_view value; // as sent
};

// Calls `visit` for each member of a value of the header. Malformed members are skipped, as OpenTelemetry's libraries
// for Java, JavaScript, Python and .NET do, because any intermediate service may have added them. Returns false if
// there was one.
template <class Visit>
bool for_each_member(std::string_view list, Visit&& visit) {
    bool is_well_formed = true;
    while (!list.empty()) {
        const auto comma = list.find(',');
        const std::string_view member = without_outer_space(list.substr(0, comma));
        list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
        if (member.empty()) continue;
        const std::string_view pair = member.substr(0, member.find(';')); // properties follow
        const auto equals = pair.find('=');
        const std::string_view key = without_outer_space(pair.substr(0, equals));
        if (equals == std::string_view::npos || !is_token(key)) is_well_formed = false;
        else visit(baggage_member{key, without_outer_space(pair.substr(equals + 1))});
    }
    return is_well_formed;
}

// Removes whole members from a list that is too long, as W3C Trace Context, 3.3.1.5, specifies: first members of more
// than 128 characters, then members at the end. The remaining members keep their text and order.
inline void shorten_tracestate(std::string& list) {
    constexpr std::size_t most_of_one = 128;
    for (std::size_t at = 0; list.size() > most_tracestate && at < list.size();) {
        const std::size_t size = std::min(list.find(',', at), list.size()) - at;
        if (without_outer_space(std::string_view(list).substr(at, size)).size() > most_of_one)
            list.erase(at == 0 ? 0 : at - 1, size + 1);
        else at += size + 1;
    }
    std::size_t end = 0;
    for (std::size_t at = 0, members = 0; members < most_states && at <= list.size();) {
        const std::size_t next = std::min(list.find(',', at), list.size());
        if (next > most_tracestate) break;
        members += next > at ? 1U : 0U;
        end = next;
        at = next + 1;
    }
    list.resize(end);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
