// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/environment/variables.hpp>
#include <mlflow/trace/http/secret.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// User name and password take precedence over a token, as in MLflow's own clients.
template <class Credentials>
std::optional<error> read_credentials(Credentials& authorization) {
    for (const char* const each : {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"})
        if (auto wrong = check_text(each, true)) return wrong; // RFC 7617 does not allow control characters
    if (auto wrong = check_visible("MLFLOW_TRACKING_TOKEN")) return wrong;
    const auto name = variable("MLFLOW_TRACKING_USERNAME");
    const auto password = variable("MLFLOW_TRACKING_PASSWORD");
    if (name.empty() != password.empty()) {
        const bool has_name = !name.empty();
        return refuse(has_name ? "MLFLOW_TRACKING_USERNAME" : "MLFLOW_TRACKING_PASSWORD",
                      std::string("set without ") +
                          (has_name ? "MLFLOW_TRACKING_PASSWORD" : "MLFLOW_TRACKING_USERNAME") + "; set both or none")
            .error;
    }
    if (name.find(':') != std::string_view::npos)
        return refuse("MLFLOW_TRACKING_USERNAME", "a name with a colon cannot be sent (RFC 7617); choose another")
            .error;
    if (!name.empty()) authorization = basic_authorization(name, secret(password));
    else if (const auto token = variable("MLFLOW_TRACKING_TOKEN"); !token.empty())
        authorization = bearer_authorization(secret(token));
    return std::nullopt;
}

template <class Options>
std::optional<error> read_tls(Options& transport) {
    const auto insecure = variable("MLFLOW_TRACKING_INSECURE_TLS");
    const bool accept_any = same_name(insecure, "true") || insecure == "1";
    if (!accept_any && !same_name(insecure, "false") && insecure != "0" && !insecure.empty())
        return refuse("MLFLOW_TRACKING_INSECURE_TLS", "invalid value; set it to true or false").error;
    if (accept_any && !variable("MLFLOW_TRACKING_SERVER_CERT_PATH").empty())
        return refuse("MLFLOW_TRACKING_INSECURE_TLS",
                      "set together with MLFLOW_TRACKING_SERVER_CERT_PATH; unset one of them")
            .error;
    if constexpr (requires { transport.transport; }) {
        return read_tls(transport.transport); // a transport that wraps another one
    } else if constexpr (requires { transport.tls.accept_any_server; }) {
        if (!insecure.empty()) transport.tls.accept_any_server = accept_any;
    } else if (accept_any) {
        return refuse("MLFLOW_TRACKING_INSECURE_TLS", "this program's transport does not support it; unset it").error;
    }
    const char* const certificate = "MLFLOW_TRACKING_CLIENT_CERT_PATH"; // with its key
    return read_tls_files(transport, "MLFLOW_TRACKING_SERVER_CERT_PATH", certificate, "");
}

} // namespace detail

/// Reads the options of an `mlflow_exporter` or a `client` from MLflow's environment variables. Options whose
/// variables are not set are those of `chosen`:
///
///     auto options = mt::from_environment<mt::mlflow_exporter<mt::beast_transport>>({.experiment_name = "chat"});
///
/// | `MLFLOW_TRACKING_URI` | `http` or `https` |
/// | `MLFLOW_EXPERIMENT_NAME` | takes precedence over the next |
/// | `MLFLOW_EXPERIMENT_ID` | |
/// | `MLFLOW_TRACKING_USERNAME`, `MLFLOW_TRACKING_PASSWORD` | Basic; both or none; take precedence over the next |
/// | `MLFLOW_TRACKING_TOKEN` | Bearer |
/// | `MLFLOW_TRACKING_INSECURE_TLS` | true or false; the transport must have `tls` options |
/// | `MLFLOW_TRACKING_SERVER_CERT_PATH` | a PEM file of CAs; the same |
/// | `MLFLOW_TRACKING_CLIENT_CERT_PATH` | a PEM file of the certificate and its key; the same |
/// | `MLFLOW_HTTP_REQUEST_TIMEOUT` | seconds |
/// | `MLFLOW_WORKSPACE` | on a server that has several |
///
/// Errors: `error_kind::bad_setting` names the variable, and says what is wrong with it and how to correct it.
///
/// Thread-safety: as std::getenv.
template <class Server>
    requires requires(detail::options_of<Server> chosen) { chosen.tracking_uri; }
[[nodiscard]] result<detail::options_of<Server>> from_environment(detail::options_of<Server> chosen = {}) {
    using namespace detail;
    if (auto wrong =
            check_texts({"MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID",
                         "MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_INSECURE_TLS", "MLFLOW_TRACKING_SERVER_CERT_PATH",
                         "MLFLOW_TRACKING_CLIENT_CERT_PATH", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_WORKSPACE"}))
        return failure{std::move(*wrong)};
    for (const char* const each : {"MLFLOW_EXPERIMENT_ID", "MLFLOW_WORKSPACE"})
        if (auto wrong = check_visible(each)) return failure{std::move(*wrong)};
    if (const auto workspace = variable("MLFLOW_WORKSPACE"); !workspace.empty()) chosen.workspace = workspace;
    if (const auto uri = variable("MLFLOW_TRACKING_URI"); !uri.empty()) {
        if (auto wrong = check_url("MLFLOW_TRACKING_URI")) return failure{std::move(*wrong)};
        chosen.tracking_uri = uri;
    }
    const auto name = variable("MLFLOW_EXPERIMENT_NAME");
    const auto id = variable("MLFLOW_EXPERIMENT_ID");
    if (!name.empty()) {
        chosen.experiment_name = name;
        chosen.experiment_id.clear();
    } else if (!id.empty()) {
        chosen.experiment_id = id;
    }
    if (auto wrong = read_credentials(chosen.authorization)) return failure{std::move(*wrong)};
    if (auto wrong =
            read_timeout<std::chrono::seconds>(chosen.timeout, "MLFLOW_HTTP_REQUEST_TIMEOUT", "seconds, such as 30"))
        return failure{std::move(*wrong)};
    if (auto wrong = read_tls(chosen.transport)) return failure{std::move(*wrong)};
    return chosen;
}

/// Reads the options of `record_ratio` from `MLFLOW_TRACE_SAMPLING_RATIO`: a number from 0 (no trace) to 1 (every
/// trace). Errors: `error_kind::bad_setting`. Thread-safety: as std::getenv.
template <class Recording>
    requires requires(detail::options_of<Recording> chosen) { chosen.ratio; }
[[nodiscard]] result<detail::options_of<Recording>> from_environment(detail::options_of<Recording> chosen = {}) {
    constexpr auto name = "MLFLOW_TRACE_SAMPLING_RATIO";
    const auto text = detail::variable(name);
    if (text.empty()) return chosen;
    const auto ratio = detail::parse_number<double>(text);
    if (!ratio || !(*ratio >= 0 && *ratio <= 1))
        return detail::refuse(name, "not a number from 0 to 1; use one such as 0.1");
    chosen.ratio = *ratio;
    return chosen;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
