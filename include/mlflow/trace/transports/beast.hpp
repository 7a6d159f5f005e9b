// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/transports/beast_connection.hpp>
#include <mlflow/trace/transports/beast_lookup.hpp>
#include <mlflow/trace/transports/beast_tls.hpp>

#include <boost/beast/http/error.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Options of `beast_transport`.
struct beast_transport_options {
    std::size_t max_reply_bytes = 4 * 1024 * 1024; ///< the largest body of a reply; a larger one is `bad_reply`
    std::uint32_t max_header_bytes = 64 * 1024;    ///< the largest header of a reply; a larger one is `bad_reply`
    tls_options tls{};                             ///< for `https`; without it the system's CAs are trusted
    bool use_proxy = true;                         ///< where the environment names one
};

/// HTTP/1.1, and HTTPS, over Boost.Beast, 1.74 or newer, and OpenSSL. Needs exceptions, and the thread library of the
/// system. The server's certificate and name are checked, unless `tls.accept_any_server` says otherwise.
///
/// Proxies: `https_proxy` for `https` servers and `http_proxy` for `http`, and not for the hosts, networks and
/// domains of `no_proxy`, nor for this machine; each also in capitals, as curl, Python and Go read them (`HTTP_PROXY`
/// not in a CGI program). They are read at the first `send()`. A proxy is written `http://host:port`, or
/// `http://user:password@host:port`; to an `https` server it is asked for a tunnel (CONNECT), and sees nothing of
/// what goes through it.
///
/// The connection is made by the first `send()` and kept. When a kept connection turns out to be closed before a byte
/// of the reply came, the request is sent once more on a new one, within the same deadline: the server may then see
/// it twice, which is right for the requests of this library, all of which may be repeated. In a child process the
/// connection of its parent is left alone and a new one made.
///
/// Deadline: `http_request::timeout` (at most a day) is for the whole exchange, and a server that sends a byte now
/// and then does not extend it. All addresses of a name are tried in turn, each with an equal share of the time that
/// is left. The system's name lookup cannot be cancelled: one that hangs is left behind on a detached thread, at most
/// one for each transport, and neither `send()` nor the destructor waits for it; do not unload a library that
/// contains this code meanwhile. Addresses and `localhost` need no lookup.
///
/// Errors: `send()` never throws. Redirects are returned, not followed, and so is every other status but 1xx, which
/// is skipped (101 ends the exchange). A reply that comes before the request was written in full is returned.
/// Thread-safety: `send()` by one thread at a time.
class beast_transport {
public:
    using options = beast_transport_options;

    explicit beast_transport(endpoint server, options chosen = {})
        : server_(std::move(server)), options_(std::move(chosen)) {}

    /// Sends one request, and waits for its reply or for `request.timeout`.
    result<http_response> send(const http_request& request) noexcept {
        try {
            try {
                return send_or_throw(request);
            } catch (const std::bad_alloc&) {
                throw;
            } catch (const std::exception& error) {
                forget();
                return failure{trace::error(kind::other, peer(), error.what())};
            }
        } catch (...) {
            forget();
            return failure{kind::out_of_memory};
        }
    }

private:
    using kind = error_kind;
    using proxy = detail::over_beast::proxy;
    using error_code = boost::beast::error_code;
    using time_point = std::chrono::steady_clock::time_point;
    using reply = result<http_response>;
    template <class Stream>
    using link = std::unique_ptr<detail::over_beast::connection<Stream>>;

    reply send_or_throw(const http_request& request) {
        constexpr std::chrono::milliseconds longest = std::chrono::hours(24);
        const auto deadline = std::chrono::steady_clock::now() + std::min(request.timeout, longest);
        if (auto refused = check_request(server_, request)) return failure{std::move(*refused)};
        forget_parent();
        if (!route_) {
            auto found = options_.use_proxy ? detail::over_beast::find_proxy(server_) : std::optional<proxy>();
            if (!found) return failure{found.error()};
            route_ = std::move(*found);
        }
        if (server_.scheme == "http") return send_over(plain_, request, deadline);
        if (!tls_) {
            boost::asio::ssl::context fresh(boost::asio::ssl::context::tls_client);
            if (auto refused = detail::over_beast::prepare(fresh, options_.tls)) return failure{std::move(*refused)};
            tls_ = std::move(fresh);
        }
        return send_over(secure_, request, deadline);
    }

