// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/notice.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/exporters/mlflow_api.hpp>
#include <mlflow/trace/exporters/mlflow_artifacts.hpp>
#include <mlflow/trace/exporters/mlflow_infos.hpp>
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/owner.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/timestamp.hpp>
#include <mlflow/trace/values/json_value.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The server and experiment that an `mlflow_exporter` found.
struct mlflow_connection {
    /// As the server reports it, for example "3.17.2".
    std::string server_version;
    /// The ID of the experiment.
    std::string experiment_id;
};

/// Delivers traces to an MLflow server, version 3.1 or newer.
///
/// All spans of a batch are sent in one request (`POST /v1/traces`). A trace with metadata other than user and
/// session, with a client request ID or a preview, or with linked prompts, needs one or two additional requests
/// (`POST /api/3.0/mlflow/traces`, `POST /api/2.0/mlflow/traces/link-prompts`). These are sent on up to
/// `info_connections` connections, and the spans of such a trace count as exported only when they have succeeded too.
/// Sending a trace again is harmless. http/outcome.hpp decides what a response means; for example, a login page with
/// status 200 is not a success.
///
/// A server before 3.4, or one whose store does not support spans (it responds 501, as a file store does), gets a
/// request for each trace, with the spans as a file. `options::on_notice` is called once then. MLflow 3.1 assigns its
/// own trace IDs; the tag `mlflow_trace.trace_id` has the recorded one, and `mlflow.clientRequestId` the client
/// request ID.
///
/// `Transport` is constructed from an `endpoint` and `Transport::options`. The first export, or an earlier call of
/// `connect()`, requests the server's version and the experiment.
///
/// Errors: failed spans are counted in the result of `export_traces`, with a one-line reason.
///
/// Thread-safety: all functions may be called from any thread. `export_traces` and `connect` run one at a time; the
/// other functions do not wait for them.
template <class Transport>
class mlflow_exporter {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());

