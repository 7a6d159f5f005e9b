// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/notice.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
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

/// Which server, and where on it.
struct mlflow_connection {
    std::string server_version;
    std::string experiment_id;
};

/// Delivers to an MLflow server, version 3.1 or newer.
///
/// All spans of a batch go in one request (`POST /v1/traces`). A trace with metadata besides user and session,
/// with a client request ID, or with linked prompts needs one or two more of its own (`POST
/// /api/3.0/mlflow/traces`, `POST /api/2.0/mlflow/traces/link-prompts`); these follow on
/// `info_connections` connections, and the spans of such a trace count as exported when it has been answered too.
/// Sending a trace again is harmless. What an answer means is decided in http/outcome.hpp: a login page with status
/// 200 delivers nothing.
///
/// Servers before 3.4, and those whose store takes no spans (it answers 501, as a folder of files does), get each
/// trace by a request of its own and its spans as a file, which is told once by `options::on_notice`. MLflow 3.1
/// gives each trace an ID of its own there; the tag `mlflow_trace.trace_id` has ours, and `mlflow.clientRequestId`
/// the request's.
///
/// `Transport` is constructed from an `endpoint` and `Transport::options`. The server is asked for its version and
/// its experiment at the first export, or before that by `connect()`. Thread-safety: all functions, from any thread,
/// one at a time, and `interrupt` at once.
template <class Transport>
class mlflow_exporter {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());

public:
    struct options {
        std::string tracking_uri = "http://127.0.0.1:5000"; ///< http://host:port/path, as MLFLOW_TRACKING_URI
        /// Created when it does not exist. Ignored when `experiment_id` is given.
        std::string experiment_name = "Default";
        std::string experiment_id{}; ///< must exist
        /// OpenTelemetry's resource; MLflow stores its `service.name` as a tag of the trace.
        resource_attributes resource{};
        /// What runs: the metadata `mlflow.source.name`, `mlflow.source.type` and, where they are known when the
        /// program is built, `mlflow.source.git.commit`, `.branch` and `.repoURL`. Sent with the traces that have
        /// metadata of their own.
        std::string source_name{detail::program_path()};
        std::string source_type{"LOCAL"};
        std::string git_commit{};
        std::string git_branch{};
        std::string git_repository{}; ///< `https://github.com/…`, to which MLflow's page links; without a password
        /// For each request. A busy SQLite store answers only after 20 s.
        std::chrono::milliseconds timeout{30'000};
        /// `basic_authorization()`, `bearer_authorization()`, or a function; none when empty. Give it over `https`
        /// only.
        credentials authorization{};
        /// Sent with each request, such as a key that a proxy before the server asks for.
        std::vector<std::pair<std::string, secret>> headers{};
        std::string workspace{}; ///< of a server that has several (`mlflow server --enable-workspaces`)
        typename Transport::options transport{};
        /// At once, for the requests that traces with request IDs and metadata need. 1 to 16.
        std::size_t info_connections = 4;
        /// Told once, by the exporting thread, why traces go to this server in a slower way.
        void (*on_notice)(const std::string& notice) = &detail::notice_to_stderr;
    };

    mlflow_exporter() : mlflow_exporter(options{}) {}
    explicit mlflow_exporter(options chosen) : options_(std::move(chosen)), server_(server()) {}

    /// Asks the server for its version and its experiment, which is created where only its name is known. Needed only
    /// to learn of a wrong address, an old server or a missing experiment before the first trace.
    result<mlflow_connection> connect() {
        const detail::lock_guard guard(lock_);
        return connect_locked();
    }

    export_result export_traces(trace_batch& batch) {
        const detail::lock_guard guard(lock_);
        if (batch.empty()) return {};
        const std::size_t spans = batch.span_count();
        if (const auto connected = connect_locked(); !connected) {
            // The traces were not even sent: it is the server, the experiment or the credentials that must be mended.
            export_result outcome = failure_of(spans, connected.error());
            outcome.retryable = true;
            outcome.content_rejected = false;
            return outcome;
        }
        if (takes_otlp_) {
            export_result outcome;
            auto error = send_spans(batch, outcome);
            if (error && detail::is_not_implemented(error->status())) use_artifacts("its store takes no OTLP spans");
            else if (error) return failure_of(spans, std::move(*error));
            else return outcome.ok() ? send_trace_infos(batch) : outcome;
        }
        return send_artifacts(batch);
    }

    /// Ends an export under way after the requests that are under way: what was not asked for yet fails, and may be
    /// sent again. Later exports send spans, and no more.
    void interrupt() noexcept { is_interrupted_ = true; }

    /// How far the export under way is. Does not wait for it.
    [[nodiscard]] export_progress progress() const { return progress_.now(); }

    /// The trace in MLflow's page; empty before the experiment is known. Does not wait for an export under way.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        const detail::lock_guard guard(connection_lock_);
        if (connection_.experiment_id.empty()) return {};
        if (gives_own_ids_) return experiment_url_locked();
        return experiment_url_locked("?selectedEvaluationId=" + std::string(id.mlflow_id().view()));
    }
    /// The experiment's traces in MLflow's page; empty before the experiment is known.
    [[nodiscard]] std::string experiment_url() const {
        const detail::lock_guard guard(connection_lock_);
        return connection_.experiment_id.empty() ? std::string{} : experiment_url_locked();
    }

