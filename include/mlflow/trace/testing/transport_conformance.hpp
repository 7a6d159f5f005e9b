// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/testing/loopback_server.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Checks a transport against the requirements of the library, over HTTP on 127.0.0.1, with servers that respond,
/// close the connection, stay silent, read nothing, send byte by byte, or send malformed responses. Use it in a test,
/// with any test framework. `make(endpoint)` returns a transport to that server:
///
///     mt::transport_conformance suite([](const mt::endpoint& server) { return my_transport(server); });
///     for (const std::string& fault : suite.faults()) ADD_FAILURE() << fault;
///
/// Takes a few seconds at most.
///
/// Thread-safety: none.
template <class Make>
class transport_conformance {
    static_assert(transport<std::invoke_result_t<const Make&, const endpoint&>>,
                  "the transport lacks a member: mlflow::trace::result<mlflow::trace::http_response> "
                  "send(const mlflow::trace::http_request&)");

public:
    /// Stores the function that makes transports.
    explicit transport_conformance(Make make) : make_(std::move(make)) {}

    /// Runs the checks. Returns one line per fault; empty if the transport conforms.
    [[nodiscard]] std::vector<std::string> faults() {
        faults_.clear();
        check_request();
        check_methods();
        check_replies();
        check_connections();
        check_errors();
        check_injection();
        return faults_;
    }

private:
    using server = detail::loopback_server;
    using reply_type = result<http_response>;
    static constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nX-Reply: yes\r\nContent-Length: 4\r\n\r\nbody";

    void fault(std::string_view check, std::string_view what) {
        faults_.push_back(std::string(check) + ": " + std::string(what));
    }
    void expect(bool holds, std::string_view check, std::string_view what) {
        if (!holds) fault(check, what);
    }

    template <class Transport>
    std::optional<reply_type> send(Transport& transport, const http_request& request, std::string_view check) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            return transport.send(request);
        } catch (const std::exception& thrown) {
            fault(check, std::string("send threw: ") + thrown.what());
        } catch (...) {
            fault(check, "send threw");
        }
        return std::nullopt;
#else
        static_cast<void>(check);
        return transport.send(request);
