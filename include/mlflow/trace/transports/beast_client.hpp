// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/transports/beast_connection.hpp>
#include <mlflow/trace/transports/beast_lookup.hpp>
#include <mlflow/trace/transports/beast_options.hpp>
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
namespace detail::over_beast {

// What `beast_transport` does.
class client {
public:
    client(endpoint server, beast_transport_options chosen)
        : server_(std::move(server)), options_(std::move(chosen)) {}

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
    using error_code = boost::beast::error_code;
    using time_point = std::chrono::steady_clock::time_point;
    using reply = result<http_response>;
    template <class Stream>
    using link = std::unique_ptr<connection<Stream>>;

    reply send_or_throw(const http_request& request) {
        constexpr std::chrono::milliseconds longest = std::chrono::hours(24);
        const auto deadline = std::chrono::steady_clock::now() + std::min(request.timeout, longest);
        if (auto refused = check_request(server_, request)) return failure{std::move(*refused)};
        forget_parent();
        if (!route_) {
            auto found = options_.use_proxy ? find_proxy(server_) : std::optional<proxy>();
            if (!found) return failure{found.error()};
            route_ = std::move(*found);
        }
        if (server_.scheme == "http") return send_over(plain_, request, deadline);
        if (!tls_) {
            boost::asio::ssl::context fresh(boost::asio::ssl::context::tls_client);
            if (auto refused = prepare(fresh, options_.tls)) return failure{std::move(*refused)};
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
            const auto reason = reason_of(error);
            const bool was_stale =
                !is_fresh && ((reason == kind::closed && !kept->heard()) ||
                              (reason == kind::bad_reply && !kept->heard_head() && !is_header_too_large(error)));
            auto failed = failed_exchange(error, request);
            if constexpr (is_secure<Stream>) {
                if (is_tls_error(error)) failed = failed_tls(*kept, error);
            } else if (kept->heard_tls()) {
                failed = {kind::tls, peer(), "the server expects TLS; use https://"};
            } else if (failed.kind() == kind::closed && !kept->heard()) {
                failed = failed.with_message(failed.message() + "; if the server expects TLS, use https://");
            }
            kept.reset();
            forget_files_after(failed);
            if (!was_stale) return failure{std::move(failed)};
        }
    }

    // A renewed certificate has the same file name, so the next attempt reads the files again.
    void forget_files_after(const trace::error& error) {
        if (error.kind() == kind::tls) tls_.reset();
    }