private:
    using failed = std::optional<error>; // nothing when all is well
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
        if (takes_otlp_ && is_old_) use_artifacts("it takes no OTLP spans");
        const detail::lock_guard guard(connection_lock_);
        gives_own_ids_ = version->is_before(3, 2);
        connection_ = {std::move(version->text), std::move(*experiment)};
        return connection_;
    }

    static export_result failure_of(std::size_t spans, error why) {
        export_result outcome;
        detail::add_failure(outcome, spans, std::move(why));
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

    // Of a batch whose spans are stored. What has failed stays in it, unless all has.
    export_result send_trace_infos(trace_batch& batch) {
        std::vector<typename infos::answer> answers;
        for (const trace_data& trace : batch)
            if (needs_trace_info(trace)) answers.push_back({&trace});
        if (answers.empty()) return {.exported_spans = batch.span_count()};
        while (others_.size() + 1 < options_.info_connections && others_.size() + 1 < answers.size() &&
               others_.size() < 15)
            others_.push_back(
                detail::owner<detail::http_client<Transport>>(new detail::http_client<Transport>(server())));
        infos(connection_.experiment_id, run(), is_interrupted_, progress_).send(answers, server_, others_);
        return settle(batch, answers);
    }

    // In the order of the batch.
    export_result settle(trace_batch& batch, std::vector<typename infos::answer>& answers) {
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
            if (outcome.error.empty())
                outcome.error = "request IDs and metadata of " + std::to_string(untried) +
                                " stored spans were not sent yet: interrupted";
        }
        batch = std::move(left.empty() ? stored : left);
        return outcome;
    }

    // A server that is not there any more is not asked for each trace.
    export_result send_artifacts(const trace_batch& batch) {
        export_result outcome;
        failed gone;
        for (const trace_data& trace : batch) {
            failed error = gone ? gone : send_artifact(trace);
            if (!error) outcome.exported_spans += trace.span_count, progress_.answered(true);
            else if (outcome_of(*error) == trace::outcome::wait) gone = error;
            if (error) detail::add_failure(outcome, trace.span_count, std::move(*error));
        }
        return outcome;
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
        const bool has_no_such_way = error && error->kind() == error_kind::other &&
                                     (error->status() == 0 || detail::is_not_implemented(error->status()));
        if (has_no_such_way && !is_old_) { // nor the other: perhaps it was not MLflow that answered
            error = error->with_reply(detail::not_implemented, error->retry_after(), error->is_html());
            takes_otlp_ = true;
        }
        return error;
    }

    failed checked(failed error) {
        if (error && detail::is_not_found(error->status())) { // deleted? ask again next time
            const detail::lock_guard guard(connection_lock_);
            connection_.experiment_id.clear();
        }
        return error;
    }

    options options_;
    detail::machine::mutex lock_;
    detail::http_client<Transport> server_;
    mutable detail::machine::mutex connection_lock_; // these two are written under both locks
    mlflow_connection connection_;
    std::vector<detail::owner<detail::http_client<Transport>>> others_; // connections, made as they are needed
    detail::atomic<bool> is_interrupted_{false};
    detail::mlflow_progress progress_;
    bool gives_own_ids_ = false;
    bool takes_otlp_ = true;
    bool is_old_ = false;
    bool is_told_ = false; // that it is the artifact way
    detail::buffer body_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
