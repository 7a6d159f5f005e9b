// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/transports/beast_proxy.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#endif
#if defined(__linux__)
#include <netinet/tcp.h>
#include <sys/socket.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail::over_beast {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::beast::error_code;
using time_point = std::chrono::steady_clock::time_point;

// A TCP socket that sets TCP_QUICKACK before each read. A server that writes header and body separately, with Nagle's
// algorithm on, otherwise delays the body until the delayed acknowledgement of the header arrives, 40 ms later. Linux
// resets the option, so it is set each time.
class prompt_socket {
public:
    using socket_type = asio::basic_stream_socket<tcp, asio::io_context::executor_type>;
    using lowest_layer_type = socket_type::lowest_layer_type;
    using executor_type = asio::io_context::executor_type;

    explicit prompt_socket(asio::io_context& context) : socket_(context.get_executor()) {}

    executor_type get_executor() noexcept { return socket_.get_executor(); }
    socket_type& socket() noexcept { return socket_; }
    lowest_layer_type& lowest_layer() noexcept { return socket_.lowest_layer(); }
    const lowest_layer_type& lowest_layer() const noexcept { return socket_.lowest_layer(); }

    template <class Buffers, class Handler>
    auto async_read_some(const Buffers& buffers, Handler&& handler) {
#if defined(TCP_QUICKACK)
        const int on = 1;
        ::setsockopt(socket_.native_handle(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
#endif
        return socket_.async_read_some(buffers, std::forward<Handler>(handler));
    }
    template <class Buffers, class Handler>
    auto async_write_some(const Buffers& buffers, Handler&& handler) {
        return socket_.async_write_some(buffers, std::forward<Handler>(handler));
    }

    error_code open(const tcp& protocol) {
        error_code error;
        socket_.open(protocol, error);
        if (error) return error;
#if defined(__unix__) || defined(__APPLE__)
        ::fcntl(socket_.native_handle(), F_SETFD, FD_CLOEXEC);
#endif
        error_code ignored;
        socket_.set_option(tcp::no_delay(true), ignored);
        socket_.non_blocking(true, error);
        return error;
    }

    // True if the peer has sent nothing and has not closed the connection.
    bool is_quiet() {
        char byte = 0;
        error_code error;
        socket_.receive(asio::buffer(&byte, 1), socket_type::message_peek, error);
        return error == asio::error::would_block;
    }

private:
    socket_type socket_;
};

// Always with the port, unlike the Host header.
inline std::string with_port(const endpoint& server) {
    const auto host = server.host.find(':') == std::string::npos ? server.host : "[" + server.host + "]";
    return host + ":" + std::to_string(server.port);
}

struct reply_limits {
    std::size_t body_bytes;
    std::uint32_t header_bytes;
};

// The state of an operation. Not a member of `connection`, so that both kinds of connection have one type of handler.
struct completion {
    bool done = false;
    error_code error;
    std::size_t bytes = 0;

    auto handler() {
        done = false;
        bytes = 0;
        return [this](error_code outcome, std::size_t transferred = 0) {
            done = true;
            error = outcome;
            bytes = transferred;
        };
    }
};

// One connection, with everything that its operations refer to. After an error it is destroyed together with its
// pending operations, and never reused.
template <class Stream>
class connection {
public:
    template <class... Arguments>
    explicit connection(Arguments&... arguments) : stream_(context_, arguments...) {}
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    error_code connect(const tcp::endpoint& address, time_point until) {
        auto& bottom = boost::beast::get_lowest_layer(stream_);
        if (const auto error = bottom.open(address.protocol())) return error;
        bottom.socket().async_connect(address, connected_.handler());
        return wait(connected_, until);
    }

    error_code handshake(time_point until) {
        stream_.async_handshake(Stream::client, connected_.handler());
        return wait(connected_, until);
    }

    Stream& stream() noexcept { return stream_; }

    // Requests a tunnel from a proxy. It is open if `status` is a success (RFC 9110, 9.3.6).
    error_code tunnel(const endpoint& server, const proxy& via, reply_limits limits, time_point until, int& status) {
        auto& bottom = boost::beast::get_lowest_layer(stream_);
        const auto to = with_port(server);
        head_ = "CONNECT " + to + " HTTP/1.1\r\n";
        add_header("Host", to);
        if (!via.authorization.empty()) add_header("Proxy-Authorization", via.authorization.reveal());
        head_ += "\r\n";
        write(bottom, {});
        if (const auto error = wait(written_, until)) return error;
        buffer_.max_size(limits.header_bytes + read_bytes);
        do {
            http::response_parser<http::empty_body> parser;
            parser.skip(true);
            parser.header_limit(limits.header_bytes);
            if (const auto error = read_until(bottom, parser, [&] { return parser.is_header_done(); }, until))
                return error;
            status = static_cast<int>(parser.get().result_int());
            if (status < 100) return http::error::bad_status; // which Beast accepts
        } while (is_interim(status));
        // A server sends nothing before the TLS handshake, so these bytes are not its response.
        if (status / 100 == 2 && buffer_.size() != 0) return http::error::unexpected_body;
        return {};
    }

    // Waits for the response while the request is still being written, because a server may reject a request before
    // it has read the body. If `via` is set, the request is written for a proxy.
    error_code exchange(const endpoint& server, const proxy* via, const http_request& request, reply_limits limits,
                        time_point until) {
        heard_ = heard_head_ = reusable_ = false;
        write_head(server, via, request);
        // The parser limits header and body. This limits everything else, such as an endless chunk extension.
        buffer_.max_size(limits.header_bytes + read_bytes);
        write(stream_, request.body);
        int status = 0;
        do {
            parser_.emplace();
            parser_->body_limit(limits.body_bytes);
            parser_->header_limit(limits.header_bytes);
            // Parses the header separately, because Beast 1.74 ignores the body limit if the body arrives with the
            // header.
            auto error = read_until(stream_, *parser_, [&] { return parser_->is_header_done(); }, until);
            heard_ = heard_ || parser_->got_some();
            if (error) return error;
            heard_head_ = true;
            parser_->eager(true);
            error = read_until(stream_, *parser_, [&] { return parser_->is_done(); }, until);
            if (error) return error;
            status = static_cast<int>(parser_->get().result_int());
            if (status < 100) return http::error::bad_status; // which Beast accepts
        } while (is_interim(status));
        if (!written_.done) context_.poll();
        reusable_ = written_.done && !written_.error && parser_->keep_alive() && buffer_.size() == 0 && status != 101;
        return {};
    }

    // The response of a successful exchange.
    http_response take_reply() {
        auto message = parser_->release();
        http_response reply;
        reply.status = static_cast<int>(message.result_int());
        for (const auto& field : message)
            reply.headers.emplace_back(std::string(field.name_string().data(), field.name_string().size()),
                                       std::string(field.value().data(), field.value().size()));
        reply.body = std::move(message.body());
        return reply;
    }

    // Whether a byte of the response has arrived in the last exchange.
    bool heard() const noexcept { return heard_; }

    // Whether the last exchange has read the head of a response. Otherwise, what it read on a kept connection may be
    // the rest of an earlier response, such as a body after a 204.
    bool heard_head() const noexcept { return heard_head_; }

    // Whether the received bytes begin like a TLS alert (RFC 8446, 5.1).
    bool heard_tls() const noexcept {
        const auto bytes = buffer_.cdata();
        return bytes.size() > 0 && !parser_->is_header_done() && *static_cast<const char*>(bytes.data()) == 0x15;
    }

    // Whether another exchange may follow on this connection.
    bool reusable() const noexcept { return reusable_; }

    // False if the peer has closed the connection, or has sent bytes that would be taken for a response.
    bool is_quiet() {
        auto& bottom = boost::beast::get_lowest_layer(stream_);
        if (!bottom.is_quiet()) return false;
        if constexpr (std::is_same_v<Stream, std::remove_reference_t<decltype(bottom)>>) {
            return true;
        } else { // received bytes may wait to be decrypted
            stream_.async_read_some(buffer_.prepare(1), received_.handler());
            context_.restart();
            context_.poll();
            if (received_.done) return false;
            error_code ignored;
            bottom.socket().cancel(ignored);
            while (!received_.done && context_.run_one() != 0) {
            }
            return received_.done && received_.bytes == 0 && received_.error == asio::error::operation_aborted;
        }
    }

private:
    static constexpr std::size_t read_bytes = 64 * 1024; // the most that is read at once
    static constexpr std::size_t least_read_bytes = 4 * 1024;

    // Whether another response to the same request follows (RFC 9110, 15.2).
    static constexpr bool is_interim(int status) noexcept { return status / 100 == 1 && status != 101; }

    error_code wait(const completion& operation, time_point until) {
        context_.restart();
        while (!operation.done)
            if (context_.run_one_until(until) == 0) return boost::beast::error::timeout;
        return operation.error;
    }

    template <class To>
    void write(To& to, std::string_view body) {
        const std::array<asio::const_buffer, 2> whole{asio::buffer(head_), asio::buffer(body.data(), body.size())};
        asio::async_write(to, whole, written_.handler());
    }

    // Reads and parses until `is_done()`. What was received after that stays in `buffer_`.
    template <class From, class Parser, class IsDone>
    error_code read_until(From& from, Parser& parser, IsDone is_done, time_point until) {
        error_code error;
        while (true) {
            while (buffer_.size() != 0 && !is_done()) {
                const std::size_t parsed = parser.put(buffer_.data(), error);
                buffer_.consume(parsed);
                if (error == http::error::need_more || (!error && parsed == 0)) break;
                if (error) return error;
            }
            if (is_done()) return {};
            const std::size_t room = std::min(buffer_.max_size() - buffer_.size(), read_bytes);
            if (room == 0) return http::error::buffer_overflow;
            const std::size_t spare = buffer_.capacity() - buffer_.size();
            from.async_read_some(buffer_.prepare(std::min(room, std::max(spare, least_read_bytes))),
                                 received_.handler());
            error = wait(received_, until);
            buffer_.commit(received_.bytes);
            if (error == asio::error::eof) {
                if (!parser.got_some()) return http::error::end_of_stream;
                parser.put_eof(error);
                if (!error && !is_done()) error = http::error::partial_message;
                return error;
            }
            if (error) return error;
        }
    }

    void add_header(std::string_view name, std::string_view value) {
        head_.append(name).append(": ").append(value).append("\r\n");
    }

    // The caller has checked the request.
    void write_head(const endpoint& server, const proxy* via, const http_request& request) {
        head_.assign(to_string(request.method)) += ' ';
        if (via) head_.append("http://").append(server.authority()); // absolute form, RFC 9112, 3.2.2
        head_.append(server.path).append(request.target).append(" HTTP/1.1\r\n");
        add_header("Host", server.authority());
        if (via && !via->authorization.empty()) add_header("Proxy-Authorization", via->authorization.reveal());
        bool names_agent = false;
        for (const auto& [name, value] : request.headers) {
            add_header(name, value);
            names_agent = names_agent || same_name(name, "User-Agent");
        }
        if (!names_agent) add_header("User-Agent", "mlflow_trace/" MLFLOW_TRACE_VERSION);
        const bool has_body = request.method != http_method::get && request.method != http_method::delete_;
        if (has_body || !request.body.empty()) add_header("Content-Length", std::to_string(request.body.size()));
        head_ += "\r\n";
    }

    bool heard_ = false;
    bool heard_head_ = false;
    bool reusable_ = false;
    completion connected_, written_, received_;
    std::string head_;
    std::optional<http::response_parser<http::string_body>> parser_;
    boost::beast::flat_buffer buffer_;
    asio::io_context context_{1};
    Stream stream_;
};

} // namespace detail::over_beast
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
