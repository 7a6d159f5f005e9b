// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/environment/variables.hpp>
#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Sets the value of the key, or adds the key.
inline void set_attribute(resource_attributes& attributes, std::string_view key, std::string_view value) {
    for (auto& [name, old] : attributes)
        if (name == key) return static_cast<void>(old = value);
    attributes.emplace_back(key, value);
}

inline std::optional<error> read_resource(resource_attributes& attributes) {
    const auto listed = key_value_list("OTEL_RESOURCE_ATTRIBUTES");
    if (!listed) return listed.error();
    for (const auto& [key, value] : *listed) set_attribute(attributes, key, value);
    if (const auto name = variable("OTEL_SERVICE_NAME"); !name.empty())
        set_attribute(attributes, "service.name", name);
    return std::nullopt;
}

// The variable of one signal takes precedence over the general one.
struct otlp_variable {
    const char* of_signal;
    const char* of_all;

    [[nodiscard]] const char* name() const noexcept { return first_set(of_signal, of_all); }
};
struct otlp_variables {
    otlp_variable endpoint, headers, timeout, protocol, compression, certificate, client_certificate, client_key;
    std::string_view path; // appended to the general endpoint
};
inline constexpr otlp_variables variables_of_traces{
    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"},
    {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"},
    {"OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"},
    {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"},
    {"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"},
    {"OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"},
    {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
    {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"},
    "v1/traces"};
inline constexpr otlp_variables variables_of_metrics{
    {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"},
    {"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"},
    {"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"},
    {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"},
    {"OTEL_EXPORTER_OTLP_METRICS_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"},
    {"OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"},
    {"OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
    {"OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"},
    "v1/metrics"};

// `url` is the member of `chosen` that holds the endpoint.
template <class Options>
std::optional<error> read_otlp(Options& chosen, std::string& url, const otlp_variables& of) {
    for (const otlp_variable& one : {of.endpoint, of.headers, of.timeout, of.protocol, of.compression, of.certificate,
                                     of.client_certificate, of.client_key})
        if (auto wrong = check_texts({one.of_signal, one.of_all})) return wrong;
    if (auto wrong = check_texts({"OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"})) return wrong;
    const char* name = of.endpoint.name();
    if (const auto given = variable(name); !given.empty()) {
        if (auto wrong = check_url(name)) return wrong;
        url = given;
        if (name == of.endpoint.of_all) url.append(given.ends_with('/') ? "" : "/").append(of.path);
    }
    name = of.protocol.name();
    if (const auto protocol = variable(name); !protocol.empty() && protocol != "http/protobuf")
        return refuse(name, "only http/protobuf is supported; set it to that, or unset it").error;
    name = of.compression.name();
    if (const auto compression = variable(name); !compression.empty()) {
        const bool gzip = compression == "gzip";
        if (!gzip && compression != "none") return refuse(name, "invalid value; set it to gzip or none").error;
        if constexpr (requires { chosen.transport.compress; }) chosen.transport.compress = gzip;
        else if (gzip)
            return refuse(name, "this program's transport is not an mt::gzip_transport; set it to none").error;
    }

    name = of.headers.name();
    auto headers = key_value_list(name);
    if (!headers) return headers.error();
    if (!headers->empty()) chosen.headers.clear();
    for (const auto& [key, value] : *headers) {
        if (auto fault = header_fault(key, value, chosen.headers.size() + 1); !fault.empty())
            return refuse(name, fault + (fault.find(';') == std::string::npos ? "; write key=value,key=value" : ""))
                .error;
        if (same_name(key, "Content-Type") || same_name(key, "Content-Encoding"))
            return refuse(name, "header " + key + " is written by the exporter; omit it").error;
        chosen.headers.emplace_back(key, secret(value));
    }

    name = of.timeout.name();
    if (auto wrong = read_timeout<std::chrono::milliseconds>(chosen.timeout, name, "milliseconds, such as 10000"))
        return wrong;
    if (auto wrong = read_tls_files(chosen.transport, of.certificate.name(), of.client_certificate.name(),
                                    of.client_key.name()))
        return wrong;
    return read_resource(chosen.resource);
}

} // namespace detail

/// Reads the options of an `otlp_exporter` from OpenTelemetry's environment variables. Options whose variables are
/// not set are those of `chosen`:
///
///     auto options = mt::from_environment<mt::otlp_exporter<mt::beast_transport>>();
///
/// A variable with `TRACES` takes precedence over the one without, as the OpenTelemetry Protocol Exporter
/// specification requires:
///
/// | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the whole URL |
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` | the URL to which `/v1/traces` is appended |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]HEADERS` | `key=value,key=value`, percent-encoded; replaces the chosen headers |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT` | milliseconds |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL` | `http/protobuf`; anything else is an error |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]COMPRESSION` | `none`, or `gzip` if the transport is a `gzip_transport` |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]CERTIFICATE` | a file; the transport must have `tls` options |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]CLIENT_CERTIFICATE`, `…CLIENT_KEY` | the same |
/// | `OTEL_RESOURCE_ATTRIBUTES` | written as the headers are; added to the chosen attributes |
/// | `OTEL_SERVICE_NAME` | `service.name`; takes precedence over the resource attributes |
///
/// Not read: `OTEL_SDK_DISABLED`, `OTEL_TRACES_SAMPLER`, and the variables of batches.
///
/// Errors: `error_kind::bad_setting` names the variable, and says what is wrong with it and how to correct it.
///
/// Thread-safety: as std::getenv.
template <class Exporter>
    requires requires(detail::options_of<Exporter> chosen) { chosen.traces_endpoint; }
[[nodiscard]] result<detail::options_of<Exporter>> from_environment(detail::options_of<Exporter> chosen = {}) {
    if (auto wrong = detail::read_otlp(chosen, chosen.traces_endpoint, detail::variables_of_traces))
        return failure{std::move(*wrong)};
    return chosen;
}

/// Reads the options of an `otlp_metrics`: the same variables, with `METRICS` instead of `TRACES` and with
/// `/v1/metrics`, and these:
///
/// | `OTEL_METRIC_EXPORT_INTERVAL` | milliseconds |
/// | `OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE` | `cumulative`, `delta`, or `lowmemory`: the same as `delta`
/// | | `OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION` | `explicit_bucket_histogram`, or an error |
template <class Exporter>
    requires requires(detail::options_of<Exporter> chosen) { chosen.metrics_endpoint; }
[[nodiscard]] result<detail::options_of<Exporter>> from_environment(detail::options_of<Exporter> chosen = {}) {
    using namespace detail;
    constexpr const char* interval = "OTEL_METRIC_EXPORT_INTERVAL";
    constexpr const char* preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    constexpr const char* aggregation = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION";
    if (auto wrong = read_otlp(chosen, chosen.metrics_endpoint, variables_of_metrics))
        return failure{std::move(*wrong)};
    if (auto wrong = check_texts({interval, preference, aggregation})) return failure{std::move(*wrong)};
    if (auto wrong =
            read_timeout<std::chrono::milliseconds>(chosen.interval, interval, "milliseconds, such as 60000"))
        return failure{std::move(*wrong)};
    using temporality = decltype(chosen.temporality);
    if (const auto wanted = variable(preference); same_name(wanted, "cumulative"))
        chosen.temporality = temporality::cumulative;
    else if (same_name(wanted, "delta") || same_name(wanted, "lowmemory")) chosen.temporality = temporality::delta;
    else if (!wanted.empty()) return refuse(preference, "invalid value; set it to cumulative, delta or lowmemory");
    if (const auto wanted = variable(aggregation); !wanted.empty() && !same_name(wanted, "explicit_bucket_histogram"))
        return refuse(aggregation, "only explicit_bucket_histogram is supported; set it to that, or unset it");
    return chosen;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