#endif
    }

    std::optional<reply_type> send_to(const server& to, const http_request& request, std::string_view check) {
        expect(to.is_listening(), check, "the suite cannot listen on 127.0.0.1");
        auto transport = make_(endpoint::parse(to.url("/base")).value());
        return send(transport, request, check);
    }
    std::optional<http_response> reply_of(std::string_view bytes, std::string_view check,
                                          server::afterwards then = server::afterwards::keep_alive) {
        server one{std::string(bytes), then};
        auto reply = send_to(one, {.target = "/get"}, check);
        if (reply && *reply) return std::move(**reply);
        if (reply) fault(check, "no response: " + reply->error().message());
        return std::nullopt;
    }

    void check_request() {
        constexpr std::string_view name = "a request with headers and a body";
        server one{std::string(ok)};
        const std::array headers = {http_header{"X-First", "1"},
                                    http_header{"Content-Type", "application/x-protobuf"}};
        std::string body("\0binary\xff\r\n\r\n", 12);
        body.append(2'000'000, 'x');
        const auto reply = send_to(one, {http_method::post, "/v1/traces?a=b", headers, body}, name);
        if (!reply || !*reply) return fault(name, reply ? "no response: " + reply->error().message() : "no response");
        const auto requests = one.requests();
        if (requests.size() != 1) return fault(name, "it was sent " + std::to_string(requests.size()) + " times");
        const std::string_view sent = requests[0];
        const std::string_view head = sent.substr(0, sent.find("\r\n\r\n") + 2);
        expect(head.starts_with("POST /base/v1/traces?a=b HTTP/1.1\r\n"), name,
               "the request line must be the method, the endpoint's path followed by the target, and HTTP/1.1");
        expect(header_count(head, "host") == 1, name, "there must be exactly one Host header");
        expect(head.find("\r\nX-First: 1\r\n") != std::string_view::npos, name, "a header is missing");
        expect(header_count(head, "content-type") == 1, name,
               "there must be exactly one Content-Type header, the caller's");
        expect(sent.substr(head.size() + 2) == body, name, "the body was changed");
    }

    void check_methods() {
        for (const auto method :
             {http_method::get, http_method::post, http_method::put, http_method::patch, http_method::delete_}) {
            const std::string name = "method " + std::string(to_string(method));
            server one{std::string(ok)};
            const auto reply = send_to(one, {.method = method, .target = "/"}, name);
            expect(reply && *reply, name, "no response");
            const auto requests = one.requests();
            expect(requests.size() == 1 && requests[0].starts_with(std::string(to_string(method)) + " /base"), name,
                   "another one was sent");
        }
    }

    void check_replies() {
        if (const auto reply = reply_of(ok, "a response")) {
            expect(reply->status == 200 && reply->body == "body", "a response", "status or body differ");
            expect(reply->header("x-reply") == "yes", "a response", "its header cannot be looked up");
        }
        const auto missing = reply_of("HTTP/1.1 404 x\r\nContent-Length: 2\r\n\r\nno", "a response of status 404");
        if (missing)
            expect(missing->status == 404 && missing->body == "no", "a response of status 404",
                   "it must be returned as a response");
        if (const auto reply = reply_of("HTTP/1.1 204 x\r\n\r\n", "a response without a body"))
            expect(reply->status == 204 && reply->body.empty(), "a response without a body", "status or body differ");
        if (const auto reply =
                reply_of("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
                         "a chunked response"))
            expect(reply->body == "abcde", "a chunked response", "the body is not the chunks, joined");
        constexpr std::string_view interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 x\r\nLink: a\r\n\r\n";
        if (const auto reply = reply_of(std::string(interim) + std::string(ok), "a response after two interim ones"))
            expect(reply->status == 200 && reply->body == "body", "a response after two interim ones",
                   "responses of status 1xx must be skipped");
        constexpr std::string_view until_closed = "a response that ends with the connection";
        if (const auto reply = reply_of("HTTP/1.1 200 x\r\n\r\nall of it", until_closed, server::afterwards::drip))
            expect(reply->body == "all of it", until_closed, "the body differs");
        const std::string large(3'000'000, 'y');
        if (const auto reply =
                reply_of("HTTP/1.1 200 x\r\nContent-Length: 3000000\r\n\r\n" + large, "a response of 3 MB"))
            expect(reply->body == large, "a response of 3 MB", "the body differs");
        const auto redirect =
            reply_of("HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "a redirect");
        if (redirect)
            expect(redirect->status == 302, "a redirect",
                   "it must not be followed, because credentials would be sent along");
    }

    void check_connections() {
        constexpr std::string_view name = "a server that closes after each response without saying so";
        server one{std::string(ok), server::afterwards::close};
        auto transport = make_(endpoint::parse(one.url("")).value());
        for (int i = 0; i < 3; ++i) {
            const auto reply = send(transport, {.target = "/"}, name);
            expect(reply && *reply, name, "the next request gets no response");
        }
    }

    void check_errors() {
        using kind = error_kind;
        const auto expect_error = [&](std::string_view name, std::optional<reply_type> reply, auto... kinds) {
            if (!reply) return;
            if (*reply) return fault(name, "it is returned as a response");
            const error& failed = reply->error();
            expect(((failed.kind() == kinds) || ...), name, "error().kind() is wrong; message: " + failed.message());
            expect(!failed.message().empty() && failed.message().find('\n') == std::string::npos, name,
                   "error().message() is not one line that says what happened");
        };
        const auto expect_timeout = [&](std::string_view name, const server& slow, std::string_view body = {}) {
            const auto before = std::chrono::steady_clock::now();
            http_request request{.target = "/", .timeout = std::chrono::milliseconds(300)};
            if (!body.empty()) request = {http_method::post, "/", {}, body, request.timeout};
            expect_error(name, send_to(slow, request, name), kind::timeout);
            expect(std::chrono::steady_clock::now() - before < std::chrono::seconds(10), name,
                   "the timeout of 300 ms, which is for the whole exchange, is exceeded");
        };
        expect_timeout("a silent server", server{std::string(ok), server::afterwards::say_nothing});
        expect_timeout("a server that reads nothing", server{std::string(ok), server::afterwards::read_nothing},
                       std::string(32'000'000, 'x')); // more than the system's buffers hold
        const std::string endless = "HTTP/1.1 200 x\r\nContent-Length: 600\r\n\r\n" + std::string(600, 'z');
        expect_timeout("a server that sends byte by byte", server{endless, server::afterwards::drip});

        server torn("HTTP/1.1 200 x\r\nContent-Length: 100\r\n\r\nhalf", server::afterwards::close);
        expect_error("a response that breaks off", send_to(torn, {.target = "/"}, "a response that breaks off"),
                     kind::closed, kind::bad_reply);
        server unfinished("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
                          server::afterwards::close);
        expect_error("a chunked response that breaks off",
                     send_to(unfinished, {.target = "/"}, "a chunked response that breaks off"), kind::closed,
                     kind::bad_reply);
        server nonsense("SSH-2.0-x\r\n\r\n", server::afterwards::close);
        expect_error("a response that is not HTTP", send_to(nonsense, {.target = "/"}, "a response that is not HTTP"),
                     kind::bad_reply, kind::closed);
        server gone{std::string(ok)};
        gone.stop();
        auto transport = make_(endpoint::parse(gone.url("")).value());
        expect_error("a refused connection", send(transport, {.target = "/"}, "a refused connection"), kind::connect);
    }

    // A value from a user must not become a header or a second request.
    void check_injection() {
        const std::array header = {http_header{"X-User", "a\r\nX-Admin: yes"}};
        const std::array name_header = {http_header{"X-User: a\r\nX-Admin", "yes"}};
        for (const http_request& request :
             {http_request{.target = "/", .headers = header}, http_request{.target = "/", .headers = name_header},
              http_request{.target = "/ HTTP/1.1\r\nX-Admin: yes\r\n\r\n"}}) {
            constexpr std::string_view name = "CR LF in a header or the target";
            server one{std::string(ok)};
            const auto reply = send_to(one, request, name);
            if (!reply) continue;
            expect(!*reply && reply->error().kind() == error_kind::bad_request, name,
                   "it is not rejected; call mt::check_request before sending");
            expect(one.requests().empty(), name, "something was sent");
        }
    }

    static std::size_t header_count(std::string_view head, std::string_view name) {
        std::size_t count = 0;
        for (std::size_t at = head.find("\r\n"); at != std::string_view::npos; at = head.find("\r\n", at + 2)) {
            const std::string_view line = head.substr(at + 2, name.size());
            if (detail::same_name(line, name) && head.substr(at + 2 + name.size()).starts_with(':')) ++count;
        }
        return count;
    }

    Make make_;
    std::vector<std::string> faults_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
