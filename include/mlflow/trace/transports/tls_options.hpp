// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// TLS options, for TLS 1.2 or newer. Files are in PEM format, and are read at the first request to an `https`
/// server.
struct tls_options {
    std::string ca_file{};          ///< trusted CAs, instead of the system's (MLFLOW_TRACKING_SERVER_CERT_PATH)
    std::string certificate_file{}; ///< the client's certificate with its chain (MLFLOW_TRACKING_CLIENT_CERT_PATH)
    std::string private_key_file{}; ///< the client's unencrypted key; if empty, it is in `certificate_file`
    bool accept_any_server = false; ///< no verification: an impostor could read and change all traffic
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
