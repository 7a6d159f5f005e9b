// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model_answer.hpp"
#include <mlflow/trace/http/message.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

namespace asio = boost::asio;
namespace http = boost::beast::http;

/// The client has closed its connection.
class model_cancelled : public std::runtime_error {
public:
    model_cancelled() : runtime_error("cancelled by the client") {}
};

/// One request to a model's server and its response, on a new connection. Each step blocks until it is done, late or
/// cancelled; then it throws model_error or model_cancelled.
class model_connection {
public:
    model_connection(const mlflow::trace::endpoint& server, std::stop_token stop)
        : server_(server), on_stop_(std::move(stop), [this] {
              asio::post(io_, [this] {
                  is_cancelled_ = true;
                  stream_.cancel();
              });
          }) {}

    void connect(std::chrono::milliseconds limit) {
        boost::beast::error_code error;
        asio::ip::tcp::resolver resolver(io_);
        const auto addresses = resolver.resolve(server_.host, std::to_string(server_.port), error);
        if (!error) error = run(limit, [&](auto done) { stream_.async_connect(addresses, done); });
        if (error) throw failed(error, limit);
    }
    void send(const http::request<http::string_body>& asked, std::chrono::milliseconds limit) {
        const auto error = run(limit, [&](auto done) { http::async_write(stream_, asked, done); });
        // A server that responds early may close the connection before it has read everything.
        if (error == boost::beast::error::timeout) throw failed(error, limit);
    }
    /// Reads the header of the response, after skipping interim responses.
    void read_header(std::chrono::milliseconds limit) {
        constexpr int most_of_them = 100;
        for (int i = 0; i < most_of_them; ++i) {
            parser_.emplace();
            parser_->header_limit(64 * 1024);
            parser_->body_limit(std::numeric_limits<std::uint64_t>::max()); // model_stream has its own limit
            const auto error =
                run(limit, [&](auto done) { http::async_read_header(stream_, buffer_, *parser_, done); });
            if (error) throw failed(error, limit);
            if (status() / 100 != 1) return;
            if (status() == 101) break; // another protocol
        }
        throw model_error("sent no answer, only the status " + std::to_string(status()));
    }

    [[nodiscard]] unsigned status() const { return parser_->get().result_int(); }
    /// The Content-Encoding, unless it is gzip.
    [[nodiscard]] std::string coding() const {
        const auto given = parser_->get()[http::field::content_encoding];
        const bool is_known = boost::beast::iequals(given, "gzip") || boost::beast::iequals(given, "x-gzip") ||
                              boost::beast::iequals(given, "identity");
        return is_known ? "" : std::string(given.data(), given.size());
    }
    [[nodiscard]] bool is_at_end() const { return parser_->is_done(); }

    /// Passes on the next part of the body. Returns why the body has ended, or an empty text if it has not.
    template <class OnBytes>
    std::string read(OnBytes&& on_bytes, std::chrono::milliseconds limit) {
        const auto error = run(limit, [&](auto done) { http::async_read_some(stream_, buffer_, *parser_, done); });
        const std::string bytes = std::exchange(parser_->get().body(), {});
        if (!bytes.empty()) on_bytes(bytes);
        return error ? reason(error, limit) : std::string();
    }

private:
    template <class Start>
    boost::beast::error_code run(std::chrono::milliseconds limit, Start&& start) {
        boost::beast::error_code result = asio::error::operation_aborted;
        stream_.expires_after(limit);
        if (!is_cancelled_) start([&result](boost::beast::error_code error, auto&&...) { result = error; });
        io_.restart();
        io_.run();
        if (is_cancelled_) throw model_cancelled();
        return result;
    }

    static std::string reason(boost::beast::error_code error, std::chrono::milliseconds limit) {
        if (error == boost::beast::error::timeout) return "nothing came for " + std::to_string(limit.count()) + " ms";
        if (error == http::error::end_of_stream || error == http::error::partial_message)
            return "the connection was closed";
        return error.message();
    }
    model_error failed(boost::beast::error_code error, std::chrono::milliseconds limit) const {
        return model_error("at " + server_.authority() + " did not answer: " + reason(error, limit));
    }

    const mlflow::trace::endpoint& server_;
    asio::io_context io_;
    boost::beast::tcp_stream stream_{io_};
    boost::beast::flat_buffer buffer_;
    std::optional<http::response_parser<http::string_body>> parser_;
    bool is_cancelled_ = false;
    std::stop_callback<std::function<void()>> on_stop_; // destroyed before the members that it uses
};

} // namespace chat_server