    template <class Stream>
    reply send_over(link<Stream>& kept, const http_request& request, time_point deadline) {
        if (kept && !kept->is_quiet()) kept.reset();
        for (bool is_fresh = !kept;; is_fresh = true) {
            if (!kept)
                if (auto refused = connect(kept, request, deadline); refused.kind() != kind::none) {
                    forget_files_after(refused);
                    return failure{std::move(refused)};
                }
            const auto error =
                kept->exchange(server_, is_secure<Stream> ? nullptr : via(), request, limits(), deadline);
            if (!error) {
                auto response = kept->take_reply();
                if (!kept->reusable()) kept.reset();
                return without_proxy_secret(std::move(response));
            }
            const bool was_stale = !is_fresh && !kept->heard() && reason_of(error) == kind::closed;
            auto failed = failed_exchange(error, request);
            if constexpr (is_secure<Stream>) {
                if (detail::over_beast::is_tls_error(error)) failed = failed_tls(*kept, error);
            } else if (kept->heard_tls()) {
                failed = {kind::tls, peer(), "TLS is spoken there; write https://"};
            } else if (failed.kind() == kind::closed && !kept->heard()) {
                failed = failed.with_message(failed.message() + "; if TLS is spoken there, write https://");
            }
            kept.reset();
            forget_files_after(failed);
            if (!was_stale) return failure{std::move(failed)};
        }
    }

    // Certificates are renewed in place: the next attempt reads them again.
    void forget_files_after(const trace::error& error) {
        if (error.kind() == kind::tls) tls_.reset();
    }

    // A proxy may echo what it was sent.
    http_response without_proxy_secret(http_response response) const {
        if (!via() || via()->authorization.empty() || detail::is_success(response.status)) return response;
        detail::known_secrets secrets;
        secrets.remember(via()->authorization);
        response.body = secrets.masked(std::move(response.body));
        return response;
    }

    template <class Stream>
    trace::error connect(link<Stream>& kept, const http_request& request, time_point deadline) {
        const endpoint& next = via() ? via()->server : server_;
        std::vector<boost::asio::ip::tcp::endpoint> addresses;
        auto error = lookup_.find(next, deadline, addresses);
        if (error) return failed_step("look up", error, request);
        for (std::size_t i = 0; i < addresses.size(); ++i) {
            const auto now = std::chrono::steady_clock::now();
            const auto until = now + (deadline - now) / static_cast<int>(addresses.size() - i);
            auto fresh = make_link<Stream>();
            error = fresh->connect(addresses[i], until);
            if constexpr (is_secure<Stream>) {
                if (!error && via()) {
                    int status = 0;
                    error = fresh->tunnel(server_, *via(), limits(), until, status);
                    if (!error && !detail::is_success(status)) return refused_tunnel(status);
                }
                if (!error && !detail::over_beast::expect_host(fresh->stream(), server_.host))
                    return {kind::out_of_memory, peer(), "out of memory while TLS was set up"};
                if (!error) error = fresh->handshake(until);
                if (detail::over_beast::is_tls_error(error)) return failed_tls(*fresh, error);
            }
            if (!error) {
                kept = std::move(fresh);
                return {};
            }
        }
        return failed_step("connect to", error, request);
    }

    template <class Stream>
    static constexpr bool is_secure = std::is_same_v<Stream, detail::over_beast::tls_stream>;

    template <class Stream>
    link<Stream> make_link() {
        using connection = detail::over_beast::connection<Stream>;
        if constexpr (is_secure<Stream>) return std::make_unique<connection>(*tls_);
        else return std::make_unique<connection>();
    }

