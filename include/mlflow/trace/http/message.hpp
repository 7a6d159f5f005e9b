// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/shown_url.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// RFC 9110, 5.1: header names are compared without case.
constexpr bool same_name(std::string_view a, std::string_view b) noexcept {
    constexpr auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

// The value of the first header of that name, or an empty text.
inline std::string_view find_header(const std::vector<std::pair<std::string, std::string>>& headers,
                                    std::string_view name) noexcept {
    for (const auto& [key, value] : headers)
        if (same_name(key, name)) return value;
    return {};
}

} // namespace detail

/// One header of a request. Every transport refuses what is not valid HTTP field text (`check_request`).
struct http_header {
    std::string_view name;
    std::string_view value;
};

enum class http_method : std::uint8_t { get, post, put, patch, delete_ };

[[nodiscard]] constexpr std::string_view to_string(http_method method) noexcept {
    switch (method) {
    case http_method::get: return "GET";
    case http_method::post: return "POST";
    case http_method::put: return "PUT";
    case http_method::patch: return "PATCH";
    case http_method::delete_: return "DELETE";
    }
    return "GET";
}

/// One request. Everything is a view: it lives as long as the call of `transport::send` that it is given to.
struct http_request {
    http_method method = http_method::get;
    std::string_view target = "/"; ///< origin form: path and query, without scheme and host
    std::span<const http_header> headers = {};
    std::string_view body = {};
    std::chrono::milliseconds timeout{30'000}; ///< for the whole exchange: connect, send and receive
};

/// One reply. Header names are kept as received; look them up by `header()`.
struct http_response {
    int status = 0;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;

    /// The value of the first header of that name, compared without case, or an empty text.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept {
        return detail::find_header(headers, name);
    }
};

/// Where a server is: the parts of a URL such as `http://127.0.0.1:5000/mlflow`.
struct endpoint {
    std::string scheme; ///< `http` or `https`
    std::string host;   ///< name or address; an IPv6 address without its brackets
    std::uint16_t port = 0;
    std::string path; ///< empty, or begins with `/` and does not end in it

    /// Parses an absolute `http` or `https` URL. User information, query and fragment are refused.
    [[nodiscard]] static result<endpoint> parse(std::string_view url);

    /// `host:port` as the Host header wants it: brackets around IPv6, the default port left out.
    [[nodiscard]] std::string authority() const;
};

inline std::string endpoint::authority() const {
    std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
    const bool is_default = (scheme == "http" && port == 80) || (scheme == "https" && port == 443);
    if (!is_default) text += ":" + std::to_string(port);
    return text;
}

inline result<endpoint> endpoint::parse(std::string_view url) {
    const auto refuse = [&](std::string_view why) -> failure {
        return failure{error(error_kind::bad_request, "the URL \"" + detail::shown_url(url) + '"',
                             " " + std::string(why) + "; write it as http://host:port")};
    };
    for (const char c : url)
        if (static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f)
            return refuse("holds a space, a control character or a character outside ASCII");

    endpoint parsed;
    const auto scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) return refuse("has no scheme");
    parsed.scheme = std::string(url.substr(0, scheme_end));
    if (parsed.scheme != "http" && parsed.scheme != "https") return refuse("is neither http nor https");
    auto rest = url.substr(scheme_end + 3);
    if (rest.find_first_of("?#@") != std::string_view::npos)
        return refuse("holds user information, a query or a fragment");

    const auto path_begin = rest.find('/');
    auto path = path_begin == std::string_view::npos ? std::string_view{} : rest.substr(path_begin);
    while (!path.empty() && path.back() == '/') path.remove_suffix(1);
    parsed.path = std::string(path);
    auto authority = rest.substr(0, path_begin);

    auto colon = authority.rfind(':');
    if (!authority.empty() && authority.front() == '[') {
        const auto close = authority.find(']');
        if (close == std::string_view::npos) return refuse("has an unclosed [");
        parsed.host = std::string(authority.substr(1, close - 1));
        const auto zone = parsed.host.find('%'); // of a link-local address
        if (parsed.host.find(':') == std::string::npos || parsed.host.find_first_of("[]") != std::string::npos ||
            parsed.host.substr(0, zone).find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos)
            return refuse("has no IPv6 address between [ and ]");
        if (close + 1 == authority.size()) colon = std::string_view::npos;
        else if (authority[close + 1] == ':') colon = close + 1;
        else return refuse("has text between ] and the port");
    } else {
        parsed.host = std::string(authority.substr(0, colon));
        if (parsed.host.find_first_of(":[]") != std::string::npos) return refuse("has an IPv6 address without [ ]");
    }
    if (parsed.host.empty()) return refuse("has no host");

    parsed.port = parsed.scheme == "https" ? 443 : 80;
    if (colon != std::string_view::npos) {
        const auto digits = authority.substr(colon + 1);
        unsigned port = 0;
        for (const char c : digits) {
            if (c < '0' || c > '9') return refuse("has a port that is not a number");
            port = port * 10 + static_cast<unsigned>(c - '0');
            if (port > 65535) return refuse("has a port over 65535");
        }
        if (port == 0) return refuse("has no port after the colon");
        parsed.port = static_cast<std::uint16_t>(port);
    }
    return parsed;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
