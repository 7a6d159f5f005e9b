// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace chat_server {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::beast::error_code;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

/// Limits for one client.
struct limits {
    std::uint32_t max_header_bytes = 16 * 1024;
    std::uint64_t max_body_bytes = 64 * 1024;
    std::chrono::milliseconds request_timeout{10'000}; ///< from the first byte of a request to its last
    std::chrono::milliseconds write_timeout{30'000};   ///< for each response, or each piece of a streamed one
    std::chrono::milliseconds idle_timeout{60'000};    ///< between requests
};

/// Replaces invalid UTF-8, which a model or another server may have sent.
inline std::string text_of_json(const nlohmann::json& value) {
    return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

inline response json_reply(http::status status, const nlohmann::json& body) {
    response answer(status, 11);
    answer.set(http::field::content_type, "application/json");
    answer.body() = text_of_json(body) + "\n";
    return answer;
}

/// `{"error": message}`
inline response error_reply(http::status status, const std::string& message) {
    return json_reply(status, {{"error", message}});
}

class connection;

/// One request that is waiting for a response: either `reply`, or `begin_stream`, `send` and `end_stream`. If it is
/// destroyed without a response, the response is 500. Thread-safety: one thread at a time; `client_gone` may be
/// called from any thread.
class exchange {
public:
    explicit exchange(std::shared_ptr<connection> on);
    exchange(const exchange&) = delete;
    exchange& operator=(const exchange&) = delete;
    ~exchange();

    void reply(response answer);
    /// The header of a response that ends with the connection.
    void begin_stream(response header);
    void send(std::string piece);
    void end_stream();
    /// Stops when the client closes its connection while it waits. As in most servers, a client that closes its
    /// sending side counts as gone, because HTTP has no other sign.
    [[nodiscard]] std::stop_token client_gone() const { return client_gone_; }

private:
    std::shared_ptr<connection> connection_;
    std::stop_token client_gone_;
    bool is_answered_ = false;
    bool is_streaming_ = false;
};

using handler = std::function<void(request, std::shared_ptr<exchange>)>;

/// HTTP/1.1 with one client. Everything runs on the strand of its socket.
class connection : public std::enable_shared_from_this<connection> {
public:
    connection(tcp::socket socket, const limits& allowed, const handler& handle)
        : socket_(std::move(socket)), timer_(socket_.get_executor()), limits_(allowed), handle_(handle),
          buffer_(allowed.max_header_bytes + 65536) {} // for what the parser does not limit, such as chunk extensions

    void start() {
        on_strand([this] { wait_for_request(); });
    }
    /// Closes now if no request is in progress, otherwise after the response.
    void close_when_idle() {
        on_strand([this] {
            is_closing_ = true;
            if (is_idle_) close();
        });
    }

    /// Since when the connection has been waiting for its client, idle or for the rest of a request, in nanoseconds
    /// of the steady clock; 0 if it is not waiting.
    [[nodiscard]] std::int64_t waits_since() const noexcept { return waits_since_; }
    /// Closes a waiting connection to make room for others.
    void close_when_waiting() {
        is_given_up_ = true;
        on_strand([this] {
            if (waits_since_ != 0) return close();
            is_given_up_ = false; // a request has arrived in the meantime
        });
    }
    [[nodiscard]] bool is_given_up() const noexcept { return is_given_up_; }

private:
    friend class exchange;

    void set_waiting(bool is_waiting) noexcept {
        waits_since_ = is_waiting ? std::chrono::steady_clock::now().time_since_epoch().count() : 0;
    }

    template <class Function>
    void on_strand(Function&& function) {
        asio::dispatch(socket_.get_executor(),
                       [self = shared_from_this(), run = std::forward<Function>(function)]() mutable { run(); });
    }

    // Cancels the operation on the socket when the time is over. `is_late_` is then set.
    void limit(std::chrono::milliseconds time) {
        is_late_ = false;
        timer_.expires_after(time);
        timer_.async_wait([self = shared_from_this(), number = ++timer_number_](error_code error) {
            if (error || number != self->timer_number_) return;
            self->is_late_ = true;
            error_code ignored;
            self->socket_.cancel(ignored);
        });
    }
    void no_limit() {
        ++timer_number_;
        timer_.cancel();
    }

    void wait_for_request() {
        if (is_closing_) return finish();
        if (buffer_.size() != 0) return read_header();
        is_idle_ = true;
        set_waiting(true);
        limit(limits_.idle_timeout);
        socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](error_code error) {
            self->is_idle_ = false;
            if (error) return self->close();
            self->read_header();
        });
    }

    void read_header() {
        parser_.emplace();
        is_head_ = false;
        parser_->header_limit(limits_.max_header_bytes);
        parser_->body_limit(limits_.max_body_bytes);
        set_waiting(true);
        limit(limits_.request_timeout);
        http::async_read_header(
            socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
                if (error) return self->refuse(error);
                if (!boost::beast::iequals(self->parser_->get()[http::field::expect], "100-continue"))
                    return self->read_body();
                static constexpr char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
                asio::async_write(self->socket_, asio::buffer(go_on, sizeof go_on - 1),
                                  [self](error_code failed, std::size_t) {
                                      if (failed) return self->close();
                                      self->read_body();
                                  });
            });
    }

    void read_body() {
        http::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](error_code error, std::size_t) {
            if (error) return self->refuse(error);
            self->no_limit();
            self->set_waiting(false);
            self->keep_alive_ = self->parser_->get().keep_alive();
            self->version_ = self->parser_->get().version();
            self->is_head_ = self->parser_->get().method() == http::verb::head;
            self->watch_client();
            self->handle_(self->parser_->release(), std::make_shared<exchange>(self));
        });
    }

    // While a request is in progress, only the end of the client's data is watched for; nothing is read.
    void watch_client() {
        client_gone_ = std::stop_source();
        if (buffer_.size() == 0) wait_for_end(client_gone_); // otherwise the next request is already here
    }
    // The socket may be ready because of data that has been read since.
    void wait_for_end(std::stop_source gone) {
        socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this(), gone](error_code error) mutable {
            if (error || !self->socket_.is_open()) return;
            char next = 0;
            const auto size = ::recv(self->socket_.native_handle(), &next, 1, MSG_PEEK | MSG_DONTWAIT);
            if (size > 0) return; // part of the next request
            if (size < 0 && (errno == EAGAIN || errno == EINTR)) self->wait_for_end(std::move(gone));
            else gone.request_stop();
        });
    }

    // Answers a request that could not be read completely.
    void refuse(const error_code& why) {
        using http::error;
        const auto is = [&why](auto... any) { return ((why == any) || ...); };
        const auto refuse_with = [this](http::status status, const std::string& message) {
            keep_alive_ = false;
            version_ = 11;
            write(error_reply(status, message));
        };
        if (is_late_ && parser_->got_some())
            return refuse_with(http::status::request_timeout, "the request did not arrive within " +
                                                                  std::to_string(limits_.request_timeout.count()) +
                                                                  " ms");
        if (is(error::body_limit))
            return refuse_with(http::status::payload_too_large,
                               "the body is larger than " + std::to_string(limits_.max_body_bytes) + " bytes");
        if (is(error::header_limit, error::buffer_overflow))
            return refuse_with(http::status::request_header_fields_too_large,
                               "the header is larger than " + std::to_string(limits_.max_header_bytes) + " bytes");
        if (is(error::bad_version))
            return refuse_with(http::status::http_version_not_supported, "send HTTP/1.1 or HTTP/1.0");
        const bool is_http = why.category() == make_error_code(error::bad_version).category();
        // The client has closed the connection.
        if (!is_http || is(error::end_of_stream, error::partial_message)) return close();
        refuse_with(http::status::bad_request, "not an HTTP request: " + why.message());
    }

    void write(response answer) {
        set_waiting(false);
        reply_ = std::move(answer);
        reply_.version(version_);
        reply_.set(http::field::server, "chat_server");
        reply_.keep_alive(keep_alive_ && !is_closing_);
        reply_.prepare_payload();
        if (is_head_) reply_.body().clear(); // RFC 9110, 9.3.2: a body would be read as the next response
        limit(limits_.write_timeout);
        http::async_write(socket_, reply_, [self = shared_from_this()](error_code error, std::size_t) {
            self->no_limit();
            if (error) return self->close();
            if (!self->reply_.keep_alive()) return self->finish();
            self->wait_for_request();
        });
    }

    void queue(std::string piece, bool is_last) {
        if (!piece.empty()) pieces_.push_back(std::move(piece));
        is_last_queued_ = is_last_queued_ || is_last;
        if (!is_writing_) write_next();
    }
    void write_next() {
        if (pieces_.empty() || !socket_.is_open()) {
            pieces_.clear();
            if (is_last_queued_) finish();
            return;
        }
        is_writing_ = true;
        limit(limits_.write_timeout);
        asio::async_write(socket_, asio::buffer(pieces_.front()),
                          [self = shared_from_this()](error_code error, std::size_t) {
                              self->no_limit();
                              self->is_writing_ = false;
                              self->pieces_.pop_front();
                              if (error) self->close();
                              self->write_next();
                          });
    }

    // Closing a connection with unread bytes would reset it, and the client could lose the response.
    void finish() {
        error_code error;
        socket_.shutdown(tcp::socket::shutdown_send, error);
        if (error) return close();
        set_waiting(true);
        limit(std::chrono::seconds(1));
        discard();
    }
    void discard() {
        buffer_.clear();
        socket_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](error_code error, std::size_t) {
            if (error || self->is_late_) return self->close();
            self->discard();
        });
    }
    void close() {
        client_gone_.request_stop();
        no_limit();
        error_code ignored;
        socket_.close(ignored);
    }

    tcp::socket socket_;
    asio::steady_timer timer_;
    std::uint64_t timer_number_ = 0;
    const limits& limits_;
    const handler& handle_;
    boost::beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_;
    response reply_;
    std::deque<std::string> pieces_;
    std::stop_source client_gone_; // of the current request
    unsigned version_ = 11;
    bool keep_alive_ = false;
    bool is_head_ = false;
    std::atomic<std::int64_t> waits_since_{0};
    std::atomic<bool> is_given_up_{false};
    bool is_idle_ = false;
    bool is_closing_ = false;
    bool is_late_ = false;
    bool is_writing_ = false;
    bool is_last_queued_ = false;
};

