// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/credentials.hpp>
#include <mlflow/trace/core/http_client.hpp>
#include <mlflow/trace/core/json_value.hpp>
#include <mlflow/trace/core/otlp_request.hpp>
#include <mlflow/trace/detail/json_reader.hpp>
#include <mlflow/trace/detail/timestamp.hpp>
#include <mlflow/trace/exporters/mlflow_api.hpp>
#include <mlflow/trace/exporters/mlflow_artifacts.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <chrono>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Which server, and where on it.
struct mlflow_connection {
    std::string server_version;
    std::string experiment_id;
};

namespace detail {

inline void notice_to_stderr(const std::string& notice) {
    std::fputs(("mlflow_trace: " + displayed(notice) + '\n').c_str(), stderr);
}

} // namespace detail

/// Delivers to an MLflow server, version 3.1 or newer.
///
/// All spans of a batch go in one request (`POST /v1/traces`). A trace with metadata besides user and session, or
/// with a client request ID, needs one more of its own (`POST /api/3.0/mlflow/traces`). Sending a trace again is
/// harmless.
///
/// Servers before 3.4, and those whose store takes no spans (it answers 501, as a folder of files does), get each
/// trace by a request of its own and its spans as a file, which is told once by `options::on_notice`. MLflow 3.1
/// gives each trace an ID of its own there; the tag `mlflow_trace.trace_id` has ours, and `mlflow.clientRequestId`
/// the request's.
///
/// `Transport` is constructed from an `endpoint` and `Transport::options`. The server is asked for its version and
/// its experiment at the first export, or before that by `connect()`. Thread-safety: all functions, from any thread,
/// one at a time.
template <class Transport>
class mlflow_exporter {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response, transport_error> send(const "
                  "mlflow::trace::http_request&)");

public:
    struct options {
        std::string tracking_uri = "http://127.0.0.1:5000"; ///< http://host:port/path, as MLFLOW_TRACKING_URI
        /// Created when it does not exist. Ignored when `experiment_id` is given.
        std::string experiment_name = "Default";
        std::string experiment_id{}; ///< must exist
        /// OpenTelemetry's resource; MLflow stores its `service.name` as a tag of the trace.
        resource_attributes resource{};
        /// What runs: the metadata `mlflow.source.name`, `mlflow.source.type` and, where it is known when the program
        /// is built, `mlflow.source.git.commit`. Sent with the traces that have metadata of their own.
        std::string source_name{detail::program_path()};
        std::string source_type{"LOCAL"};
        std::string git_commit{};
        /// For each request. A busy SQLite store answers only after 20 s.
        std::chrono::milliseconds timeout{30'000};
        /// `basic_authorization()`, `bearer_authorization()`, or a function; none when empty. Give it over `https`
        /// only.
        credentials authorization{};
        typename Transport::options transport{};
        /// Told once, by the exporting thread, why traces go to this server in a slower way.
        void (*on_notice)(const std::string& notice) = &detail::notice_to_stderr;
    };

    mlflow_exporter() : mlflow_exporter(options{}) {}
    explicit mlflow_exporter(options chosen)
        : options_(std::move(chosen)), server_("tracking_uri", options_.tracking_uri, options_.authorization,
                                               options_.timeout, options_.transport) {}

    /// Asks the server for its version and its experiment, which is created where only its name is known. Needed only
    /// to learn of a wrong address, an old server or a missing experiment before the first trace.
    result<mlflow_connection, transport_error> connect() {
        const std::lock_guard guard(lock_);
        return connect_locked();
    }

    export_result export_traces(trace_batch& batch) {
        const std::lock_guard guard(lock_);
        export_result outcome;
        const auto fail = [&](const transport_error& error, std::size_t spans) {
            outcome.exported_spans -= outcome.exported_spans < spans ? outcome.exported_spans : spans;
            outcome.failed_spans += spans;
            outcome.error = error.message;
            outcome.retryable = outcome.retryable || can_be_mended(error);
            outcome.retry_after = error.retry_after;
            outcome.too_slow = outcome.too_slow || error.reason == transport_error::kind::timeout;
        };
        if (batch.empty()) return outcome;
        if (const auto connected = connect_locked(); !connected) {
            fail(connected.error(), batch.span_count());
            // The traces were not even sent: it is the server, the experiment or the credentials that must be mended.
            outcome.retryable = connected.error().reason != transport_error::kind::bad_request;
            return outcome;
        }
        if (takes_otlp_) {
            auto error = send_spans(batch);
            if (error && error->status == 501) use_artifacts("its store takes no OTLP spans");
            else if (error) {
                fail(*error, batch.span_count());
                outcome.finds_fault = error->finds_fault();
                return outcome;
            }
        }
        outcome.exported_spans = batch.span_count();
        failed gone; // a server that is not there any more is not asked for each trace
        for (const trace_data& trace : batch) {
            if (takes_otlp_ && !needs_trace_info(trace)) continue;
            failed error = gone ? std::nullopt : takes_otlp_ ? send_trace_info(trace) : send_artifact(trace);
            if (error && error->finds_fault()) outcome.finds_fault = true;
            if (error && can_be_mended(*error)) gone = std::move(error);
            if (gone || error) fail(gone ? *gone : *error, trace.span_count);
        }
        return outcome;
    }