public:
    /// Options of `mlflow_exporter`.
    struct options {
        std::string tracking_uri = "http://127.0.0.1:5000"; ///< http://host:port/path, as MLFLOW_TRACKING_URI
        /// Created if it does not exist. Ignored if `experiment_id` is set.
        std::string experiment_name = "Default";
        /// An existing experiment. Set it in place of the name if the program must not create one.
        std::string experiment_id{};
        /// OpenTelemetry's resource. MLflow stores its `service.name` as a tag of the trace.
        resource_attributes resource{};
        /// The program that records: the metadata `mlflow.source.name`, `mlflow.source.type`,
        /// `mlflow.source.git.commit`, `.branch` and `.repoURL`. A build can define the last three; empty ones are
        /// left out. They are sent with the traces that need an additional request. Name and Git values over 250
        /// characters are truncated.
        std::string source_name{detail::program_path()};
        /// See `source_name`.
        std::string source_type{"LOCAL"};
        /// See `source_name`.
        std::string git_commit{};
        /// See `source_name`.
        std::string git_branch{};
        /// For example `https://github.com/…`, to which MLflow's page links; must not contain a password.
        std::string git_repository{};
        /// For each request. A busy SQLite store may take 20 s to respond; raise it for a slower server.
        std::chrono::milliseconds timeout{30'000};
        /// `basic_authorization()`, `bearer_authorization()`, or a function. Empty: no credentials. Use them over
        /// `https` only.
        credentials authorization{};
        /// Headers sent with each request, for example a key for a reverse proxy.
        std::vector<std::pair<std::string, secret>> headers{};
        /// The workspace, on a server that has several (`mlflow server --enable-workspaces`).
        std::string workspace{};
        /// Options of the transport.
        typename Transport::options transport{};
        /// How many connections send the additional requests of traces at the same time: 1 to 16. Raise it if these
        /// requests delay a long queue and the server has more workers.
        std::size_t info_connections = 4;
        /// Called by the exporting thread with the reason why traces need a request each on this server, and with the
        /// reason why the server refuses to link prompts, once each. Set it to send the notice to the application's
        /// log.
        void (*on_notice)(const std::string& notice) = &detail::notice_to_stderr;
    };

    /// Stores the options. Does not connect.
    mlflow_exporter() : mlflow_exporter(options{}) {}
    /// Stores the options. Does not connect.
    explicit mlflow_exporter(options chosen) : options_(std::move(chosen)), server_(server()) {}

    /// Requests the server's version and the experiment, which is created if only its name is set and it does not
    /// exist. Call it to find a wrong address, an old server or a missing experiment before the first trace;
    /// otherwise the first export does it.
    result<mlflow_connection> connect() {
        const detail::lock_guard guard(lock_);
        return connect_locked();
    }

    /// Sends the batch. After a failure of some additional requests, the traces that they belong to stay in the
    /// batch.
    export_result export_traces(trace_batch& batch) {
        const detail::lock_guard guard(lock_);
        if (batch.empty()) return {};
        const std::size_t spans = batch.span_count();
        if (const auto connected = connect_locked(); !connected) {
            // No trace has been sent, so the content is not at fault.
            export_result outcome = failure_of(spans, connected.error());
            outcome.retryable = true;
            outcome.content_rejected = false;
            return outcome;
        }
        if (takes_otlp_) {
            export_result outcome;
            auto error = send_spans(batch, outcome);
            if (error && detail::is_not_implemented(error->status()))
                use_artifacts("its store does not support OTLP spans");
            else if (error) return failure_of(spans, std::move(*error));
            else return outcome.exported_spans > 0 ? with_rejected(outcome, send_trace_infos(batch)) : outcome;
        }
        return send_artifacts(batch);
    }

    /// Stops an export after the requests in progress. Additional requests that were not sent fail and may be sent
    /// again. Later exports send only spans; to a server that gets a request for each trace, only the first trace.
    void interrupt() noexcept { is_interrupted_ = true; }

    /// The progress of the current export. Does not wait for it.
    [[nodiscard]] export_progress progress() const { return progress_.now(); }

    /// The page of the trace in MLflow. Empty before the experiment is known. Does not wait for an export.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        const detail::lock_guard guard(connection_lock_);
        if (connection_.experiment_id.empty()) return {};
        if (gives_own_ids_) return experiment_url_locked();
        return experiment_url_locked("?selectedEvaluationId=" + std::string(id.mlflow_id().view()));
    }
    /// The page of the experiment's traces in MLflow. Empty before the experiment is known. Does not wait for an
    /// export.
    [[nodiscard]] std::string experiment_url() const {
        const detail::lock_guard guard(connection_lock_);
        return connection_.experiment_id.empty() ? std::string{} : experiment_url_locked();
    }

