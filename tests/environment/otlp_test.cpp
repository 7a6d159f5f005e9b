// SPDX-License-Identifier: Apache-2.0
#include "support/environment.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/otlp.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/gzip.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace {

namespace mt = mlflow::trace;

using with_tls = mt::otlp_exporter<mt::beast_transport>;
using without_tls = mt::otlp_exporter<mt::memory_transport>;

using otlp_environment = support::environment_test;

with_tls::options options() {
    const auto read = mt::from_environment<with_tls>();
    EXPECT_TRUE(read) << read.error().message();
    return read ? *read : with_tls::options{};
}

TEST_F(otlp_environment, says_nothing) {
    EXPECT_EQ(options().traces_endpoint, "http://127.0.0.1:4318/v1/traces");
    EXPECT_EQ(options().timeout, std::chrono::seconds(10));
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "");
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "");
    const auto kept =
        mt::from_environment<with_tls>({.traces_endpoint = "https://h/x", .timeout = std::chrono::hours(1)});
    ASSERT_TRUE(kept);
    EXPECT_EQ(kept->traces_endpoint, "https://h/x");
    EXPECT_EQ(kept->timeout, std::chrono::hours(1));
}

TEST_F(otlp_environment, endpoints) {
    for (const auto& [base, whole] : {std::pair("http://collector:4318", "http://collector:4318/v1/traces"),
                                      {"http://collector:4318/", "http://collector:4318/v1/traces"},
                                      {"https://h/mycollector", "https://h/mycollector/v1/traces"}}) {
        set("OTEL_EXPORTER_OTLP_ENDPOINT", base);
        EXPECT_EQ(options().traces_endpoint, whole);
    }
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h:4318");
    EXPECT_EQ(options().traces_endpoint, "http://h:4318") << "as it is";
}

