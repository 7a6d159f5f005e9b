// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/testing/transport_conformance.hpp>
#include <mlflow/trace/transports/beast.hpp>

#if __has_include(<curl/curl.h>)
#include "examples/own_transport/curl_transport.hpp"
#endif

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

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
struct throws {
    static mt::result<mt::http_response> send(mt::beast_transport& inner, const mt::http_request& request) {
        auto reply = inner.send(request);
        if (!reply) throw std::runtime_error("no route");
        return reply;
    }
};

TEST(transport_conformance, faults_are_found_and_named) {
    EXPECT_NE(faults_of<twisted<drops_headers>>().find("a header is missing"), std::string::npos);
    EXPECT_NE(faults_of<twisted<forgets_the_method>>().find("method GET: another one was sent"), std::string::npos);
    EXPECT_NE(faults_of<twisted<takes_404_for_an_error>>().find("a reply of status 404: no reply"),
              std::string::npos);
    const std::string made_up = faults_of<twisted<makes_up_replies>>();
    EXPECT_NE(made_up.find("nobody listens: it is passed off as a reply"), std::string::npos);
    EXPECT_NE(made_up.find("CR LF in a header or the target: it is not refused"), std::string::npos);
    EXPECT_NE(faults_of<twisted<throws>>().find("send threw: no route"), std::string::npos);
}

} // namespace
