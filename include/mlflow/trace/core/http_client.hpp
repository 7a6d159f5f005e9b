// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/credentials.hpp>
#include <mlflow/trace/core/http.hpp>

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// One server as exporters and client see it: its address, who asks, and how long. The transport is made at the first
// request.
template <class Transport>
class http_client {
public:
    using transport_options = typename Transport::options;

    // `option` is what the user calls the address.
    http_client(std::string_view option, std::string uri, credentials authorization,
                std::chrono::milliseconds timeout, transport_options transport)
        : option_(option), uri_(std::move(uri)), authorization_(std::move(authorization)), timeout_(timeout),
          transport_options_(std::move(transport)) {
        while (uri_.ends_with('/')) uri_.pop_back();
    }

    // As given, without a slash at its end.
    [[nodiscard]] const std::string& uri() const noexcept { return uri_; }

    result<http_response, transport_error> send(http_method method, std::string_view target,
                                                std::span<const http_header> headers = {},
                                                std::string_view body = {}) {
        if (!transport_) {
            auto server = endpoint::parse(uri_);
            if (!server)
                return failure{
                    transport_error{server.error().reason, std::string(option_) + ": " + server.error().message}};
            transport_ = std::make_unique<Transport>(std::move(*server), transport_options_);
        }
        if (authorization_.empty()) return transport_->send({method, target, headers, body, timeout_});
        auto who = authorization_.current();
        if (!who) return failure{who.error()};
        std::vector<http_header> all(headers.begin(), headers.end());
        const auto send_as = [&](const secret& value) {
            all.resize(headers.size());
            all.push_back({"Authorization", value.reveal()});
            return transport_->send({method, target, all, body, timeout_});
        };
        auto reply = send_as(*who);
        if (!reply || reply->status != 401 || !authorization_.renewable()) return reply;
        auto renewed = authorization_.renewed(*who);
        if (!renewed) return failure{renewed.error()};
        return renewed->reveal() == who->reveal() ? reply : send_as(*renewed);
    }

private:
    std::string_view option_;
    std::string uri_;
    credentials authorization_;
    std::chrono::milliseconds timeout_;
    transport_options transport_options_;
    std::unique_ptr<Transport> transport_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
