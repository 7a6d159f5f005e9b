// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/transports/tls_options.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Options of `beast_transport`.
struct beast_transport_options {
    /// The limit for the body of a response; a larger one is `error_kind::bad_reply`.
    std::size_t max_reply_bytes = 4 * 1024 * 1024;
    /// The limit for the header of a response; a larger one is `error_kind::bad_reply`. Raise it if a proxy adds
    /// more.
    std::uint32_t max_header_bytes = 64 * 1024;
    tls_options tls{}; ///< for `https`; by default the system's CAs are trusted
    /// Whether to use the proxy that the environment names. Set it to false to connect directly.
    bool use_proxy = true;
};

namespace detail::over_beast {

class client;

// The boundary: all that is compiled of Boost is behind these functions. Templates, so that they can be instantiated
// explicitly in one place.
template <class Client>
struct client_access {
    static Client* make(endpoint server, beast_transport_options chosen);
    static void destroy(Client* made) noexcept;
    static result<http_response> send(Client& made, const http_request& request) noexcept;
};

} // namespace detail::over_beast

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
