// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/options_of.hpp>
#include <mlflow/trace/core/otlp_request.hpp>
#include <mlflow/trace/core/secret.hpp>
#include <mlflow/trace/environment/variables.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

// Replaces the value of that key, or adds the key.
inline void set_attribute(resource_attributes& attributes, std::string_view key, std::string_view value) {
    for (auto& [name, old] : attributes)
        if (name == key) return static_cast<void>(old = value);
    attributes.emplace_back(key, value);
}

inline std::optional<environment_error> read_resource(resource_attributes& attributes) {
    const auto listed = key_value_list("OTEL_RESOURCE_ATTRIBUTES");
    if (!listed) return listed.error();
    for (const auto& [key, value] : *listed) set_attribute(attributes, key, value);
    if (const auto name = variable("OTEL_SERVICE_NAME"); !name.empty())
        set_attribute(attributes, "service.name", name);
    return std::nullopt;
}

} // namespace detail

/// The options of an `otlp_exporter` as OpenTelemetry's variables say, and `chosen` where these are not set:
///
///     auto options = mt::from_environment<mt::otlp_exporter<mt::beast_transport>>();
///
/// Of these variables the one with `TRACES` goes before the one without, as the OpenTelemetry Protocol Exporter
/// specification has it:
///
/// | `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` | the URL as it is |
/// | `OTEL_EXPORTER_OTLP_ENDPOINT` | the URL to which `/v1/traces` is added |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]HEADERS` | `key=value,key=value`, percent-encoded; instead of those chosen |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]TIMEOUT` | milliseconds |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]PROTOCOL` | `http/protobuf`, or an error |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]COMPRESSION` | `gzip` where the transport is a `gzip_transport`, or `none` |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]CERTIFICATE` | a file, where the transport has `tls` options |
/// | `OTEL_EXPORTER_OTLP_[TRACES_]CLIENT_CERTIFICATE`, `…CLIENT_KEY` | the same |
/// | `OTEL_RESOURCE_ATTRIBUTES` | as the headers; added to those chosen |
/// | `OTEL_SERVICE_NAME` | `service.name`, before that of the attributes |
///
/// Not read: `OTEL_SDK_DISABLED`, `OTEL_TRACES_SAMPLER` and the variables of batches. Thread-safety: as std::getenv.
template <class Exporter>
    requires requires(detail::options_of<Exporter> chosen) { chosen.traces_endpoint; }
[[nodiscard]] result<detail::options_of<Exporter>, environment_error>
from_environment(detail::options_of<Exporter> chosen = {}) {
    using namespace detail;
    if (auto wrong = check_texts({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT",
                                  "OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS",
                                  "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT",
                                  "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL",
                                  "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION",
                                  "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE",
                                  "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
                                  "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
                                  "OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME"}))
        return failure{std::move(*wrong)};
    const char* name = first_set("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT");
    if (const auto url = variable(name); !url.empty()) {
        if (auto wrong = check_url(name)) return failure{std::move(*wrong)};
        chosen.traces_endpoint = url;
        const bool is_base = std::string_view(name) == "OTEL_EXPORTER_OTLP_ENDPOINT";
        if (is_base) chosen.traces_endpoint += url.ends_with('/') ? "v1/traces" : "/v1/traces";
    }
    name = first_set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL");
    if (const auto protocol = variable(name); !protocol.empty() && protocol != "http/protobuf")
        return refuse(name, "only http/protobuf is spoken here; set it to that, or unset it");
    name = first_set("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION");
    if (const auto compression = variable(name); !compression.empty()) {
        const bool gzip = compression == "gzip";
        if (!gzip && compression != "none") return refuse(name, "neither gzip nor none; set it to one of them");
        if constexpr (requires { chosen.transport.compress; }) chosen.transport.compress = gzip;
        else if (gzip) return refuse(name, "the transport of this program is no mt::gzip_transport; set it to none");
    }

    name = first_set("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS");
    auto headers = key_value_list(name);
    if (!headers) return failure{headers.error()};
    if (!headers->empty()) chosen.headers.clear();
    for (const auto& [key, value] : *headers) {
        if (auto fault = header_fault(key, value, chosen.headers.size() + 1); !fault.empty())
            return refuse(name, fault + (fault.find(';') == std::string::npos ? "; write key=value,key=value" : ""));
        if (same_name(key, "Content-Type") || same_name(key, "Content-Encoding"))
            return refuse(name, "header " + key + " is written by the exporter; leave it out");
        chosen.headers.emplace_back(key, secret(value));
    }

    name = first_set("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT");
    if (auto wrong = read_timeout<std::chrono::milliseconds>(chosen.timeout, name, "milliseconds, such as 10000"))
        return failure{std::move(*wrong)};
    if (auto wrong = read_tls_files(
            chosen.transport, first_set("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
            first_set("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
            first_set("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY")))
        return failure{std::move(*wrong)};
    if (auto wrong = read_resource(chosen.resource)) return failure{std::move(*wrong)};
    return chosen;
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
