// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/testing/transport_conformance.hpp>
#include <mlflow/trace/transports/beast.hpp>

#if __has_include(<curl/curl.h>)
#include "examples/own_transport/curl_transport.hpp"
#endif

#include <gtest/gtest.h>

#include <chrono>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;

template <class Transport>
std::string faults_of() {
    std::string all;
    mt::transport_conformance suite([](const mt::endpoint& server) { return Transport(server); });
    for (const std::string& fault : suite.faults()) all += fault + "\n";
    return all;
}

TEST(transport_conformance, the_librarys_transport_conforms) { EXPECT_EQ(faults_of<mt::beast_transport>(), ""); }

#if __has_include(<curl/curl.h>)
TEST(transport_conformance, the_example_conforms) { EXPECT_EQ(faults_of<curl_transport>(), ""); }
#endif

// A good transport, but for one thing.
template <class Twist>
struct twisted {
    explicit twisted(const mt::endpoint& server) : inner(server) {}
    mt::result<mt::http_response> send(const mt::http_request& request) { return Twist::send(inner, request); }
    mt::beast_transport inner;
};
struct drops_headers {
    static auto send(mt::beast_transport& inner, mt::http_request request) {
        request.headers = {};
        return inner.send(request);
    }
};
struct forgets_the_method {
    static auto send(mt::beast_transport& inner, mt::http_request request) {
        request.method = mt::http_method::post;
        return inner.send(request);
    }
};
struct takes_404_for_an_error {
    static mt::result<mt::http_response> send(mt::beast_transport& inner, const mt::http_request& request) {
        auto reply = inner.send(request);
        if (reply && reply->status >= 400) return mt::failure{mt::error{}};
        return reply;
    }
};
struct makes_up_replies {
    static mt::result<mt::http_response> send(mt::beast_transport& inner, const mt::http_request& request) {
        auto reply = inner.send(request);
        if (!reply) return mt::http_response{.status = 200, .headers = {}, .body = {}};
        return reply;
    }
};
struct waits_for_ever {
    static auto send(mt::beast_transport& inner, mt::http_request request) {
        request.timeout = std::chrono::minutes(1);
        return inner.send(request);
    }
};
struct throws {
    static mt::result<mt::http_response> send(mt::beast_transport& inner, const mt::http_request& request) {
        auto reply = inner.send(request);
        if (!reply) throw std::runtime_error("no route");
        return reply;
    }
};

// As one writes it in an hour: takes the first head for the response's, and each call of the system has a timeout.
struct naive {
    explicit naive(const mt::endpoint& server) : to(server) {}
    mt::result<mt::http_response> send(const mt::http_request& request) {
        if (auto fault = mt::check_request(to, request)) return mt::failure{*fault};
        const int open = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(to.port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{5, 0};
        ::setsockopt(open, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::string text = std::string(to_string(request.method)) + ' ' + to.path + std::string(request.target) +
                           " HTTP/1.1\r\nHost: x\r\n\r\n";
        mt::result<mt::http_response> reply = mt::failure{mt::error(mt::error_kind::connect, "the server")};
        if (::connect(open, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
            ::send(open, text.data(), text.size(), MSG_NOSIGNAL) > 0)
            reply = read(open);
        ::close(open);
        return reply;
    }
    static mt::result<mt::http_response> read(int open) {
        std::string all;
        char bytes[4096];
        for (;;) {
            const auto end = all.find("\r\n\r\n");
            const auto length = all.find("Content-Length: ");
            if (end != std::string::npos && (length == std::string::npos || length > end ||
                                             all.size() >= end + 4 + std::stoul(all.substr(length + 16))))
                return mt::http_response{std::stoi(all.substr(9)), {}, all.substr(end + 4)};
            const auto size = ::recv(open, bytes, sizeof bytes, 0);
            if (size <= 0) return mt::failure{mt::error(size < 0 ? mt::error_kind::timeout : mt::error_kind::closed)};
            all.append(bytes, static_cast<std::size_t>(size));
        }
    }
    mt::endpoint to;
};

TEST(transport_conformance, what_is_not_seen_with_a_quick_server_is_found) {
    const std::string faults = faults_of<naive>();
    EXPECT_NE(faults.find("interim ones: responses of status 1xx must be skipped"), std::string::npos) << faults;
    EXPECT_NE(faults.find("ends with the connection: the body differs"), std::string::npos) << faults;
    EXPECT_NE(faults.find("byte by byte: it is returned as a response"), std::string::npos) << faults;
    EXPECT_NE(faults.find("a chunked response that breaks off: it is returned as a response"), std::string::npos)
        << faults;
}

TEST(transport_conformance, a_transport_without_a_deadline_is_found) {
    const std::string faults = faults_of<twisted<waits_for_ever>>();
    for (const char* const name :
         {"a silent server: error().kind() is wrong", "a server that reads nothing: error()"})
        EXPECT_NE(faults.find(name), std::string::npos) << faults;
}

TEST(transport_conformance, faults_are_found_and_named) {
    EXPECT_NE(faults_of<twisted<drops_headers>>().find("a header is missing"), std::string::npos);
    EXPECT_NE(faults_of<twisted<forgets_the_method>>().find("method GET: another one was sent"), std::string::npos);
    EXPECT_NE(faults_of<twisted<takes_404_for_an_error>>().find("a response of status 404: no response"),
              std::string::npos);
    const std::string made_up = faults_of<twisted<makes_up_replies>>();
    EXPECT_NE(made_up.find("a refused connection: it is returned as a response"), std::string::npos);
    EXPECT_NE(made_up.find("CR LF in a header or the target: it is not rejected"), std::string::npos);
    EXPECT_NE(faults_of<twisted<throws>>().find("send threw: no route"), std::string::npos);
}

} // namespace
