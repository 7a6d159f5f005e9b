// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/http/shown_url.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The address of a server: the parts of a URL such as `http://127.0.0.1:5000/mlflow`.
struct endpoint {
    std::string scheme;     ///< `http` or `https`
    std::string host;       ///< name or address; an IPv6 address is without brackets
    std::uint16_t port = 0; ///< the port
    std::string path;       ///< empty, or a path that begins with `/` and does not end with it

    /// Parses an absolute `http` or `https` URL. Error: `bad_request`, also for a URL with user information, query or
    /// fragment.
    [[nodiscard]] static result<endpoint> parse(std::string_view url);

    /// `host:port` for the Host header: with brackets around IPv6, and without the default port.
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
            return refuse("contains a space, a control character or a character outside ASCII");

    endpoint parsed;
    const auto scheme_end = url.find("://");
    if (scheme_end == std::string_view::npos) return refuse("has no scheme");
    parsed.scheme = std::string(url.substr(0, scheme_end));
    if (parsed.scheme != "http" && parsed.scheme != "https") return refuse("is neither http nor https");
    auto rest = url.substr(scheme_end + 3);
    if (rest.find_first_of("?#@") != std::string_view::npos)
        return refuse("contains user information, a query or a fragment");

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
        if (port == 0) return refuse("has no valid port after the colon");
        parsed.port = static_cast<std::uint16_t>(port);
    }
    return parsed;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