TEST_F(otlp_environment, headers_and_timeout_of_traces_go_before_the_general_ones) {
    set("OTEL_EXPORTER_OTLP_HEADERS", " x-key = a%20b%2Cc%3D , ,authorization=Bearer%20t=,x-empty=");
    set("OTEL_EXPORTER_OTLP_TIMEOUT", "2500");
    auto chosen = options();
    ASSERT_EQ(chosen.headers.size(), 3U);
    EXPECT_EQ(chosen.headers[0].first, "x-key");
    EXPECT_EQ(chosen.headers[0].second.reveal(), "a b,c=");
    EXPECT_EQ(chosen.headers[1].second.reveal(), "Bearer t=");
    EXPECT_EQ(chosen.headers[2].second.reveal(), "");
    EXPECT_EQ(chosen.timeout, std::chrono::milliseconds(2500));
    set("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=traces");
    set("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "1");
    chosen = options();
    ASSERT_EQ(chosen.headers.size(), 1U);
    EXPECT_EQ(chosen.headers[0].second.reveal(), "traces");
    EXPECT_EQ(chosen.timeout, std::chrono::milliseconds(1));
}

TEST_F(otlp_environment, resource) {
    EXPECT_EQ(options().resource, (mt::resource_attributes{{"service.name", "unknown_service"}}));
    set("OTEL_RESOURCE_ATTRIBUTES", "service.name=listed,service.version=1%2C2,deployment.environment.name=\xc3\xa9");
    EXPECT_EQ(options().resource, (mt::resource_attributes{{"service.name", "listed"},
                                                           {"service.version", "1,2"},
                                                           {"deployment.environment.name", "\xc3\xa9"}}));
    set("OTEL_SERVICE_NAME", "own");
    EXPECT_EQ(options().resource[0].second, "own");
}

TEST_F(otlp_environment, certificates) {
    set("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem");
    set("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "own.pem");
    set("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "key.pem");
    const auto tls = options().transport.tls;
    EXPECT_EQ(tls.ca_file, "ca.pem");
    EXPECT_EQ(tls.certificate_file, "own.pem");
    EXPECT_EQ(tls.private_key_file, "key.pem");
    const auto without = mt::from_environment<without_tls>();
    ASSERT_FALSE(without);
    EXPECT_EQ(without.error().message(),
              "OTEL_EXPORTER_OTLP_CERTIFICATE: this program's transport does not support certificates; unset it");
}

TEST_F(otlp_environment, compression) {
    using compressing = mt::otlp_exporter<mt::gzip_transport<mt::beast_transport>>;
    EXPECT_TRUE(mt::from_environment<compressing>()->transport.compress);
    set("OTEL_EXPORTER_OTLP_COMPRESSION", "none");
    set("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem");
    EXPECT_FALSE(mt::from_environment<compressing>()->transport.compress);
    EXPECT_EQ(mt::from_environment<compressing>()->transport.transport.tls.ca_file, "ca.pem");
    EXPECT_TRUE(mt::from_environment<with_tls>());
    set("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "gzip");
    EXPECT_TRUE(mt::from_environment<compressing>()->transport.compress);
    EXPECT_EQ(mt::from_environment<with_tls>().error().message(),
              "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION: this program's transport is not an mt::gzip_transport; set it "
              "to none");
}

TEST_F(otlp_environment, of_metrics) {
    using metrics = mt::otlp_metrics<mt::beast_transport>;
    const auto read = [] { return mt::from_environment<metrics>(); };
    ASSERT_TRUE(read());
    EXPECT_EQ(read()->metrics_endpoint, "http://127.0.0.1:4318/v1/metrics");
    EXPECT_EQ(read()->interval, std::chrono::minutes(1));
    EXPECT_EQ(read()->temporality, mt::metric_temporality::cumulative);
    set("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
    set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://traces:4318");
    set("OTEL_EXPORTER_OTLP_HEADERS", "x-key=all");
    set("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-key=metrics");
    set("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "2500");
    set("OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "ca.pem");
    set("OTEL_METRIC_EXPORT_INTERVAL", "5000");
    set("OTEL_SERVICE_NAME", "chat");
    auto chosen = *read();
    EXPECT_EQ(chosen.metrics_endpoint, "http://collector:4318/v1/metrics");
    EXPECT_EQ(chosen.headers.at(0).second.reveal(), "metrics");
    EXPECT_EQ(chosen.timeout, std::chrono::milliseconds(2500));
    EXPECT_EQ(chosen.transport.tls.ca_file, "ca.pem");
    EXPECT_EQ(chosen.interval, std::chrono::seconds(5));
    EXPECT_EQ(chosen.resource[0].second, "chat");
    EXPECT_EQ(options().traces_endpoint, "http://traces:4318");
    set("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://h:4318/as/it/is");
    EXPECT_EQ(read()->metrics_endpoint, "http://h:4318/as/it/is");
    for (const auto& [wanted, meant] : {std::pair("Cumulative", mt::metric_temporality::cumulative),
                                        {"DELTA", mt::metric_temporality::delta},
                                        {"LowMemory", mt::metric_temporality::delta}}) {
        set("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", wanted);
        EXPECT_EQ(read()->temporality, meant) << wanted;
    }
    set("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "explicit_bucket_histogram");
    EXPECT_TRUE(read());
    for (const auto& [name, value] :
         {std::pair("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
          {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sum"},
          {"OTEL_METRIC_EXPORT_INTERVAL", "0"},
          {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"},
          {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "h:4318"}}) {
        set(name, value);
        ASSERT_FALSE(read()) << name;
        EXPECT_EQ(read().error().about(), name);
        EXPECT_TRUE(mt::from_environment<with_tls>()) << "traces do not ask for " << name;
        set(name, "");
    }
}

TEST_F(otlp_environment, quotation_marks_that_are_meant_are_kept) {
    set("OTEL_EXPORTER_OTLP_HEADERS", "a=%22b%22,c=d'e,f=g h");
    set("OTEL_RESOURCE_ATTRIBUTES", "a=%22b%22,owner=o'brien");
    const auto chosen = options();
    ASSERT_EQ(chosen.headers.size(), 3U);
    EXPECT_EQ(chosen.headers[0].second.reveal(), "\"b\"");
    EXPECT_EQ(chosen.headers[1].second.reveal(), "d'e");
    EXPECT_EQ(chosen.headers[2].second.reveal(), "g h");
    EXPECT_EQ(chosen.resource.back().second, "o'brien");
}

TEST_F(otlp_environment, mistakes_are_named_without_what_may_be_secret) {
    const std::pair<const char*, const char*> mistakes[] = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"},
                                                            {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hidden@h"},
                                                            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "grpc://h:4317"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=b,=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=hidden%2"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=hidden%zz"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a%=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"},
                                                            {"OTEL_EXPORTER_OTLP_TIMEOUT", "-1"},
                                                            {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"},
                                                            {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                                            {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"},
                                                            {"OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"},
                                                            {"OTEL_RESOURCE_ATTRIBUTES", "service.name"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "\"a=hidden\""},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "'a=hidden'"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "\"a=hidden,b=c\""},
                                                            {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "\"a\"=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "b=c,\"a=hidden\",d=e"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "b=c,'a=hidden',d=e"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=\"hidden\""},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=\"hidden\",b=c"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a='hidden',b=c"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "\"a=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=hidden\n"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=hidden%0d%0aX-Evil: 1"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=hidden%00"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=hidden\xff"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "Authorization: hidden=="},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a b=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "\xC3\xA4=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "%20=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "Host=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "content-length=1"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "a=b,Content-Type=hidden"},
                                                            {"OTEL_EXPORTER_OTLP_HEADERS", "content-encoding=gzip"},
                                                            {"OTEL_EXPORTER_OTLP_ENDPOINT", "\"http://h:4318\""},
                                                            {"OTEL_EXPORTER_OTLP_ENDPOINT", "'http://h:4318'"},
                                                            {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318\n"},
                                                            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h/?a=b c"},
                                                            {"OTEL_EXPORTER_OTLP_TIMEOUT", "\"10\""},
                                                            {"OTEL_EXPORTER_OTLP_PROTOCOL", "\"http/protobuf\""},
                                                            {"OTEL_EXPORTER_OTLP_COMPRESSION", "'gzip'"},
                                                            {"OTEL_EXPORTER_OTLP_CERTIFICATE", "\"/ca.pem\""},
                                                            {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "'/key.pem'"},
                                                            {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem\r"},
                                                            {"OTEL_SERVICE_NAME", "\"chat\""},
                                                            {"OTEL_SERVICE_NAME", "a\x1b[2J"},
                                                            {"OTEL_SERVICE_NAME", "a\xff"},
                                                            {"OTEL_RESOURCE_ATTRIBUTES", "\"a=b\""},
                                                            {"OTEL_RESOURCE_ATTRIBUTES", "a=\"b\""},
                                                            {"OTEL_RESOURCE_ATTRIBUTES", "a=b%0a"}};
    for (const auto& [name, value] : mistakes) {
        set(name, value);
        const auto read = mt::from_environment<with_tls>();
        ASSERT_FALSE(read) << name << '=' << value;
        EXPECT_EQ(read.error().about(), name);
        EXPECT_TRUE(read.error().message().starts_with(std::string(name) + ": ")) << read.error().message();
        EXPECT_NE(read.error().message().find(';'), std::string::npos) << "the remedy";
        EXPECT_EQ(read.error().message().find("hidden"), std::string::npos) << read.error().message();
        set(name, "");
    }
}

} // namespace
