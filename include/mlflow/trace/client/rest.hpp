// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/credentials.hpp>
#include <mlflow/trace/core/http_client.hpp>
#include <mlflow/trace/core/mlflow_reply.hpp>

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

using json_result = result<json, transport_error>;

// One server, and JSON to and from it.
template <class Transport>
class rest {
public:
    rest(std::string uri, credentials authorization, std::chrono::milliseconds timeout,
         typename Transport::options transport)
        : server_("tracking_uri", std::move(uri), std::move(authorization), timeout, std::move(transport)) {}

    [[nodiscard]] const std::string& uri() const noexcept { return server_.uri(); }

    // A reply that is not a JSON object is an error, whatever its status.
    json_result call(http_method method, std::string_view target, const json& body = nullptr) {
        const http_header headers[] = {{"Content-Type", "application/json"}};
        const std::string text = body.is_null() ? std::string{} : dump(body);
        auto reply = server_.send(method, target, headers, text);
        if (!reply) return failure{reply.error()};
        if (reply->status < 200 || reply->status >= 300) return failure{error_reply(uri(), target, *reply)};
        auto told = parse_json(reply->body);
        if (!told || !told->is_object()) return malformed(uri(), target, "what is no JSON object");
        return std::move(*told);
    }

private:
    http_client<Transport> server_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
