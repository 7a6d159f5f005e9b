// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/environment/variables.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/secret.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/network_v4.hpp>
#include <boost/asio/ip/network_v6.hpp>
#include <boost/system/error_code.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail::over_beast {

namespace asio = boost::asio;

// The proxy between this process and the server.
struct proxy {
    std::string variable; // the environment variable that names it
    endpoint server;
    secret authorization; // the value of Proxy-Authorization; may be empty
};

inline std::optional<asio::ip::address> numeric_address(std::string_view host) {
    boost::system::error_code error;
    auto address = asio::ip::make_address(std::string(host), error);
    return error ? std::nullopt : std::optional(std::move(address));
}

// `network` has the form 10.0.0.0/8 or fd00::/8.
inline bool is_inside(const asio::ip::address& address, std::string_view network) {
    boost::system::error_code error;
    if (address.is_v4()) {
        const auto wide = asio::ip::make_network_v4(std::string(network), error);
        return !error && asio::ip::network_v4(address.to_v4(), wide.prefix_length()).canonical() == wide.canonical();
    }
    const auto wide = asio::ip::make_network_v6(std::string(network), error);
    return !error && asio::ip::network_v6(address.to_v6(), wide.prefix_length()).canonical() == wide.canonical();
}

// Whether one entry of NO_PROXY matches: *, an address, a network, or a name with its subdomains. With a leading dot,
// only the subdomains match; with a port, only that port.
inline bool is_exempt_by(std::string_view entry, const endpoint& server) {
    if (entry == "*") return true;
    const auto host_address = numeric_address(server.host);
    if (host_address && is_inside(*host_address, entry)) return true;
    const auto colon = entry.rfind(':');
    const bool is_bare_v6 = colon != entry.find(':') && !entry.ends_with(']') && !entry.starts_with('[');
    if (colon != std::string_view::npos && !is_bare_v6 && !entry.ends_with(']')) {
        if (entry.substr(colon + 1) != std::to_string(server.port)) return false;
        entry = entry.substr(0, colon);
    }
    if (entry.starts_with('[') && entry.ends_with(']')) entry = entry.substr(1, entry.size() - 2);
    if (host_address) return host_address == numeric_address(entry);
    if (entry.starts_with("*.")) entry.remove_prefix(1);
    const std::string_view host = server.host;
    if (same_name(host, entry)) return true;
    const std::string below = entry.starts_with('.') ? std::string(entry) : "." + std::string(entry);
    return !entry.empty() && host.size() > below.size() && same_name(host.substr(host.size() - below.size()), below);
}

inline bool is_exempt(std::string_view entries, const endpoint& server) {
    const auto address = numeric_address(server.host);
    if (server.host == "localhost" || (address && address->is_loopback())) return true;
    while (!entries.empty()) {
        const auto comma = std::min(entries.find(','), entries.size());
        const auto entry = without_outer_space(entries.substr(0, comma));
        if (!entry.empty() && is_exempt_by(entry, server)) return true;
        entries.remove_prefix(std::min(comma + 1, entries.size()));
    }
    return false;
}

inline result<proxy> parse_proxy(const char* name) {
    const auto refuse = [&](std::string_view why) -> failure {
        return failure{error(error_kind::bad_request, name, why)};
    };
    std::string_view rest = variable(name);
    const auto scheme_end = rest.find("://");
    std::string scheme = "http://";
    if (scheme_end != std::string_view::npos) {
        scheme = rest.substr(0, scheme_end + 3);
        rest.remove_prefix(scheme_end + 3);
    }
    secret authorization; // a password may contain @ or /
    if (const auto at = rest.rfind('@'); at != std::string_view::npos) {
        const auto colon = std::min(rest.find(':'), at);
        const auto user = percent_decoded(rest.substr(0, colon));
        const auto password = percent_decoded(rest.substr(std::min(colon + 1, at), at - std::min(colon + 1, at)));
        if (!user || !password)
            return refuse("its user or password contains a % without two hexadecimal digits; write %25 for %");
        authorization = basic_authorization(*user, secret(*password));
        rest.remove_prefix(at + 1);
    }
    rest = rest.substr(0, rest.find('/'));
    auto server = endpoint::parse(scheme + std::string(rest));
    if (!server) return refuse(server.error().message());
    if (server->scheme != "http") return refuse("TLS to the proxy is not supported; write http://host:port");
    return proxy{name, std::move(*server), std::move(authorization)};
}

// The proxy for this server from the environment, if there is one.
inline result<std::optional<proxy>> find_proxy(const endpoint& server) {
    // In a CGI program, HTTP_PROXY holds the client's header Proxy.
    const bool is_cgi = !variable("REQUEST_METHOD").empty();
    const char* const name = server.scheme == "https" ? first_set("https_proxy", "HTTPS_PROXY")
                             : is_cgi                 ? "http_proxy"
                                                      : first_set("http_proxy", "HTTP_PROXY");
    if (variable(name).empty() || is_exempt(variable(first_set("no_proxy", "NO_PROXY")), server))
        return std::optional<proxy>{};
    auto parsed = parse_proxy(name);
    if (!parsed) return failure{parsed.error()};
    return std::optional(std::move(*parsed));
}

} // namespace detail::over_beast
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