inline exchange::exchange(std::shared_ptr<connection> on)
    : connection_(std::move(on)), client_gone_(connection_->client_gone_.get_token()) {}

inline exchange::~exchange() {
    if (is_streaming_) end_stream();
    else if (!is_answered_) reply(error_reply(http::status::internal_server_error, "no answer"));
}

inline void exchange::reply(response answer) {
    is_answered_ = true;
    connection_->on_strand(
        [to = connection_.get(), all = std::move(answer)]() mutable { to->write(std::move(all)); });
}

inline void exchange::begin_stream(response header) {
    is_answered_ = is_streaming_ = true;
    header.version(11);
    header.keep_alive(false);
    std::string text = "HTTP/1.1 200 OK\r\n";
    for (const auto& field : header.base())
        text.append(field.name_string().data(), field.name_string().size())
            .append(": ")
            .append(field.value().data(), field.value().size())
            .append("\r\n");
    send(text + "\r\n");
}

inline void exchange::send(std::string piece) {
    connection_->on_strand(
        [to = connection_.get(), all = std::move(piece)]() mutable { to->queue(std::move(all), false); });
}

inline void exchange::end_stream() {
    is_streaming_ = false;
    connection_->on_strand([to = connection_.get()] { to->queue({}, true); });
}

} // namespace chat_server