    // A proxy may repeat the request in its response.
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
                    if (error == boost::beast::http::error::unexpected_body)
                        return {kind::connect, name_of_next(), "sent more than its response to CONNECT", error};
                    if (!error && !detail::is_success(status)) return refused_tunnel(status);
                }
                if (!error && !expect_host(fresh->stream(), server_.host))
                    return {kind::out_of_memory, peer(), "out of memory while setting up TLS"};
                if (!error) error = fresh->handshake(until);
                if (is_tls_error(error)) return failed_tls(*fresh, error);
            }
            if (!error) {
                kept = std::move(fresh);
                return {};
            }
        }
        return failed_step("connect to", error, request);
    }

    template <class Stream>
    static constexpr bool is_secure = std::is_same_v<Stream, tls_stream>;

    template <class Stream>
    link<Stream> make_link() {
        using connection = connection<Stream>;
        if constexpr (is_secure<Stream>) return std::make_unique<connection>(*tls_);
        else return std::make_unique<connection>();
    }

    trace::error failed_tls(connection<tls_stream>& failed, const error_code& error) const {
        const auto verdict =
            options_.tls.accept_any_server ? X509_V_OK : SSL_get_verify_result(failed.stream().native_handle());
        return {kind::tls, peer(), explain(error, verdict), error};
    }

    trace::error failed_step(std::string_view step, const error_code& error, const http_request& request) const {
        const auto told = [&](kind reason, std::string_view why) {
            const trace::error one(reason, name_of_next(), why, error);
            return one.with_message(std::string(step) + ' ' + one.message());
        };
        if (error == boost::beast::error::timeout) return told(kind::timeout, no_answer(request));
        if (is_http_error(error)) { // only a proxy responds this early
            if (reason_of(error) == kind::closed)
                return told(kind::connect, "connection closed before the response to CONNECT was complete");
            return told(kind::connect, "the response to CONNECT is not HTTP/1: " + error.message());
        }
        return told(kind::connect, error.message());
    }

    trace::error failed_exchange(const error_code& error, const http_request& request) const {
        namespace http = boost::beast::http;
        const auto reason = reason_of(error);
        if (reason == kind::timeout) return {reason, peer(), no_answer(request), error};
        if (reason == kind::closed)
            return {reason, peer(), "connection closed before the response was complete: " + error.message(), error};
        if (reason == kind::out_of_memory) return {reason, peer(), error.message(), error};
        if (error == http::error::body_limit)
            return {reason, peer(), "response larger than " + std::to_string(options_.max_reply_bytes) + " bytes",
                    error};
        if (is_header_too_large(error))
            return {reason, peer(),
                    "response header larger than " + std::to_string(options_.max_header_bytes) + " bytes", error};
        return {reason, peer(), "the response is not HTTP/1: " + error.message(), error};
    }

    static kind reason_of(const error_code& error) {
        namespace http = boost::beast::http;
        if (error == boost::beast::error::timeout) return kind::timeout;
        if (error == http::error::bad_alloc) return kind::out_of_memory;
        if (error == http::error::end_of_stream || error == http::error::partial_message) return kind::closed;
        return is_http_error(error) ? kind::bad_reply : kind::closed;
    }
    static bool is_header_too_large(const error_code& error) {
        namespace http = boost::beast::http;
        return error == http::error::header_limit || error == http::error::buffer_overflow;
    }
    static bool is_http_error(const error_code& error) {
        namespace http = boost::beast::http;
        return error.category() == http::make_error_code(http::error::bad_version).category();
    }

    static std::string no_answer(const http_request& request) {
        return "no response within " + std::to_string(request.timeout.count()) + " ms";
    }

    trace::error refused_tunnel(int status) const {
        const std::string remedy = detail::is_of_a_proxy(status)
                                       ? "add credentials: http://user:password@host:port"
                                       : "allow " + peer() + " on the proxy, or add it to no_proxy";
        // The response is the proxy's, so its status says nothing about the content.
        return trace::error(kind::connect, name_of_next(),
                            " responded " + std::to_string(status) + " to CONNECT " + peer() + "; " + remedy)
            .with_reply(status);
    }

    std::string peer() const { return with_port(server_); }

    // The host that the connection is opened to.
    std::string name_of_next() const {
        if (!via()) return peer();
        return "the proxy " + with_port(via()->server) + " of " + via()->variable;
    }

    const proxy* via() const noexcept { return *route_ ? &**route_ : nullptr; }

    reply_limits limits() const { return {options_.max_reply_bytes, options_.max_header_bytes}; }

    void forget() noexcept {
        plain_.reset();
        secure_.reset();
    }

    // After a fork, the connection belongs to the parent, and the lookup's thread does not exist in the child.
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
    beast_transport_options options_;
    std::optional<std::optional<proxy>> route_; // determined by the first request
    address_lookup lookup_;
    link<prompt_socket> plain_;
    std::optional<boost::asio::ssl::context> tls_;
    link<tls_stream> secure_;
};

template <class Client>
Client* client_access<Client>::make(endpoint server, beast_transport_options chosen) {
    return new Client(std::move(server), std::move(chosen));
}
template <class Client>
void client_access<Client>::destroy(Client* made) noexcept {
    delete made;
}
template <class Client>
result<http_response> client_access<Client>::send(Client& made, const http_request& request) noexcept {
    return made.send(request);
}

} // namespace detail::over_beast
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
