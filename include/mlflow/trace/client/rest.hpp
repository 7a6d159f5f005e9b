// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

using json_result = result<json>;

// IDs may come from outside, and become parts of a path.
inline std::optional<error> id_fault(const char* name, std::string_view id) {
    if (is_path_part(id)) return std::nullopt;
    return error(error_kind::bad_request, name,
                 std::string(id.empty()
                                 ? "empty"
                                 : "not a valid ID: it contains a control character, or a path segment . or ..") +
                     "; use the ID returned by a search");
}

// One connection to a server, which sends and receives JSON.
template <class Transport>
class rest {
public:
    explicit rest(http_client_options<Transport> server) : server_(std::move(server)) {}

    [[nodiscard]] const std::string& uri() const noexcept { return server_.uri(); }

    // A response that is not a JSON object is an error, whatever its status.
    json_result call(http_method method, std::string_view target, const json& body = nullptr) {
        const http_header headers[] = {{"Content-Type", "application/json"}};
        const std::string text = body.is_null() ? std::string{} : dump(body);
        auto reply = server_.send(method, target, headers, text);
        if (!reply) return failure{without_response(reply.error())};
        if (is_not_found(reply->status) && !json_find_string(reply->body, {"error_code"}))
            return malformed(uri(), target, "a 404 that is not MLflow's");
        if (!is_success(reply->status)) return failure{server_.refusal(target, *reply)};
        auto told = parse_json(reply->body);
        if (!told || !told->is_object()) return malformed(uri(), target, "something other than a JSON object");
        return std::move(*told);
    }

private:
    // The text of a transport names a host only.
    [[nodiscard]] error without_response(const error& why) const {
        using kind = error_kind;
        if (why.kind() != kind::connect && why.kind() != kind::closed && why.kind() != kind::timeout) return why;
        return why.with_message("no response from the MLflow server " + uri() + ": " + why.message());
    }

    http_client<Transport> server_;
};

template <class Transport>
using connection = std::shared_ptr<rest<Transport>>;

// A pool of connections to one server. A connection is used by one thread, and returns to the pool when it is
// released.
template <class Transport>
class connection_pool : public std::enable_shared_from_this<connection_pool<Transport>> {
public:
    explicit connection_pool(http_client_options<Transport> server) : server_(std::move(server)) {}

    [[nodiscard]] connection<Transport> take() {
        std::unique_ptr<rest<Transport>> taken;
        if (const std::lock_guard lock(mutex_); !idle_.empty()) {
            taken = std::move(idle_.back());
            idle_.pop_back();
        }
        if (!taken) taken = std::make_unique<rest<Transport>>(server_);
        const auto give_back = [pool = this->shared_from_this()](rest<Transport>* let_go) {
            std::unique_ptr<rest<Transport>> owned(let_go);
            const std::lock_guard lock(pool->mutex_);
            pool->idle_.push_back(std::move(owned));
        };
        return {taken.release(), give_back};
    }

private:
    http_client_options<Transport> server_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<rest<Transport>>> idle_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