    trace::error failed_tls(detail::over_beast::connection<detail::over_beast::tls_stream>& failed,
                            const error_code& error) const {
        const auto verdict =
            options_.tls.accept_any_server ? X509_V_OK : SSL_get_verify_result(failed.stream().native_handle());
        return {kind::tls, peer(), detail::over_beast::explain(error, verdict), error};
    }

    trace::error failed_step(std::string_view step, const error_code& error, const http_request& request) const {
        const auto told = [&](kind reason, std::string_view why) {
            const trace::error one(reason, name_of_next(), why, error);
            return one.with_message(std::string(step) + ' ' + one.message());
        };
        if (error == boost::beast::error::timeout) return told(kind::timeout, no_answer(request));
        return told(kind::connect, error.message());
    }

    trace::error failed_exchange(const error_code& error, const http_request& request) const {
        namespace http = boost::beast::http;
        const auto reason = reason_of(error);
        if (reason == kind::timeout) return {reason, peer(), no_answer(request), error};
        if (reason == kind::closed)
            return {reason, peer(), "connection closed before the whole reply: " + error.message(), error};
        if (reason == kind::out_of_memory) return {reason, peer(), error.message(), error};
        if (error == http::error::body_limit)
            return {reason, peer(), "reply larger than " + std::to_string(options_.max_reply_bytes) + " bytes",
                    error};
        if (error == http::error::header_limit || error == http::error::buffer_overflow)
            return {reason, peer(),
                    "header of the reply larger than " + std::to_string(options_.max_header_bytes) + " bytes", error};
        return {reason, peer(), "reply is not HTTP/1: " + error.message(), error};
    }

    static kind reason_of(const error_code& error) {
        namespace http = boost::beast::http;
        if (error == boost::beast::error::timeout) return kind::timeout;
        if (error == http::error::bad_alloc) return kind::out_of_memory;
        if (error == http::error::end_of_stream || error == http::error::partial_message) return kind::closed;
        const bool is_http = error.category() == http::make_error_code(http::error::bad_version).category();
        return is_http ? kind::bad_reply : kind::closed;
    }

    static std::string no_answer(const http_request& request) {
        return "no answer within " + std::to_string(request.timeout.count()) + " ms";
    }

    trace::error refused_tunnel(int status) const {
        const std::string remedy = detail::is_of_a_proxy(status)
                                       ? "give it credentials: http://user:password@host:port"
                                       : "allow " + peer() + " there, or name it in no_proxy";
        // No reply of the server: whatever the status is, it says nothing of the content.
        return trace::error(kind::connect, name_of_next(),
                            " answered " + std::to_string(status) + " to CONNECT " + peer() + "; " + remedy)
            .with_reply(status);
    }

    std::string peer() const { return detail::over_beast::with_port(server_); }

    // Whom the connection is made to.
    std::string name_of_next() const {
        if (!via()) return peer();
        return "the proxy " + detail::over_beast::with_port(via()->server) + " of " + via()->variable;
    }

    const proxy* via() const noexcept { return *route_ ? &**route_ : nullptr; }

    detail::over_beast::reply_limits limits() const { return {options_.max_reply_bytes, options_.max_header_bytes}; }

    void forget() noexcept {
        plain_.reset();
        secure_.reset();
    }

    // After a fork the connection still belongs to the parent, and the thread of a lookup is not here.
    void forget_parent() {
#if defined(__unix__) || defined(__APPLE__)
        if (const auto here = ::getpid(); here != std::exchange(process_, here)) {
            forget();
            lookup_ = {};
        }
#endif
    }

#if defined(__unix__) || defined(__APPLE__)
    ::pid_t process_ = ::getpid();
#endif
    endpoint server_;
    options options_;
    std::optional<std::optional<proxy>> route_; // found by the first request
    detail::over_beast::address_lookup lookup_;
    link<detail::over_beast::prompt_socket> plain_;
    std::optional<boost::asio::ssl::context> tls_;
    link<detail::over_beast::tls_stream> secure_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
