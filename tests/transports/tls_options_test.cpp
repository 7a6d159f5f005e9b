// SPDX-License-Identifier: Apache-2.0
#include "support/tls_server.hpp"
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/tls_options.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>
#include <utility>

namespace mt = mlflow::trace;

namespace {

// What a request fails with before anything is sent.
mt::error fault_of(mt::tls_options chosen) {
    mt::beast_transport transport({"https", "localhost", 9, ""}, {.tls = std::move(chosen)});
    auto reply = transport.send({});
    EXPECT_FALSE(reply);
    return reply ? mt::error() : std::move(reply).error();
}

void expect_refusal(const mt::tls_options& chosen, const std::string& part) {
    const auto fault = fault_of(chosen);
    EXPECT_EQ(fault.kind(), mt::error_kind::bad_request) << fault.message();
    EXPECT_NE(fault.message().find(part), std::string::npos) << fault.message();
}

TEST(TlsOptions, AFileThatCannotBeReadIsNamed) {
    const tls::certificate own("DNS:client.example", nullptr);
    expect_refusal({.ca_file = "/nowhere/ca.pem"}, "tls.ca_file \"/nowhere/ca.pem\"");
    expect_refusal({.certificate_file = "/nowhere/own.pem"}, "tls.certificate_file \"/nowhere/own.pem\"");
    expect_refusal({.certificate_file = own.file(), .private_key_file = "/nowhere/key.pem"},
                   "tls.private_key_file \"/nowhere/key.pem\"");
}

TEST(TlsOptions, AFileThatIsNotPemIsNamed) {
    const std::string path = testing::TempDir() + "tls_options_test." + std::to_string(::getpid());
    std::ofstream(path) << "not PEM";
    expect_refusal({.ca_file = path}, "tls.ca_file \"" + path);
    expect_refusal({.certificate_file = path}, "it must be a readable PEM file");
    std::remove(path.c_str());
}

} // namespace
