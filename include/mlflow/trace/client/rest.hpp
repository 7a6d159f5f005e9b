// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/mlflow_reply.hpp>
#include <mlflow/trace/core/secret.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

using json_result = result<json, transport_error>;

// One server, and JSON to and from it.
template <class Transport>
class rest {
public:
    rest(std::string uri, secret authorization, std::chrono::milliseconds timeout,
         typename Transport::options transport)
        : uri_(std::move(uri)), authorization_(std::move(authorization)), timeout_(timeout),
          transport_options_(std::move(transport)) {
        while (uri_.ends_with('/')) uri_.pop_back();
    }

    [[nodiscard]] const std::string& uri() const noexcept { return uri_; }

    // A reply that is not a JSON object is an error, whatever its status.
    json_result call(http_method method, std::string_view target, const json& body = nullptr) {
        auto reply = send(method, target, body);
        if (!reply) return failure{reply.error()};
        if (reply->status < 200 || reply->status >= 300) return failure{error_reply(uri_, target, *reply)};
        auto told = parse_json(reply->body);
        if (!told || !told->is_object()) return malformed(uri_, target, "what is no JSON object");
        return std::move(*told);
    }

private:
    result<http_response, transport_error> send(http_method method, std::string_view target, const json& body) {
        if (!transport_) {
            auto server = endpoint::parse(uri_);
            if (!server)
                return failure{transport_error{server.error().reason, "tracking_uri: " + server.error().message}};
            transport_ = std::make_unique<Transport>(std::move(*server), transport_options_);
        }
        const std::string text = body.is_null() ? std::string{} : dump(body);
        const http_header headers[] = {{"Content-Type", "application/json"},
                                       {"Authorization", authorization_.reveal()}};
        http_request request;
        request.method = method;
        request.target = target;
        request.headers = std::span(headers).first(authorization_.empty() ? 1 : 2);
        request.body = text;
        request.timeout = timeout_;
        return transport_->send(request);
    }

    std::string uri_;
    secret authorization_;
    std::chrono::milliseconds timeout_;
    typename Transport::options transport_options_;
    std::unique_ptr<Transport> transport_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
