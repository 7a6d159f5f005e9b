// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/http/secret.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A client of one URL that accepts OTLP/HTTP requests in protobuf.
template <class Transport>
class otlp_client {
public:
    // `chosen.uri` is the whole URL; no path is added.
    explicit otlp_client(http_client_options<Transport> chosen)
        : target_(target_of(chosen.uri)), server_(without_path(std::move(chosen))) {}

    // Sends a request. A response that is not a success is an error.
    result<http_response> post(std::string_view body) {
        const http_header headers[] = {{"Content-Type", "application/x-protobuf"}};
        auto reply = server_.send(http_method::post, target_, headers, body);
        if (reply && !is_success(reply->status)) return failure{server_.refusal(target_, *reply)};
        return reply;
    }

    // The error of a success that does not confirm that anything was stored.
    [[nodiscard]] error unproven(const http_response& reply) const {
        return unproven_success(server_.uri(), target_, reply);
    }
    [[nodiscard]] const known_secrets& secrets() const noexcept { return server_.secrets(); }

private:
    static std::size_t path_begin(std::string_view url) {
        const auto scheme_end = url.find("://");
        return scheme_end == std::string_view::npos ? scheme_end : url.find('/', scheme_end + 3);
    }
    static http_client_options<Transport> without_path(http_client_options<Transport> chosen) {
        chosen.uri.resize(std::min(path_begin(chosen.uri), chosen.uri.size()));
        return chosen;
    }
    static std::string target_of(std::string_view url) {
        const auto path = path_begin(url);
        return path == std::string_view::npos ? "/" : std::string(url.substr(path));
    }

    std::string target_;
    http_client<Transport> server_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
