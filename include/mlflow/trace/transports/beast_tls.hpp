// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/transports/beast_connection.hpp>
#include <mlflow/trace/transports/tls_options.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <cerrno>
#include <cstring>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail::over_beast {

using tls_stream = asio::ssl::stream<prompt_socket>;

// Sets up `context`. Returns an error that names the invalid option.
inline std::optional<trace::error> prepare(asio::ssl::context& context, const tls_options& chosen) {
    const auto refuse = [](std::string_view option, const std::string& value, const error_code& error) {
        const bool is_readable = ::access(value.c_str(), R_OK) == 0; // OpenSSL does not report the reason
        const std::error_code code =
            is_readable ? std::error_code(error) : std::error_code(errno, std::generic_category());
        return trace::error(error_kind::bad_request, "tls." + std::string(option),
                            " \"" + value + "\": " + (is_readable ? error.message() : std::strerror(errno)) +
                                "; it must be a readable PEM file",
                            code);
    };
    error_code error;
    context.set_options(asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1);
    context.set_verify_mode(chosen.accept_any_server ? asio::ssl::verify_none : asio::ssl::verify_peer);
    if (chosen.ca_file.empty()) context.set_default_verify_paths(error);
    else context.load_verify_file(chosen.ca_file, error);
    if (error) return refuse("ca_file", chosen.ca_file, error);
    if (chosen.certificate_file.empty()) return std::nullopt;

    // Without a callback, OpenSSL would ask for the password of an encrypted key on the terminal.
    context.set_password_callback([](auto, auto) { return std::string(); });
    context.use_certificate_chain_file(chosen.certificate_file, error);
    if (error) return refuse("certificate_file", chosen.certificate_file, error);
    const auto& key = chosen.private_key_file.empty() ? chosen.certificate_file : chosen.private_key_file;
    context.use_private_key_file(key, asio::ssl::context::pem, error);
    if (error) return refuse("private_key_file", key, error);
    return std::nullopt;
}

// Sets the expected server name: RFC 6066, 3 (names are sent, addresses are not) and RFC 6125, 6.
inline bool expect_host(tls_stream& stream, const std::string& host) {
    error_code not_numeric;
    asio::ip::make_address(host, not_numeric);
    auto* const session = stream.native_handle();
    if (!not_numeric) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1;
    SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set_tlsext_host_name(session, host.c_str()) == 1 && SSL_set1_host(session, host.c_str()) == 1;
}

inline bool is_tls_error(const error_code& error) { return error.category() == asio::error::get_ssl_category(); }

// The cause of a TLS error, with a remedy.
inline std::string explain(const error_code& error, long verdict) {
    if (verdict != X509_V_OK) {
        const std::string refused =
            std::string("the server's certificate was rejected: ") + X509_verify_cert_error_string(verdict);
        switch (verdict) {
        case X509_V_ERR_HOSTNAME_MISMATCH:
        case X509_V_ERR_IP_ADDRESS_MISMATCH: return refused + "; use a host name that the certificate contains";
        case X509_V_ERR_CERT_HAS_EXPIRED:
        case X509_V_ERR_CERT_NOT_YET_VALID: return refused + "; renew it, or correct this machine's clock";
        default: return refused + "; set tls.ca_file to the CA that signed it";
        }
    }
    const auto reason = ERR_GET_REASON(static_cast<unsigned long>(error.value()));
    if (reason == SSL_R_WRONG_VERSION_NUMBER)
        return "the server does not use TLS on this port; use http:// or its TLS port";
    if (reason == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED || reason == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE)
        return error.message() + "; if the server requires a client certificate, set tls.certificate_file";
    return "TLS failed: " + error.message();
}

} // namespace detail::over_beast

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
