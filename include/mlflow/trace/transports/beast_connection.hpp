// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/transports/beast_proxy.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/span_body.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
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

// A TCP socket that does not make the other side wait: each read first asks for immediate acknowledgements. A server
// that writes the header and the body of a reply apart, with Nagle's algorithm on, otherwise holds the body back
// until the delayed acknowledgement of the header arrives, 40 ms later. Linux forgets the option, so it is set each
// time.
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

    // Whether the other side has sent nothing, not even its end.
    bool is_quiet() {
        char byte = 0;
        error_code error;
        socket_.receive(asio::buffer(&byte, 1), socket_type::message_peek, error);
        return error == asio::error::would_block;
    }

private:
    socket_type socket_;
};

// Also where the Host header leaves the port out.
inline std::string with_port(const endpoint& server) {
    const auto host = server.host.find(':') == std::string::npos ? server.host : "[" + server.host + "]";
    return host + ":" + std::to_string(server.port);
}

struct reply_limits {
    std::size_t body_bytes;
    std::uint32_t header_bytes;
};

// One connection, with all that its operations refer to. It is never repaired: after an error it is destroyed, and
// every operation that is still pending with it.
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

    // Asks a proxy for a way to the server; it is there when `status` is a success. RFC 9110, 9.3.6.
    error_code tunnel(const endpoint& server, const proxy& via, reply_limits limits, time_point until, int& status) {
        auto& bottom = boost::beast::get_lowest_layer(stream_);
        const auto to = with_port(server);
        http::request<http::empty_body> request(http::verb::connect, to, 11);
        request.set(http::field::host, to);
        if (!via.authorization.empty())
            request.set(http::field::proxy_authorization, view(via.authorization.reveal()));
        http::async_write(bottom, request, written_.handler());
        if (const auto error = wait(written_, until)) return error;
        http::response_parser<http::empty_body> parser;
        parser.skip(true);
        parser.header_limit(limits.header_bytes);
        http::async_read_header(bottom, buffer_, parser, received_.handler());
        const auto error = wait(received_, until);
        status = static_cast<int>(parser.get().result_int());
        return error;
    }

    // The request is written while the reply is already awaited: a server may refuse a body before it has read it.
    // To a proxy, if one is given, which passes it on.
    error_code exchange(const endpoint& server, const proxy* via, const http_request& request, reply_limits limits,
                        time_point until) {
        heard_ = reusable_ = false;
        compose(server, via, request);
        // The parser limits header and body; what is neither, such as an endless chunk extension, ends here.
        buffer_.max_size(limits.header_bytes + read_bytes);
        serializer_.emplace(*message_);
        http::async_write(stream_, *serializer_, written_.handler());
        int status = 0;
        do {
            parser_.emplace();
            parser_->body_limit(limits.body_bytes);
            parser_->header_limit(limits.header_bytes);
            // The header apart: Beast 1.74 forgets the limit of a body that arrives together with its header.
            http::async_read_header(stream_, buffer_, *parser_, received_.handler());
            auto error = wait(received_, until);
            heard_ = heard_ || parser_->got_some();
            if (error) return error;
            http::async_read(stream_, buffer_, *parser_, received_.handler());
            error = wait(received_, until);
            if (error) return error;
            status = static_cast<int>(parser_->get().result_int());
        } while (status / 100 == 1 && status != 101);
        if (!written_.done) context_.poll();
        reusable_ = written_.done && !written_.error && parser_->keep_alive() && buffer_.size() == 0 && status != 101;
        return {};
    }

    // The reply of an exchange that succeeded.
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

    // Whether a byte of a reply came in the last exchange.
    bool heard() const noexcept { return heard_; }

    // Whether what came in place of a header begins as a TLS alert does, RFC 8446, 5.1.
    bool heard_tls() const noexcept {
        const auto bytes = buffer_.cdata();
        return bytes.size() > 0 && !parser_->is_header_done() && *static_cast<const char*>(bytes.data()) == 0x15;
    }

    // Whether the last exchange left it ready for another one.
    bool reusable() const noexcept { return reusable_; }

    // Whether nothing came since: neither the end, nor bytes that nobody asked for, which would be taken for a reply.
    bool is_quiet() { return boost::beast::get_lowest_layer(stream_).is_quiet(); }

private:
    static constexpr std::size_t read_bytes = 64 * 1024; // what Beast asks for at most in one read

    struct completion {
        bool done = false;
        error_code error;

        auto handler() {
            done = false;
            return [this](error_code outcome, auto&&...) {
                done = true;
                error = outcome;
            };
        }
    };

    error_code wait(const completion& operation, time_point until) {
        context_.restart();
        while (!operation.done)
            if (context_.run_one_until(until) == 0) return boost::beast::error::timeout;
        return operation.error;
    }

    static boost::beast::string_view view(std::string_view text) { return {text.data(), text.size()}; }

    void compose(const endpoint& server, const proxy* via, const http_request& request) {
        auto& message = message_.emplace();
        message.version(11);
        message.method_string(view(to_string(request.method)));
        const auto origin = via ? "http://" + server.authority() : std::string(); // RFC 9112, 3.2.2
        message.target(view(origin + server.path + std::string(request.target)));
        message.set(http::field::host, view(server.authority()));
        if (via && !via->authorization.empty())
            message.set(http::field::proxy_authorization, view(via->authorization.reveal()));
        for (const auto& [name, value] : request.headers) message.insert(view(name), view(value));
        if (message.find(http::field::user_agent) == message.end())
            message.set(http::field::user_agent, "mlflow_trace/" MLFLOW_TRACE_VERSION);
        message.body() = {request.body.data(), request.body.size()};
        message.prepare_payload();
    }

    bool heard_ = false;
    bool reusable_ = false;
    completion connected_, written_, received_;
    std::optional<http::request<http::span_body<const char>>> message_;
    std::optional<http::request_serializer<http::span_body<const char>>> serializer_;
    std::optional<http::response_parser<http::string_body>> parser_;
    boost::beast::flat_buffer buffer_;
    asio::io_context context_{1};
    Stream stream_;
};

} // namespace detail::over_beast
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
