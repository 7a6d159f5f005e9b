// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/text/json_reader.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Uploads the files of traces (`mt::attachment`) to an MLflow server, into the trace's artifact folder. The trace
/// must be stored: flush the tracer first. The server must serve artifacts itself, as it does unless it was started
/// with `--default-artifact-root`.
///
/// Errors: one line that says what failed and where.
///
/// Thread-safety: one thread at a time.
template <class Transport>
class attachment_client {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());

public:
    /// Options of `attachment_client`.
    struct options {
        std::string tracking_uri = "http://127.0.0.1:5000"; ///< http://host:port/path, as MLFLOW_TRACKING_URI
        /// `basic_authorization()`, `bearer_authorization()`, or a function. Empty: no credentials. Use them over
        /// `https` only.
        credentials authorization{};
        /// Headers sent with each request, for example a key for a reverse proxy.
        std::vector<std::pair<std::string, secret>> headers{};
        std::string workspace{};                   ///< the workspace, on a server that has several
        std::chrono::milliseconds timeout{30'000}; ///< for each request
        /// Options of the transport.
        typename Transport::options transport{};
    };

    /// Stores the options. Does not connect.
    explicit attachment_client(options chosen)
        : server_({"tracking_uri", std::move(chosen.tracking_uri), std::move(chosen.headers),
                   std::move(chosen.workspace), std::move(chosen.authorization), chosen.timeout,
                   std::move(chosen.transport)}) {}

    /// Uploads a file, namely its `bytes()` under its `id()`. Returns an error, or nothing after success.
    template <class Attachment>
    std::optional<error> upload(const trace_id& trace, const Attachment& file) {
        const std::string info = "/api/3.0/mlflow/traces/" + std::string(trace.mlflow_id().view());
        const auto found = server_.send(http_method::get, info);
        if (!found) return found.error();
        if (!detail::is_success(found->status)) return server_.refusal(info, *found);
        const auto location = detail::json_find_string(
            found->body, {"trace", "trace_info", "tags", detail::mlflow_names::artifact_location});
        std::string_view path = location ? std::string_view(*location) : std::string_view();
        constexpr std::string_view scheme = "mlflow-artifacts:";
        if (!path.starts_with(scheme) || path.find('/', scheme.size() + 2) == path.npos ||
            !detail::is_path_part(path))
            return error(error_kind::other, server_.uri(),
                         " stores the artifacts of this trace where clients cannot write; start it without "
                         "--default-artifact-root");
        path.remove_prefix(scheme.size());
        if (path.starts_with("//")) path = path.substr(path.find('/', 2)); // skips the name of the server
        std::string target = "/api/2.0/mlflow-artifacts/artifacts";
        for (const char c : path) target += c == '/' ? "/" : detail::percent_encoded({&c, 1});
        target.append("/attachments/").append(file.id());
        const http_header binary[] = {{"Content-Type", "application/octet-stream"}};
        const auto stored = server_.send(http_method::put, target, binary, file.bytes());
        if (!stored) return stored.error();
        if (!detail::is_success(stored->status)) return server_.refusal(target, *stored);
        return std::nullopt;
    }

private:
    detail::http_client<Transport> server_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
