// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// RFC 9110, 5.6.2: the characters of a header name.
constexpr bool is_token(std::string_view text) noexcept {
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
    for (const char c : text) {
        const bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && marks.find(c) == std::string_view::npos) return false;
    }
    return !text.empty();
}

// RFC 9110, 5.5: a header value contains no control character except the tab.
constexpr bool is_field_value(std::string_view text) noexcept {
    for (const char c : text)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f) return false;
    return true;
}

// RFC 9112, 3.2: a request target or a host is printable ASCII without spaces.
constexpr bool is_visible_ascii(std::string_view text) noexcept {
    for (const char c : text)
        if (c <= 0x20 || c >= 0x7f) return false;
    return true;
}

// Returns why a transport must not send this header; empty if it may. An invalid name is identified by its position,
// because it may in fact be a value, and a secret.
inline std::string header_fault(std::string_view name, std::string_view value, std::size_t position) {
    constexpr std::array<std::string_view, 5> own = {"Host", "Content-Length", "Transfer-Encoding", "Connection",
                                                     "Upgrade"};
    if (!is_token(name))
        return "the name of header " + std::to_string(position) +
               " is empty or contains a character that HTTP does not allow in a name";
    if (!is_field_value(value))
        return "the value of header " + std::string(name) +
               " contains a control character, such as a newline; remove it";
    for (const auto reserved : own)
        if (same_name(name, reserved)) return "header " + std::string(name) + " is written by the transport; omit it";
    return {};
}

} // namespace detail

/// Returns why a transport must not send this request to this server, or nothing if it may. Every transport calls it
/// before it writes a byte, so that no text of a user can end a header and begin another header or another request.
///
/// Rejected are: a scheme other than http and https; a host, path or target with other characters than visible ASCII;
/// a target that does not begin with `/`; a header whose name is not an RFC 9110 token or whose value contains a
/// control character; and the headers that a transport writes itself. The message names the header, but does not
/// contain its value.
[[nodiscard]] inline std::optional<error> check_request(const endpoint& server, const http_request& request) {
    const auto refuse = [](std::string_view why) { return error(error_kind::bad_request, {}, why); };
    if (server.scheme != "http" && server.scheme != "https") return refuse("the scheme is neither http nor https");
    if (server.host.empty()) return refuse("the server has no host");
    if (!detail::is_visible_ascii(server.host) || !detail::is_visible_ascii(server.path))
        return refuse("the server's host or path contains a space, a control character or a character outside ASCII");
    if (!server.path.empty() && server.path.front() != '/') return refuse("the server's path does not begin with /");
    if (request.target.empty() || request.target.front() != '/') return refuse("the target does not begin with /");
    if (!detail::is_visible_ascii(request.target))
        return refuse(
            "the target contains a space, a control character or a character outside ASCII; percent-encode it");

    std::size_t position = 0;
    for (const auto& [name, value] : request.headers)
        if (auto fault = detail::header_fault(name, value, ++position); !fault.empty()) return refuse(fault);
    return std::nullopt;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