private:
    using failed = std::optional<error>; // empty after success
    using infos = detail::mlflow_infos<Transport>;

    [[nodiscard]] std::string experiment_url_locked(std::string query = {}) const {
        if (const std::string& workspace = options_.workspace; !workspace.empty())
            query += (query.empty() ? "?workspace=" : "&workspace=") + detail::percent_encoded(workspace);
        return server_.uri() + "/#/experiments/" + connection_.experiment_id + "/traces" + query;
    }

    result<mlflow_connection> connect_locked() {
        if (!connection_.experiment_id.empty()) return connection_;
        detail::mlflow_api<Transport> api(server_);
        auto version = api.version();
        if (!version) return failure{version.error()};
        auto experiment = options_.experiment_id.empty() ? api.experiment_by_name(options_.experiment_name)
                                                         : api.experiment_by_id(options_.experiment_id);
        if (!experiment) return failure{experiment.error()};
        is_old_ = version->is_before(3, 4);
        experience_.is_recent = !version->is_before(3, 17);
        if (takes_otlp_ && is_old_) use_artifacts("it does not support OTLP spans");
        const detail::lock_guard guard(connection_lock_);
        gives_own_ids_ = version->is_before(3, 2);
        connection_ = {std::move(version->text), std::move(*experiment)};
        return connection_;
    }

    static export_result failure_of(std::size_t spans, const error& why) {
        export_result outcome;
        detail::add_failure(outcome, spans, why);
        return outcome;
    }

    failed send_spans(const trace_batch& batch, export_result& outcome) {
        constexpr std::string_view target = "/v1/traces";
        body_.clear();
        otlp_form form(otlp_receiver::mlflow);
        form.goes_with_trace_info = true;
        if (!append_otlp_request(body_, batch, options_.resource, form)) return detail::no_memory_for_request();
        const http_header headers[] = {{"Content-Type", "application/x-protobuf"},
                                       {"x-mlflow-experiment-id", connection_.experiment_id}};
        progress_.ask(batch.span_count());
        const auto reply = server_.send(http_method::post, target, headers, body_.view());
        progress_.answered(reply && detail::is_success(reply->status));
        body_.clear_to(detail::kept_request);
        if (!reply) return reply.error();
        if (!detail::is_success(reply->status)) return checked(server_.refusal(target, *reply));
        const auto told = detail::read_export_reply(*reply);
        if (!told) return detail::unproven_success(server_.uri(), target, *reply);
        outcome = detail::partial_success(batch.span_count(), *told, server_.secrets());
        return std::nullopt;
    }

    static bool needs_trace_info(const trace_data& trace) noexcept {
        if (!trace.root || is_continued(trace)) return false;
        for (const trace_entry entry : trace.entries) {
            switch (entry.kind) {
            case entry_kind::client_request_id:
            case entry_kind::request_preview:
            case entry_kind::response_preview: return true;
            case entry_kind::metadata:
                if (entry.key != user::name && entry.key != session::name) return true;
                break;
            case entry_kind::tag:
                if (entry.key == detail::linked_prompts) return true;
                break;
            case entry_kind::absent:
            case entry_kind::tracestate: break;
            }
        }
        return false;
    }

    [[nodiscard]] detail::run_metadata run() const noexcept {
        return {options_.source_name, options_.source_type, options_.git_commit, options_.git_branch,
                options_.git_repository};
    }

    [[nodiscard]] detail::http_client_options<Transport> server() const {
        return {"tracking_uri",         options_.tracking_uri, options_.headers,  options_.workspace,
                options_.authorization, options_.timeout,      options_.transport};
    }

    // The spans of the batch are stored. Afterwards the batch holds the traces that failed, or all traces if none
    // failed.
    export_result send_trace_infos(trace_batch& batch) {
        std::vector<typename infos::answer> answers;
        for (const trace_data& trace : batch)
            if (needs_trace_info(trace)) answers.push_back({&trace});
        if (answers.empty()) return {.exported_spans = batch.span_count()};
        while (others_.size() + 1 < options_.info_connections && others_.size() + 1 < answers.size() &&
               others_.size() < 15)
            others_.push_back(
                detail::owner<detail::http_client<Transport>>(new detail::http_client<Transport>(server())));
        infos sent(connection_.experiment_id, run(), is_interrupted_, progress_, experience_);
        sent.send(answers, server_, others_);
        auto outcome = settle(batch, answers);
        if (const failed& why = sent.link_refusal();
            why && options_.on_notice && !std::exchange(is_link_told_, true)) {
            const auto tell = [&] { options_.on_notice("prompts are not linked to traces: " + why->message()); };
            detail::guarded(tell, [] {}); // the spans are stored
        }
        return outcome;
    }

    // The receiver does not say which spans it rejected. They count among those of the traces that are done, because
    // the others are sent again.
    static export_result with_rejected(export_result& spans, export_result infos) {
        if (infos.ok()) return std::move(spans);
        const std::size_t done = infos.exported_spans;
        const std::size_t rejected = spans.failed_spans < done ? spans.failed_spans : done;
        infos.exported_spans -= rejected;
        infos.failed_spans += rejected;
        return infos;
    }

    static error interrupted(std::size_t spans) noexcept {
        const auto told = [spans] {
            return error(error_kind::timeout, {},
                         "interrupted before the request IDs and metadata of " + std::to_string(spans) +
                             " stored spans were sent");
        };
        return detail::guarded(told, [] { return error(error_kind::timeout); });
    }

    // The answers are in the order of the batch. Must not throw: the traces are between two batches.
    export_result settle(trace_batch& batch, std::vector<typename infos::answer>& answers) noexcept {
        export_result outcome;
        trace_batch left, stored;
        auto next = answers.begin();
        std::size_t untried = 0;
        while (trace_data* const trace = batch.pop_front()) {
            const bool is_asked = next != answers.end() && next->trace == trace;
            const bool is_stored = !is_asked || (next->is_tried && !next->error);
            if (is_stored) outcome.exported_spans += trace->span_count;
            else if (!next->is_tried) untried += trace->span_count;
            else detail::add_failure(outcome, trace->span_count, *checked(std::move(next->error)));
            (is_stored ? stored : left).push_back(trace);
            if (is_asked) ++next;
        }
        if (untried > 0) {
            outcome.failed_spans += untried;
            outcome.retryable = true;
            if (!outcome.error) outcome.error = interrupted(untried);
        }
        batch = std::move(left.empty() ? stored : left);
        return outcome;
    }

    // After an error that is not about the content, or `interrupt`, no further trace is sent. Afterwards the batch
    // holds the traces that failed, or all traces if none failed.
    export_result send_artifacts(trace_batch& batch) {
        export_result outcome;
        failed gone;
        std::vector<bool> is_stored;
        for (const trace_data& trace : batch) {
            failed fault = gone ? gone : send_artifact(trace);
            is_stored.push_back(!fault);
            if (!fault) outcome.exported_spans += trace.span_count, progress_.answered(true);
            else if (outcome_of(*fault) == trace::outcome::wait) gone = fault;
            if (fault) detail::add_failure(outcome, trace.span_count, *fault);
            if (is_interrupted_ && !gone) gone = error(error_kind::closed, {}, "interrupted: not sent");
        }
        trace_batch left, stored;
        for (const bool one : is_stored) (one ? stored : left).push_back(batch.pop_front());
        batch = std::move(left.empty() ? stored : left);
        return outcome;
    }

    void use_artifacts(std::string_view why) {
        takes_otlp_ = false;
        if (options_.on_notice && !std::exchange(is_told_, true))
            options_.on_notice(server_.uri() + ": " + std::string(why) +
                               ", so each trace needs at least one request; use MLflow 3.4 or newer with a database");
    }

    failed send_artifact(const trace_data& trace) {
        auto error =
            checked(detail::mlflow_artifacts<Transport>(server_, connection_.experiment_id, run(), gives_own_ids_)
                        .store(trace));
        const bool has_no_such_way = error && error->kind() == error_kind::other &&
                                     (error->status() == 0 || detail::is_not_implemented(error->status()));
        if (has_no_such_way && !is_old_) { // neither way works: perhaps the response did not come from MLflow
            error = error->with_reply(detail::not_implemented, error->retry_after(), error->is_html());
            takes_otlp_ = true;
        }
        return error;
    }

    failed checked(failed error) {
        if (error && detail::is_not_found(error->status())) { // perhaps deleted: look it up again at the next export
            const detail::lock_guard guard(connection_lock_);
            connection_.experiment_id.clear();
        }
        return error;
    }

    options options_;
    detail::machine::mutex lock_;
    detail::http_client<Transport> server_;
    // Guards the next two members, which are written only under both locks.
    mutable detail::machine::mutex connection_lock_;
    mlflow_connection connection_;
    std::vector<detail::owner<detail::http_client<Transport>>> others_; // connections, created on demand
    detail::atomic<bool> is_interrupted_{false};
    detail::mlflow_progress progress_;
    detail::mlflow_experience experience_;
    bool gives_own_ids_ = false;
    bool takes_otlp_ = true;
    bool is_old_ = false;
    bool is_told_ = false;      // that each trace needs its own request
    bool is_link_told_ = false; // that prompts are not linked
    detail::buffer body_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