    /// The trace in MLflow's page; empty before the experiment is known. Does not wait for an export under way.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        const std::lock_guard guard(connection_lock_);
        if (connection_.experiment_id.empty()) return {};
        if (gives_own_ids_) return experiment_url_locked();
        return experiment_url_locked() + "?selectedEvaluationId=" + std::string(id.mlflow_id().view());
    }
    /// The experiment's traces in MLflow's page; empty before the experiment is known.
    [[nodiscard]] std::string experiment_url() const {
        const std::lock_guard guard(connection_lock_);
        return connection_.experiment_id.empty() ? std::string{} : experiment_url_locked();
    }

private:
    // It is not surely what was sent that is at fault, but perhaps the experiment (404), the server itself (500), or
    // what stands before it and answers in its place.
    static bool can_be_mended(const transport_error& error) noexcept {
        return error.retryable() || error.reason == transport_error::kind::bad_reply ||
               (error.status >= 300 && (error.status == 500 || !error.finds_fault()));
    }

    using failed = std::optional<transport_error>; // nothing when all is well

    [[nodiscard]] std::string experiment_url_locked() const {
        return server_.uri() + "/#/experiments/" + connection_.experiment_id + "/traces";
    }

    result<mlflow_connection, transport_error> connect_locked() {
        if (!connection_.experiment_id.empty()) return connection_;
        detail::mlflow_api<Transport> api(server_);
        auto version = api.version();
        if (!version) return failure{version.error()};
        auto experiment = options_.experiment_id.empty() ? api.experiment_by_name(options_.experiment_name)
                                                         : api.experiment_by_id(options_.experiment_id);
        if (!experiment) return failure{experiment.error()};
        is_old_ = version->is_before(3, 4);
        if (takes_otlp_ && is_old_) use_artifacts("it takes no OTLP spans");
        const std::lock_guard guard(connection_lock_);
        gives_own_ids_ = version->is_before(3, 2);
        connection_ = {std::move(version->text), std::move(*experiment)};
        return connection_;
    }

    failed send_spans(const trace_batch& batch) {
        body_.clear();
        if (!append_otlp_request(body_, batch, options_.resource, otlp_receiver::mlflow))
            return transport_error{transport_error::kind::other, "out of memory while a request was put together"};
        return post("/v1/traces", "application/x-protobuf");
    }

    static bool needs_trace_info(const trace_data& trace) noexcept {
        if (!trace.root) return false;
        for (const trace_entry entry : trace.entries) {
            switch (entry.kind) {
            case entry_kind::client_request_id:
            case entry_kind::request_preview:
            case entry_kind::response_preview: return true;
            case entry_kind::metadata:
                if (entry.key != user::name && entry.key != session::name) return true;
                break;
            case entry_kind::tag:
            case entry_kind::absent: break;
            }
        }
        return false;
    }

    [[nodiscard]] detail::run_metadata run() const noexcept {
        return {options_.source_name, options_.source_type, options_.git_commit};
    }

    failed send_trace_info(const trace_data& trace) {
        body_.clear();
        detail::append_trace_info(body_, trace, connection_.experiment_id, run());
        if (body_.overflowed())
            return transport_error{transport_error::kind::other, "out of memory while a request was put together"};
        return post("/api/3.0/mlflow/traces", "application/json");
    }

    void use_artifacts(std::string_view why) {
        takes_otlp_ = false;
        if (options_.on_notice && !std::exchange(is_told_, true))
            options_.on_notice(
                server_.uri() + ": " + std::string(why) +
                ", so each trace is a request or more of its own; use MLflow 3.4 or newer on a database");
    }

    failed send_artifact(const trace_data& trace) {
        auto error =
            checked(detail::mlflow_artifacts<Transport>(server_, connection_.experiment_id, run(), gives_own_ids_)
                        .store(trace));
        const bool has_no_such_way =
            error && error->reason == transport_error::kind::other && (error->status == 0 || error->status == 501);
        if (has_no_such_way && !is_old_) { // nor the other: perhaps it was not MLflow that answered
            error->status = 501;
            takes_otlp_ = true;
        }
        return error;
    }

    failed post(std::string_view target, std::string_view content_type) {
        const http_header headers[] = {{"Content-Type", content_type},
                                       {"x-mlflow-experiment-id", connection_.experiment_id}};
        const auto reply = server_.send(http_method::post, target, headers, body_.view());
        if (!reply) return reply.error();
        if (reply->status >= 200 && reply->status < 300) return std::nullopt;
        return checked(detail::error_reply(server_.uri(), target, *reply));
    }

    failed checked(failed error) {
        if (error && error->status == 404) { // deleted? ask again next time
            const std::lock_guard guard(connection_lock_);
            connection_.experiment_id.clear();
        }
        return error;
    }

    options options_;
    std::mutex lock_;
    detail::http_client<Transport> server_;
    mutable std::mutex connection_lock_; // these two are written under both locks
    mlflow_connection connection_;
    bool gives_own_ids_ = false;
    bool takes_otlp_ = true;
    bool is_old_ = false;
    bool is_told_ = false; // that it is the artifact way
    detail::buffer body_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
