// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/transports/beast_options.hpp>

#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// HTTP/1.1 and HTTPS with Boost.Beast (1.74 or newer) and OpenSSL. Needs exceptions and the system's thread library.
/// The server's certificate and name are verified unless `tls.accept_any_server` is set.
///
/// Proxies: `https_proxy` is used for `https` servers and `http_proxy` for `http`, except for loopback addresses and
/// for the hosts, networks and domains in `no_proxy`. Upper-case names work too, as in curl, Python and Go
/// (`HTTP_PROXY` is ignored in a CGI program). The variables are read at the first `send()`. A proxy is written
/// `http://host:port` or `http://user:password@host:port`. For an `https` server, it is asked for a tunnel (CONNECT)
/// and cannot read the traffic.
///
/// Connection: the first `send()` opens it, and it is kept. If a kept connection turns out to be closed before the
/// first byte of the response, or if what arrives on it is not the head of a response, the request is sent once more
/// on a new connection, within the same deadline. The server may then receive it twice, which is safe for all
/// requests of this library. A forked child opens its own connection and does not use its parent's.
///
/// Deadline: `http_request::timeout` (at most one day) limits the whole exchange; a slowly sending server does not
/// extend it. All addresses of a name are tried in order, each with an equal share of the remaining time. The
/// system's name lookup cannot be cancelled. If it hangs, it is left on a detached thread, at most one per transport,
/// and neither `send()` nor the destructor waits for it; do not unload a library that contains this code meanwhile.
/// Numeric addresses and `localhost` need no lookup.
///
/// Errors: `send()` does not throw. Every status is returned as a response, including redirects, which are not
/// followed. Responses 1xx are skipped, except 101. A response that arrives before the request has been written
/// completely is returned.
///
/// Thread-safety: `send()` is called by one thread at a time.
class beast_transport {
public:
    /// See `beast_transport_options`.
    using options = beast_transport_options;

    /// Stores the server and options. Does not connect.
    explicit beast_transport(endpoint server, options chosen = {})
        : client_(access::make(std::move(server), std::move(chosen))) {}
    /// The moved-from transport can only be destroyed or assigned to.
    beast_transport(beast_transport&& other) noexcept : client_(std::exchange(other.client_, nullptr)) {}
    /// As move construction.
    beast_transport& operator=(beast_transport&& other) noexcept {
        std::swap(client_, other.client_);
        return *this;
    }
    /// Closes the connection.
    ~beast_transport() { access::destroy(client_); }

    /// Sends one request and waits for the response, at most for `request.timeout`.
    result<http_response> send(const http_request& request) noexcept { return access::send(*client_, request); }

private:
    using client = detail::over_beast::client;
    using access = detail::over_beast::client_access<client>;

    client* client_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
