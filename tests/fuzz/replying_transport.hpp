// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/http/check.hpp>

#include <utility>

namespace fuzz {

// Answers each request that may be sent with the same reply.
class replying_transport {
public:
    struct options {
        const mlflow::trace::http_response* reply = nullptr;
    };
    explicit replying_transport(mlflow::trace::endpoint server, options chosen)
        : server_(std::move(server)), reply_(chosen.reply) {}

    mlflow::trace::result<mlflow::trace::http_response> send(const mlflow::trace::http_request& request) const {
        if (auto refused = check_request(server_, request)) return mlflow::trace::failure{std::move(*refused)};
        return *reply_;
    }

private:
    mlflow::trace::endpoint server_;
    const mlflow::trace::http_response* reply_;
};

} // namespace fuzz
