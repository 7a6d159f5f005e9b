// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/assessments.hpp>
#include <mlflow/trace/client/batch_get.hpp>
#include <mlflow/trace/client/metrics.hpp>
#include <mlflow/trace/client/pages.hpp>
#include <mlflow/trace/client/rest.hpp>
#include <mlflow/trace/client/time_slices.hpp>
#include <mlflow/trace/metadata/tag.hpp>
#include <mlflow/trace/text/timestamp.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// An experiment of the server.
struct experiment {
    std::string id;          ///< the ID
    std::string name;        ///< the name
    bool is_deleted = false; ///< whether it is marked as deleted
};

namespace detail {

// The default limit of a transport is too small for pages with long previews.
template <class Options>
Options options_for_pages() {
    Options chosen{};
    if constexpr (requires { chosen.max_reply_bytes; }) chosen.max_reply_bytes = std::size_t{64} << 20U;
    return chosen;
}

} // namespace detail

/// Reads traces from an MLflow server, version 3.4 or newer, and adds tags and assessments to them.
///
/// `Transport` is constructed from an `endpoint` and `Transport::options`. The first call connects. Errors: each call
/// returns a result; an error is one line that says what failed and where, without credentials. A result is never
/// partial. Nothing is retried. Thread-safety: one thread at a time.
template <class Transport>
class client {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());

