// SPDX-License-Identifier: Apache-2.0
#include "support/environment.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace {

namespace mt = mlflow::trace;

using exporter = mt::mlflow_exporter<mt::beast_transport>;
using client = mt::client<mt::beast_transport>;
using without_tls = mt::mlflow_exporter<mt::memory_transport>;

using mlflow_environment = support::environment_test;

exporter::options options() {
    const auto read = mt::from_environment<exporter>({.experiment_name = "chat", .experiment_id = "1"});
    EXPECT_TRUE(read) << read.error().message();
    return read ? *read : exporter::options{};
}

TEST_F(mlflow_environment, says_nothing) {
    EXPECT_EQ(options().tracking_uri, "http://127.0.0.1:5000");
    EXPECT_EQ(options().experiment_name, "chat");
    EXPECT_EQ(options().experiment_id, "1");
    EXPECT_TRUE(options().authorization.empty());
    EXPECT_EQ(options().timeout, std::chrono::seconds(30));
    EXPECT_FALSE(options().transport.tls.accept_any_server);
}

TEST_F(mlflow_environment, says_everything) {
    set("MLFLOW_TRACKING_URI", "https://mlflow/a");
    set("MLFLOW_EXPERIMENT_ID", "7");
    set("MLFLOW_TRACKING_TOKEN", "token");
    set("MLFLOW_TRACKING_SERVER_CERT_PATH", "ca.pem");
    set("MLFLOW_TRACKING_CLIENT_CERT_PATH", "own.pem");
    set("MLFLOW_HTTP_REQUEST_TIMEOUT", "7");
    EXPECT_EQ(options().tracking_uri, "https://mlflow/a");
    EXPECT_EQ(options().experiment_id, "7");
    EXPECT_EQ(options().authorization.current()->reveal(), "Bearer token");
    EXPECT_EQ(options().transport.tls.ca_file, "ca.pem");
    EXPECT_EQ(options().transport.tls.certificate_file, "own.pem");
    EXPECT_EQ(options().timeout, std::chrono::seconds(7));
    set("MLFLOW_EXPERIMENT_NAME", "named");
    EXPECT_EQ(options().experiment_name, "named");
    EXPECT_EQ(options().experiment_id, "") << "the name goes before the ID";
    set("MLFLOW_TRACKING_USERNAME", "Aladdin");
    set("MLFLOW_TRACKING_PASSWORD", "open sesame");
    EXPECT_EQ(options().authorization.current()->reveal(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
        << "goes before the token";
    set("MLFLOW_TRACKING_SERVER_CERT_PATH", "");
    for (const auto& [text, insecure] : {std::pair("true", true), {"false", false}, {"1", true}, {"0", false}}) {
        set("MLFLOW_TRACKING_INSECURE_TLS", text);
        EXPECT_EQ(options().transport.tls.accept_any_server, insecure);
    }
}

TEST_F(mlflow_environment, is_the_same_for_the_client) {
    set("MLFLOW_TRACKING_URI", "https://mlflow");
    set("MLFLOW_TRACKING_TOKEN", "token");
    const auto read = mt::from_environment<client>();
    ASSERT_TRUE(read);
    EXPECT_EQ(read->tracking_uri, "https://mlflow");
    EXPECT_EQ(read->authorization.current()->reveal(), "Bearer token");
    EXPECT_EQ(read->transport.max_reply_bytes, client::options{}.transport.max_reply_bytes);
}

TEST_F(mlflow_environment, mistakes_are_named_without_what_may_be_secret) {
    const std::pair<const char*, const char*> mistakes[] = {{"MLFLOW_TRACKING_URI", "sqlite:///mlflow.db"},
                                                            {"MLFLOW_TRACKING_URI", "https://u:hidden@mlflow"},
                                                            {"MLFLOW_TRACKING_USERNAME", "alone"},
                                                            {"MLFLOW_TRACKING_PASSWORD", "hidden"},
                                                            {"MLFLOW_TRACKING_INSECURE_TLS", "yes"},
                                                            {"MLFLOW_HTTP_REQUEST_TIMEOUT", "30s"},
                                                            {"MLFLOW_HTTP_REQUEST_TIMEOUT", "0"},
                                                            {"MLFLOW_HTTP_REQUEST_TIMEOUT", "99999999999"},
                                                            {"MLFLOW_TRACKING_URI", "\"http://h:5000\""},
                                                            {"MLFLOW_TRACKING_URI", "http://h:5000\n"},
                                                            {"MLFLOW_TRACKING_TOKEN", "\"hidden\""},
                                                            {"MLFLOW_TRACKING_TOKEN", "'hidden'"},
                                                            {"MLFLOW_TRACKING_TOKEN", "hidden\n"},
                                                            {"MLFLOW_TRACKING_TOKEN", "hid den hidden"},
                                                            {"MLFLOW_TRACKING_TOKEN", "hidden\xC3\xA4"},
                                                            {"MLFLOW_TRACKING_TOKEN", "hidden\xff"},
                                                            {"MLFLOW_TRACKING_PASSWORD", "hidden\n"},
                                                            {"MLFLOW_TRACKING_USERNAME", "a\r"},
                                                            {"MLFLOW_EXPERIMENT_NAME", "\"chat\""},
                                                            {"MLFLOW_EXPERIMENT_NAME", "chat\n"},
                                                            {"MLFLOW_EXPERIMENT_ID", "'1'"},
                                                            {"MLFLOW_EXPERIMENT_ID", "1 "},
                                                            {"MLFLOW_EXPERIMENT_ID", "1\n"},
                                                            {"MLFLOW_HTTP_REQUEST_TIMEOUT", "\"30\""},
                                                            {"MLFLOW_TRACKING_SERVER_CERT_PATH", "\"/ca.pem\""},
                                                            {"MLFLOW_TRACKING_CLIENT_CERT_PATH", "'/c.pem'"},
                                                            {"MLFLOW_TRACKING_INSECURE_TLS", "\"true\""}};
    for (const auto& [name, value] : mistakes) {
        set(name, value);
        const auto read = mt::from_environment<exporter>();
        ASSERT_FALSE(read) << name << '=' << value;
        EXPECT_EQ(read.error().about(), name);
        EXPECT_TRUE(read.error().message().starts_with(std::string(name) + ": ")) << read.error().message();
        EXPECT_NE(read.error().message().find(';'), std::string::npos) << "the remedy";
        EXPECT_EQ(read.error().message().find("hidden"), std::string::npos) << read.error().message();
        set(name, "");
    }
    set("MLFLOW_TRACKING_USERNAME", "a:b");
    set("MLFLOW_TRACKING_PASSWORD", "hidden");
    EXPECT_FALSE(mt::from_environment<exporter>());
    set("MLFLOW_TRACKING_USERNAME", "a");
    set("MLFLOW_TRACKING_SERVER_CERT_PATH", "ca.pem");
    EXPECT_TRUE(mt::from_environment<exporter>());
    EXPECT_FALSE(mt::from_environment<without_tls>());
    set("MLFLOW_TRACKING_INSECURE_TLS", "1");
    EXPECT_FALSE(mt::from_environment<exporter>()) << "both";
    set("MLFLOW_TRACKING_SERVER_CERT_PATH", "");
    EXPECT_TRUE(mt::from_environment<exporter>());
    EXPECT_FALSE(mt::from_environment<without_tls>());
}

TEST_F(mlflow_environment, sampling_ratio) {
    EXPECT_EQ(mt::from_environment<mt::record_ratio>({.ratio = 0.5})->ratio, 0.5);
    for (const auto& [text, ratio] : {std::pair("0", 0.0), {"0.25", 0.25}, {"1", 1.0}}) {
        set("MLFLOW_TRACE_SAMPLING_RATIO", text);
        EXPECT_EQ(mt::from_environment<mt::record_ratio>()->ratio, ratio);
    }
    for (const char* const wrong : {"1.5", "-0.1", "nan", "half", "10%"}) {
        set("MLFLOW_TRACE_SAMPLING_RATIO", wrong);
        EXPECT_EQ(mt::from_environment<mt::record_ratio>().error().about(), "MLFLOW_TRACE_SAMPLING_RATIO") << wrong;
    }
}

} // namespace
