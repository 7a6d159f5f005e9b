// SPDX-License-Identifier: Apache-2.0
#include "support/raw_server.hpp"
#include "support/tls_server.hpp"
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using kind = mt::error_kind;

namespace {

const tls::certificate& authority() {
    static const tls::certificate ca("", nullptr);
    return ca;
}

mt::beast_transport transport_to(const std::string& host, std::uint16_t port, mt::tls_options chosen = {}) {
    return mt::beast_transport({"https", host, port, ""}, {.tls = std::move(chosen)});
}

auto get(mt::beast_transport& transport) { return transport.send({.timeout = 30s}); }

void expect_refusal(mt::beast_transport transport, kind reason, const std::string& part) {
    const auto reply = get(transport);
    ASSERT_FALSE(reply) << reply->status;
    EXPECT_EQ(reply.error().kind(), reason) << reply.error().message();
    EXPECT_NE(reply.error().message().find(part), std::string::npos) << reply.error().message();
    EXPECT_EQ(reply.error().message().find('\n'), std::string::npos) << reply.error().message();
    EXPECT_EQ(mt::outcome_of(reply.error()), mt::outcome::wait) << "mended, it succeeds";
}

TEST(BeastTransportTls, ATrustedServerIsAskedByItsNameOnAKeptConnection) {
    const tls::certificate own("DNS:localhost", &authority());
    const tls::server server(own);
    auto transport = transport_to("localhost", server.port(), {.ca_file = authority().file()});
    for (int i = 0; i < 3; ++i) {
        const auto reply = get(transport);
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->body, "localhost");
    }
    EXPECT_EQ(server.connections(), 1);
}

// The second TLS record is in memory when the first has been read, so that the socket itself is quiet.
TEST(BeastTransportTls, WhatComesAfterAReplyInARecordOfItsOwnIsNotTheNextReply) {
    const tls::certificate own("DNS:localhost", &authority());
    const tls::server server(own, nullptr, raw::reply(200, "stray"));
    auto transport = transport_to("localhost", server.port(), {.ca_file = authority().file()});
    for (int i = 0; i < 3; ++i) {
        const auto reply = get(transport);
        ASSERT_TRUE(reply) << reply.error().message();
        EXPECT_EQ(reply->body, "localhost");
    }
    EXPECT_EQ(server.connections(), 3);
}

TEST(BeastTransportTls, AnAddressIsCheckedAndNotSentAsAName) {
    const tls::certificate own("IP:127.0.0.1", &authority());
    const tls::server server(own);
    auto transport = transport_to("127.0.0.1", server.port(), {.ca_file = authority().file()});
    const auto reply = get(transport);
    ASSERT_TRUE(reply) << reply.error().message();
    EXPECT_EQ(reply->body, "no name");
}

TEST(BeastTransportTls, AnotherHostsCertificateIsRefused) {
    const tls::certificate own("DNS:other.example", &authority());
    const tls::server server(own);
    const mt::tls_options trusting{.ca_file = authority().file()};
    expect_refusal(transport_to("localhost", server.port(), trusting), kind::tls,
                   "use a host name that the certificate");
    expect_refusal(transport_to("127.0.0.1", server.port(), trusting), kind::tls,
                   "use a host name that the certificate");
}

TEST(BeastTransportTls, AnUnknownAuthorityIsRefused) {
    const tls::certificate own("DNS:localhost", &authority());
    const tls::certificate other("", nullptr);
    const tls::server server(own);
    expect_refusal(transport_to("localhost", server.port()), kind::tls, "set tls.ca_file");
    expect_refusal(transport_to("localhost", server.port(), {.ca_file = other.file()}), kind::tls, "set tls.ca_file");
}

TEST(BeastTransportTls, AnExpiredCertificateIsRefused) {
    const tls::certificate own("DNS:localhost", &authority(), -1);
    const tls::server server(own);
    expect_refusal(transport_to("localhost", server.port(), {.ca_file = authority().file()}), kind::tls,
                   "certificate has expired; renew it");
}

TEST(BeastTransportTls, AnyServerIsAcceptedOnlyWhereTheOptionSaysSo) {
    const tls::certificate own("DNS:other.example", &authority(), -1);
    const tls::server server(own);
    auto transport = transport_to("localhost", server.port(), {.accept_any_server = true});
    const auto reply = get(transport);
    ASSERT_TRUE(reply) << reply.error().message();
}

TEST(BeastTransportTls, AClientShowsItsCertificateWhereOneIsRequired) {
    const tls::certificate own("DNS:localhost", &authority());
    const tls::certificate client("DNS:client.example", &authority());
    const tls::server server(own, &authority());
    {
        auto known = transport_to("localhost", server.port(),
                                  {.ca_file = authority().file(), .certificate_file = client.file()});
        const auto reply = get(known);
        ASSERT_TRUE(reply) << reply.error().message();
    }
    expect_refusal(transport_to("localhost", server.port(), {.ca_file = authority().file()}), kind::tls,
                   "tls.certificate_file");
}

TEST(BeastTransportTls, AServerWithoutTlsIsSaidToBeOne) {
    raw::server plain([](raw::peer& peer, int) {
        peer.write(raw::reply(400, "plain"));
        peer.wait_for_close();
    });
    expect_refusal(transport_to("127.0.0.1", plain.port()), kind::tls,
                   "the server does not use TLS on this port; use http://");
}

TEST(BeastTransportTls, PlainHttpToAServerWithTlsIsSaidToBeThat) {
    const raw::server alerting([](raw::peer& peer, int) {
        peer.read_request();
        peer.write(std::string_view("\x15\x03\x01\x00\x02\x02\x46", 7)); // a fatal alert: protocol_version
    });
    expect_refusal(mt::beast_transport({"http", "127.0.0.1", alerting.port(), ""}), kind::tls,
                   ": the server expects TLS; use https://");
    const tls::certificate own("DNS:localhost", &authority());
    const tls::server silent(own);
    mt::beast_transport transport({"http", "127.0.0.1", silent.port(), ""});
    const auto reply = get(transport);
    ASSERT_FALSE(reply);
    EXPECT_NE(reply.error().message().find("use https://"), std::string::npos) << reply.error().message();
}

TEST(BeastTransportTls, AServerThatNeverShakesHandsRunsIntoTheDeadline) {
    raw::server silent([](raw::peer& peer, int) { peer.wait_for_close(); });
    auto transport = transport_to("127.0.0.1", silent.port());
    const auto reply = transport.send({.timeout = 100ms});
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind(), kind::timeout) << reply.error().message();
}

} // namespace
