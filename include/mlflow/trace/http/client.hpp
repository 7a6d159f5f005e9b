// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/memory/owner.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The target of a redirect for an error message: the other server, or the path on the same server. The path on
// another server may be secret.
inline std::string redirect_target(std::string_view location) {
    const auto scheme_end = location.find("://");
    auto shown = shown_url(one_line(location));
    if (scheme_end == std::string_view::npos) return shown;
    const auto host = shown.find("://");
    return shown.substr(0, shown.find('/', host == std::string::npos ? 0 : host + 3));
}

// Recognises responses that this library's servers do not give, and that indicate a wrong address.
inline std::optional<error> wrong_address(const std::string& server, std::string_view target,
                                          const http_response& reply) {
    using kind = error_kind;
    if (is_redirect(reply.status))
        return error(kind::other, server,
                     " responded " + std::to_string(reply.status) + " to " +
                         std::string(target.substr(0, target.find('?'))) + " with a redirect to " +
                         redirect_target(reply.header("Location")) +
                         "; redirects are not followed. If that address is right, configure it")
            .with_reply(reply.status);
    if (is_of_a_proxy(reply.status))
        return error(kind::other, server,
                     "the proxy rejected the credentials; set them in http_proxy as http://user:password@host:port")
            .with_reply(reply.status);
    // These texts are those of nginx, Apache and servers written in Go.
    if (is_bad_request(reply.status) && server.starts_with("http:") &&
        (reply.body.find("plain HTTP") != std::string::npos ||
         reply.body.find("HTTP request to an HTTPS server") != std::string::npos))
        return error(kind::tls, server, "the server expects TLS; use https://").with_reply(reply.status);
    return std::nullopt;
}

using secret_headers = std::vector<std::pair<std::string, secret>>;
static_assert(std::is_nothrow_default_constructible_v<secret_headers>); // g++ 12 crashes if this is first asked later

// A server, and the settings of its client. `option` is the user's name for the address.
template <class Transport>
struct http_client_options {
    std::string_view option;
    std::string uri;
    secret_headers headers; // of each request
    std::string workspace;  // of an MLflow server; empty: none
    credentials authorization;
    std::chrono::milliseconds timeout;
    typename Transport::options transport;
};

// A client of one server, used by exporters and by `client`. The transport is made at the first request.
template <class Transport>
class http_client {
public:
    explicit http_client(http_client_options<Transport> chosen) : options_(std::move(chosen)) {
        std::string& uri = options_.uri;
        while (uri.ends_with('/')) uri.pop_back();
        for (const auto& [name, value] : options_.headers) secrets_.remember(value);
    }

    // As given, without a trailing slash.
    [[nodiscard]] const std::string& uri() const noexcept { return options_.uri; }

    result<http_response> send(http_method method, std::string_view target, std::span<const http_header> headers = {},
                               std::string_view body = {}) {
        const without_cancellation whole; // transports need not be prepared for cancellation
        if (!transport_) {
            auto server = endpoint::parse(uri());
            if (!server) return failure{error(server.error().kind(), options_.option, server.error().message())};
            transport_ = owner<Transport>(new Transport(std::move(*server), options_.transport));
        }
        auto reply = send_authorized(method, target, headers, body);
        if (!reply) return masked(std::move(reply).error());
        if (auto wrong = wrong_address(uri(), target, *reply)) return masked(std::move(*wrong));
        return reply;
    }

    [[nodiscard]] const known_secrets& secrets() const noexcept { return secrets_; }

    // Makes an error of a response that is not a success.
    [[nodiscard]] error refusal(std::string_view target, const http_response& reply) const {
        return error_reply(uri(), target, reply, secrets_);
    }

private:
    failure masked(const error& why) const { // a transport may quote what it received
        return failure{why.with_message(displayed(secrets_.masked(why.message())))};
    }

    // Reports a failure to fetch credentials as if the server had rejected them, so that the next attempt fetches
    // them again.
    static failure without_credentials(const error& why) {
        return failure{why.status() == 0 ? why.with_reply(unauthorized, why.retry_after(), why.is_html()) : why};
    }

    result<http_response> send_authorized(http_method method, std::string_view target,
                                          std::span<const http_header> headers, std::string_view body) {
        std::vector<http_header> all(headers.begin(), headers.end());
        for (const auto& [name, value] : options_.headers) all.push_back({name, value.reveal()});
        if (!options_.workspace.empty()) all.push_back({"X-MLFLOW-WORKSPACE", options_.workspace});
        const auto send_with = [&](std::span<const http_header> sent) {
            return transport_->send({method, target, sent, body, options_.timeout});
        };
        credentials& authorization = options_.authorization;
        if (authorization.empty()) return send_with(all);
        const auto is_refused = [](const result<http_response>& reply) {
            return reply ? wants_other_credentials(reply->status) : reply.error().kind() == error_kind::bad_request;
        };
        auto who = authorization.current();
        if (!who) return without_credentials(std::move(who).error());
        all.push_back({"Authorization", {}});
        const auto send_as = [&](const secret& value) {
            secrets_.remember(value);
            all.back().value = value.reveal();
            return send_with(all);
        };
        auto reply = send_as(*who);
        if (!is_refused(reply) || !authorization.renewable()) return reply;
        auto renewed = authorization.renewed(*who);
        if (!renewed) return without_credentials(std::move(renewed).error());
        return renewed->reveal() == who->reveal() ? reply : send_as(*renewed);
    }

    http_client_options<Transport> options_;
    owner<Transport> transport_;
    known_secrets secrets_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