public:
    /// Options of `client`.
    struct options {
        std::string tracking_uri = "http://127.0.0.1:5000"; ///< http://host:port/path, as MLFLOW_TRACKING_URI
        /// The experiment of queries that name none. It must exist.
        std::string experiment_name = "Default";
        std::string experiment_id{}; ///< takes precedence over the name
        /// `basic_authorization()`, `bearer_authorization()`, or a function. Empty: no credentials. Use `https`.
        credentials authorization{};
        /// Headers sent with each request, for example a key for a reverse proxy.
        std::vector<std::pair<std::string, secret>> headers{};
        std::string workspace{};                   ///< the workspace, on a server that has several
        std::chrono::milliseconds timeout{60'000}; ///< for each request
        /// How many requests of one call run at the same time, each on its own thread and connection. `search_traces`
        /// reads one page ahead, `for_each_trace` ordered by time reads several time slices, `get_all` several
        /// batches. Results and their order are the same; memory holds one page for each connection.
        std::size_t connections = 1;
        /// Options of the transport, with a limit of 64 MiB for a response if it has that option.
        typename Transport::options transport = detail::options_for_pages<typename Transport::options>();
    };
    /// What the calls return.
    template <class T>
    using answer = result<T>;
    /// The value of a call that has no other one.
    struct nothing {};

    /// Stores the options. Does not connect.
    client() : client(options{}) {}
    /// Stores the options. Does not connect.
    explicit client(options chosen)
        : pool_(std::make_shared<detail::connection_pool<Transport>>(detail::http_client_options<Transport>{
              "tracking_uri", std::move(chosen.tracking_uri), std::move(chosen.headers), std::move(chosen.workspace),
              std::move(chosen.authorization), chosen.timeout, std::move(chosen.transport)})),
          server_(pool_->take()), connections_(std::max<std::size_t>(chosen.connections, 1)),
          experiment_name_(std::move(chosen.experiment_name)), experiment_id_(std::move(chosen.experiment_id)) {}

    /// The experiment with this name. If it does not exist, that is an error; it is not created.
    answer<experiment> experiment_by_name(std::string_view name) {
        const auto told = server_->call(http_method::get, "/api/2.0/mlflow/experiments/get-by-name?experiment_name=" +
                                                              detail::percent_encoded(name));
        if (!told && detail::is_not_found(told.error().status()))
            return failure{error(error_kind::other, "experiment \"" + std::string(name) + "\"",
                                 " does not exist on " + server_->uri() + ": check the name; it is not created")
                               .with_reply(told.error().status())};
        if (!told) return failure{told.error()};
        return read_experiment(detail::member(*told, "experiment"));
    }
    /// Creates an experiment.
    answer<experiment> create_experiment(std::string_view name) {
        const auto told = server_->call(http_method::post, "/api/2.0/mlflow/experiments/create", {{"name", name}});
        if (!told) return failure{told.error()};
        experiment made{detail::text_of(*told, "experiment_id"), std::string(name)};
        if (made.id.empty()) return malformed("experiments", "an experiment without ID");
        return made;
    }
    /// Sets the names of the levels of `mt::session_path`, outermost first, for the experiment of the options, like
    /// MLflow 3.18's `set_session_hierarchy`: scorers can group by a level. Errors: no name, an empty or repeated
    /// one.
    answer<nothing> set_session_levels(const std::vector<std::string>& names) {
        auto levels = detail::json::array();
        bool is_good = !names.empty();
        for (auto name = names.begin(); name != names.end(); ++name) {
            is_good = is_good && !name->empty() && std::find(names.begin(), name, *name) == name;
            levels.push_back({{"name", *name}});
        }
        if (!is_good)
            return failure{error(error_kind::bad_request, "set_session_levels",
                                 "give at least one name; names must not be empty or repeated")};
        const auto id = experiment_id();
        if (!id) return failure{id.error()};
        const detail::json hierarchy{{"version", 1}, {"levels", std::move(levels)}};
        return done(server_->call(
            http_method::post, "/api/2.0/mlflow/experiments/set-experiment-tag",
            {{"experiment_id", *id}, {"key", "mlflow.experiment.sessionHierarchy"}, {"value", hierarchy.dump()}}));
    }
    /// All experiments that are not deleted.
    answer<std::vector<experiment>> experiments() {
        std::vector<experiment> found;
        detail::page_tokens seen;
        std::string token;
        do {
            detail::json body{{"max_results", 1000}};
            if (!token.empty()) body["page_token"] = token;
            const auto told = server_->call(http_method::post, "/api/2.0/mlflow/experiments/search", body);
            if (!told) return failure{told.error()};
            for (const auto& one : detail::member(*told, "experiments")) {
                auto read = read_experiment(one);
                if (!read) return failure{read.error()};
                found.push_back(std::move(*read));
            }
            token = detail::text_of(*told, "next_page_token");
            if (!token.empty() && seen.is_loop(token)) return malformed("experiments", "a repeated page token");
        } while (!token.empty());
        return found;
    }
    /// The ID of the experiment of the options. It is requested once.
    answer<std::string> experiment_id() {
        if (experiment_id_.empty()) {
            auto found = experiment_by_name(experiment_name_);
            if (!found) return failure{found.error()};
            experiment_id_ = std::move(found->id);
        }
        return experiment_id_;
    }

    /// Prepares a search. Pages are requested when the result is read.
    answer<trace_pages<Transport>> search_traces(trace_query query) {
        if (auto fault = settle(query.experiment_ids)) return failure{std::move(*fault)};
        std::string token = query.page_token;
        return trace_pages<Transport>(open(std::move(query)), std::move(token));
    }
    /// Calls `visit` with each trace found, page by page. It may return false to end the search.
    template <class Visit>
    [[nodiscard]] search_result for_each_trace(trace_query query, Visit visit) {
        if (auto fault = settle(query.experiment_ids)) return failure{std::move(*fault)};
        const std::size_t most = query.max_results;
        if (connections_ > 1 && detail::time_slices<Transport>::can_slice(query))
            return detail::visit_all(detail::time_slices<Transport>(pool_, std::move(query), connections_), most,
                                     visit);
        return detail::visit_all(trace_pages<Transport>(open(std::move(query))), most, visit);
    }

    /// One trace with its spans. `trace_id` is `tr-` and 32 hexadecimal digits. Error: it is not stored.
    answer<stored_trace> get(std::string_view trace_id) {
        if (auto wrong = detail::id_fault("trace_id", trace_id)) return failure{std::move(*wrong)};
        return detail::get_trace(*server_, trace_id);
    }
    /// One trace without its spans.
    answer<trace_info> get_info(std::string_view trace_id) {
        if (auto wrong = detail::id_fault("trace_id", trace_id)) return failure{std::move(*wrong)};
        return detail::get_trace_info(*server_, trace_id);
    }
    /// The traces with these IDs that are stored, with their spans, in this order. One request reads 50 traces. If
    /// MLflow keeps the spans of one of the 50 as a file, as older clients write them, it takes one request for each
    /// of them, and another for each file; and one more for each trace of which spans are still missing.
    answer<std::vector<stored_trace>> get_all(std::span<const std::string> trace_ids) {
        constexpr std::size_t most = 50;
        for (const std::string& id : trace_ids)
            if (auto wrong = detail::id_fault("trace_ids", id)) return failure{std::move(*wrong)};
        std::deque<detail::background<answer<std::vector<stored_trace>>>> under_way;
        std::vector<stored_trace> found;
        while (!trace_ids.empty() || !under_way.empty()) {
            for (; !trace_ids.empty() && under_way.size() < connections_;
                 trace_ids = trace_ids.subspan(std::min(most, trace_ids.size())))
                under_way.emplace_back(
                    [server = connection(), some = trace_ids.first(std::min(most, trace_ids.size()))] {
                        return detail::get_batch(*server, some);
                    });
            auto batch = under_way.front().get();
            under_way.pop_front();
            if (!batch) return batch;
            std::move(batch->begin(), batch->end(), std::back_inserter(found));
        }
        return found;
    }
    /// Deletes traces of an experiment (by default that of the options). Returns how many existed.
    answer<std::size_t> delete_traces(std::span<const std::string> trace_ids, std::string experiment = {}) {
        if (experiment.empty()) {
            auto own = experiment_id();
            if (!own) return failure{own.error()};
            experiment = std::move(*own);
        }
        for (const std::string& id : trace_ids)
            if (auto wrong = detail::id_fault("trace_ids", id)) return failure{std::move(*wrong)};
        std::size_t deleted = 0;
        for (std::size_t at = 0; at < trace_ids.size(); at += 100) {
            const auto some = trace_ids.subspan(at, std::min<std::size_t>(100, trace_ids.size() - at));
            const auto told = server_->call(
                http_method::post, "/api/3.0/mlflow/traces/delete-traces",
                {{"experiment_id", experiment}, {"request_ids", std::vector<std::string>(some.begin(), some.end())}});
            if (!told) return failure{told.error()};
            const auto count = detail::integer_of(*told, "traces_deleted");
            if (count < 0 || static_cast<std::size_t>(count) > some.size())
                return malformed("traces/delete-traces", "a higher count than the number of traces in the request");
            deleted += static_cast<std::size_t>(count);
        }
        return deleted;
    }

    /// Sets or changes a tag. Metadata cannot be changed.
    answer<nothing> set_tag(std::string_view trace_id, const tag& label) {
        if (const auto fault = label.check(); fault.kind() != error_kind::none)
            return failure{fault.with_message(fault.message())};
        return done(call_for(http_method::patch, trace_id, "/tags", {{"key", label.key}, {"value", label.value}}));
    }
    /// Deletes a tag.
    answer<nothing> delete_tag(std::string_view trace_id, std::string_view key) {
        return done(call_for(http_method::delete_, trace_id, "/tags", {{"key", key}}));
    }

    /// Adds feedback to a trace, or to its span `told.span_id`.
    answer<assessment> log_feedback(std::string_view trace_id, const feedback& told) { return log(trace_id, told); }
    /// Adds an expectation in the same way.
    answer<assessment> log_expectation(std::string_view trace_id, const expectation& told) {
        return log(trace_id, told);
    }
    /// Adds feedback to a session. MLflow stores it with the session's first trace, which must exist.
    answer<assessment> log_feedback(const session& whole, feedback told) { return log(whole, std::move(told)); }
    /// Adds an expectation in the same way.
    answer<assessment> log_expectation(const session& whole, expectation told) { return log(whole, std::move(told)); }

    /// One assessment.
    answer<assessment> get_assessment(std::string_view trace_id, std::string_view assessment_id) {
        return read(call_for_assessment(http_method::get, trace_id, assessment_id));
    }
    /// Changes an assessment.
    answer<assessment> update_assessment(std::string_view trace_id, std::string_view assessment_id,
                                         const assessment_changes& changes) {
        const auto old = get_assessment(trace_id, assessment_id);
        if (!old) return old;
        return read(
            call_for_assessment(http_method::patch, trace_id, assessment_id, detail::update_body(*old, changes)));
    }
    /// Adds feedback that replaces another one, which is kept and marked as not valid. It gets the same name and
    /// span.
    answer<assessment> override_feedback(std::string_view trace_id, std::string_view assessment_id, feedback told) {
        const auto old = get_assessment(trace_id, assessment_id);
        if (!old) return old;
        told.name = old->name;
        told.span_id = old->span_id;
        auto body = detail::assessment_body(told, trace_id, now());
        body["overrides"] = old->id;
        return create(trace_id, std::move(body));
    }
    /// Deletes an assessment.
    answer<nothing> delete_assessment(std::string_view trace_id, std::string_view assessment_id) {
        return done(call_for_assessment(http_method::delete_, trace_id, assessment_id));
    }

    /// Metrics that the server computes.
    answer<std::vector<metric_point>> metrics(metric_query query) {
        if (auto fault = settle(query.experiment_ids)) return failure{std::move(*fault)};
        auto body = detail::metric_body(query);
        if (!body) return failure{body.error()};
        std::vector<metric_point> points;
        detail::page_tokens seen;
        for (;;) {
            const auto told = server_->call(http_method::post, "/api/3.0/mlflow/traces/metrics", *body);
            if (!told) return failure{told.error()};
            for (const auto& one : detail::member(*told, "data_points"))
                points.push_back(detail::read_metric_point(one));
            auto token = detail::text_of(*told, "next_page_token");
            if (token.empty()) return points;
            if (seen.is_loop(token)) return malformed("traces/metrics", "a repeated page token");
            (*body)["page_token"] = std::move(token);
        }
    }

private:
    template <class>
    friend class datasets; // <mlflow/trace/client/datasets.hpp>
    template <class>
    friend class user_erasure; // <mlflow/trace/client/erasure.hpp>

    detail::json_result call_for(http_method method, std::string_view trace_id, const std::string& what,
                                 const detail::json& body = nullptr) {
        if (auto wrong = detail::id_fault("trace_id", trace_id)) return failure{std::move(*wrong)};
        return server_->call(method, "/api/3.0/mlflow/traces/" + detail::percent_encoded(trace_id) + what, body);
    }
    detail::json_result call_for_assessment(http_method method, std::string_view trace_id,
                                            std::string_view assessment_id, const detail::json& body = nullptr) {
        if (auto wrong = detail::id_fault("assessment_id", assessment_id)) return failure{std::move(*wrong)};
        return call_for(method, trace_id, "/assessments/" + detail::percent_encoded(assessment_id), body);
    }
    static std::string now() {
        const auto since_epoch = std::chrono::system_clock::now().time_since_epoch();
        return detail::rfc3339(
            static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since_epoch).count()));
    }
    failure malformed(std::string_view target, std::string_view what) const {
        return detail::malformed(server_->uri(), target, what);
    }
    static answer<nothing> done(const detail::json_result& told) {
        if (!told) return failure{told.error()};
        return nothing{};
    }

    answer<experiment> read_experiment(const detail::json& told) const {
        experiment read{detail::text_of(told, "experiment_id"), detail::text_of(told, "name"),
                        detail::text_of(told, "lifecycle_stage") == "deleted"};
        if (read.id.empty()) return malformed("experiments", "an experiment without ID");
        return read;
    }

    // A connection for one request.
    detail::connection<Transport> connection() { return connections_ > 1 ? pool_->take() : server_; }

    detail::page_stream<Transport> open(trace_query query) {
        const bool reads_ahead = connections_ > 1;
        return detail::page_stream<Transport>(detail::page_reader<Transport>(connection(), std::move(query)),
                                              reads_ahead);
    }
    // A query that names no experiment gets that of the options.
    std::optional<error> settle(std::vector<std::string>& experiment_ids) {
        if (!experiment_ids.empty()) return std::nullopt;
        auto own = experiment_id();
        if (!own) return own.error();
        experiment_ids.push_back(std::move(*own));
        return std::nullopt;
    }

    answer<assessment> read(const detail::json_result& told) const {
        if (!told) return failure{told.error()};
        auto found = detail::read_assessment(detail::member(*told, "assessment"));
        if (found.id.empty()) return malformed("assessments", "no assessment");
        return found;
    }
    answer<assessment> create(std::string_view trace_id, detail::json body) {
        return read(call_for(http_method::post, trace_id, "/assessments", {{"assessment", std::move(body)}}));
    }
    template <class Assessment>
    answer<assessment> log(std::string_view trace_id, const Assessment& told) {
        return create(trace_id, detail::assessment_body(told, trace_id, now()));
    }
    template <class Assessment>
    answer<assessment> log(const session& whole, Assessment told) {
        const auto first = find_all(
            *this, {.where = field::session == whole, .order_by = {field::timestamp.ascending()}, .max_results = 1});
        if (!first) return failure{first.error()};
        if (first->empty())
            return failure{error(error_kind::other, {},
                                 "the session has no trace in this experiment; feedback on a session requires its "
                                 "first trace to be stored")};
        told.metadata[std::string(session::name)] = std::string(whole.view());
        return log(first->front().trace_id, told);
    }

    std::shared_ptr<detail::connection_pool<Transport>> pool_;
    detail::connection<Transport> server_;
    std::size_t connections_;
    std::string experiment_name_;
    std::string experiment_id_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
