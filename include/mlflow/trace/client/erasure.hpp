// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/datasets.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// IDs of traces, `tr-` and 32 hexadecimal digits each.
using trace_ids = std::set<std::string, std::less<>>;

/// What a user left on a server.
struct user_remains {
    struct trace {
        std::string id;
        std::string experiment_id;
        std::string artifacts; ///< where the server keeps its files: `mlflow-artifacts:/1/traces/…`
    };
    struct judgement {
        std::string trace_id;
        std::string id;
    };
    struct record {
        std::string dataset_id;
        std::string id;
    };
    std::vector<trace> traces;
    std::vector<judgement> assessments;   ///< given by the user on traces of others
    std::vector<record> records;          ///< of datasets, made of these traces
    std::vector<std::string> experiments; ///< that were looked into
    /// Traces without a user in a session that this user shares with others: whose they are is not known.
    std::vector<std::string> undecided;
    std::vector<std::string> mentions; ///< traces of others in which the ID stands as text
    bool has_seen_spans = false;       ///< else only what is known of traces without their spans was looked at
};

/// What was deleted.
struct erased_remains {
    std::size_t traces = 0;
    std::size_t assessments = 0;
    std::size_t records = 0;
    std::size_t artifact_folders = 0;    ///< asked for; one that is not there is no error
    std::size_t artifacts_elsewhere = 0; ///< traces whose files the server does not keep itself
};

/// How much is read to find a user. Spans are many requests: 50 traces in each.
enum class look_into : bool { traces, spans };

/// Finds and deletes what a user left on a server, in all its experiments, also in those that are marked as deleted.
///
/// Of the user are: traces whose metadata name the user, and those in `known`; with `look_into::spans` those of which
/// any span does (`user.id`); traces without a user in a session in which nobody else is named; what the user judged
/// on other traces; the records of datasets that were made of any of these traces, and the traces of evaluations of
/// such records.
///
/// Errors: as those of the client; after one, start again: what is done is not found any more. Memory grows with the
/// sessions, and with the traces that have a session and no user. Thread-safety: that of the client, which must
/// outlive it.
template <class Transport>
class user_erasure {
public:
    user_erasure(client<Transport>& server, const user& who) : server_(server), who_(who), id_(who.view()) {}

    /// Only reads. `known` are traces that files and spools say are the user's. `seen(std::size_t)` is told how many
    /// traces have been looked at.
    template <class Seen>
    result<user_remains> find(const trace_ids& known, look_into into, Seen seen) {
        user_remains found;
        if (auto fault = list_experiments(found)) return failure{std::move(*fault)};
        trace_ids gone = known;
        std::unordered_map<std::string, who_is_named> sessions;
        std::map<std::string, user_remains::trace> loose; // without a user
        std::map<std::string, std::string> session_of;
        std::vector<std::pair<user_remains::trace, std::vector<std::string>>> derived; // with what they are made of
        std::vector<user_remains::judgement> judged;
        std::set<std::string, std::less<>> mentioned;
        std::vector<std::string> others;
        std::size_t count = 0;
        for (const std::string& experiment : found.experiments) {
            const auto done = server_.for_each_trace({.experiment_ids = {experiment}}, [&](const trace_info& trace) {
                if (++count % 500 == 0) seen(count);
                const bool is_theirs = trace.user() == id_ || gone.contains(trace.trace_id);
                user_remains::trace one{trace.trace_id, experiment,
                                        std::string(trace.tag("mlflow.artifactLocation"))};
                auto sources = sources_of(trace);
                const bool is_derived = !sources.empty();
                if (is_derived && !is_theirs) derived.emplace_back(one, std::move(sources));
                if (!trace.session().empty()) {
                    auto& named = sessions[experiment + ' ' + std::string(trace.session())];
                    named.user = named.user || is_theirs;
                    named.others = named.others || (!trace.user().empty() && trace.user() != id_);
                    if (!is_theirs && !is_derived && trace.user().empty()) {
                        session_of[trace.trace_id] = experiment + ' ' + std::string(trace.session());
                        loose.emplace(trace.trace_id, one);
                    }
                }
                if (is_theirs) {
                    gone.insert(trace.trace_id);
                    found.traces.push_back(std::move(one));
                    return;
                }
                for (const assessment& said : trace.assessments)
                    if (said.source.id == id_) judged.push_back({trace.trace_id, said.id});
                if (is_mentioned_in(trace)) mentioned.insert(trace.trace_id);
                if (into == look_into::spans) others.push_back(trace.trace_id);
            });
            if (!done) return failure{done.error()};
        }
        if (auto fault = look_at_spans(others, gone, mentioned, found.traces)) return failure{std::move(*fault)};
        found.has_seen_spans = into == look_into::spans;
        for (auto& [id, trace] : loose) {
            const who_is_named& named = sessions[session_of[id]];
            if (!named.user) continue;
            if (named.others) {
                found.undecided.push_back(id);
            } else {
                gone.insert(id);
                found.traces.push_back(std::move(trace));
            }
        }
        for (auto& [trace, sources] : derived)
            if (std::any_of(sources.begin(), sources.end(), [&](const auto& id) { return gone.contains(id); }) &&
                gone.insert(trace.id).second)
                found.traces.push_back(std::move(trace));
        for (auto& one : judged)
            if (!gone.contains(one.trace_id)) found.assessments.push_back(std::move(one));
        for (const std::string& id : mentioned)
            if (!gone.contains(id)) found.mentions.push_back(id);
        if (auto fault = find_records(found, gone)) return failure{std::move(*fault)};
        return found;
    }

    /// Deletes what was found: records of datasets, assessments, files, and at last the traces. Cannot be undone.
    result<erased_remains> erase(const user_remains& found) {
        erased_remains done;
        datasets<Transport> data(server_);
        std::map<std::string, std::vector<std::string>> by_dataset;
        for (const auto& one : found.records) by_dataset[one.dataset_id].push_back(one.id);
        for (const auto& [dataset_id, ids] : by_dataset) {
            const auto deleted = data.delete_records(dataset_id, ids);
            if (!deleted) return failure{deleted.error()};
            done.records += *deleted;
        }
        for (const auto& one : found.assessments) {
            const auto deleted = server_.delete_assessment(one.trace_id, one.id);
            if (!deleted && !detail::is_not_found(deleted.error().status())) return failure{deleted.error()};
            done.assessments += deleted ? 1U : 0U;
        }
        std::map<std::string, std::vector<std::string>> by_experiment;
        for (const auto& one : found.traces) {
            const auto path = path_of(one.artifacts);
            if (path.empty()) {
                ++done.artifacts_elsewhere;
            } else {
                const auto deleted =
                    server_.server_->call(http_method::delete_, "/api/2.0/mlflow-artifacts/artifacts" + path);
                if (!deleted && !detail::is_not_found(deleted.error().status())) return failure{deleted.error()};
                ++done.artifact_folders;
            }
            by_experiment[one.experiment_id].push_back(one.id);
        }
        for (const auto& [experiment, ids] : by_experiment) {
            const auto deleted = server_.delete_traces(ids, experiment);
            if (!deleted) return failure{deleted.error()};
            done.traces += *deleted;
        }
        return done;
    }

    /// How many traces name the user now in these experiments: those that have come meanwhile.
    result<std::size_t> left(const std::vector<std::string>& experiments) {
        std::size_t count = 0;
        for (const std::string& experiment : experiments) {
            const auto found = server_.for_each_trace({.where = field::user == who_, .experiment_ids = {experiment}},
                                                      [&](const trace_info&) { ++count; });
            if (!found) return found;
        }
        return count;
    }

private:
    struct who_is_named {
        bool user = false;
        bool others = false;
    };

    std::optional<error> list_experiments(user_remains& found) {
        detail::page_tokens seen;
        detail::json body{{"max_results", 1000}, {"view_type", "ALL"}};
        for (;;) {
            const auto told = server_.server_->call(http_method::post, "/api/2.0/mlflow/experiments/search", body);
            if (!told) return told.error();
            for (const auto& one : detail::member(*told, "experiments"))
                found.experiments.push_back(detail::text_of(one, "experiment_id"));
            auto token = detail::text_of(*told, "next_page_token");
            if (token.empty()) return std::nullopt;
            if (seen.is_loop(token)) return server_.malformed("experiments", "a page token that loops").error;
            body["page_token"] = std::move(token);
        }
    }

    // An evaluation gives its traces the tags of the records, which are the IDs of the traces that these are made of.
    static std::vector<std::string> sources_of(const trace_info& trace) {
        std::vector<std::string> ids;
        for (const auto& [key, value] : trace.tags)
            if (key.starts_with("tr-") && key.size() == 35) ids.push_back(key);
        return ids;
    }

    // MLflow's metadata have the first span that names a user: others may name others.
    std::optional<error> look_at_spans(std::span<const std::string> ids, trace_ids& gone,
                                       std::set<std::string, std::less<>>& mentioned,
                                       std::vector<user_remains::trace>& found) {
        for (constexpr std::size_t most = 500; !ids.empty(); ids = ids.subspan(std::min(most, ids.size()))) {
            const auto traces = server_.get_all(ids.first(std::min(most, ids.size())));
            if (!traces) return traces.error();
            for (const stored_trace& one : *traces) {
                bool is_named = false;
                bool is_mentioned = false;
                for (const stored_span& span : one.spans)
                    for (const auto& [key, value] : span.attributes) {
                        is_mentioned = is_mentioned || contains(value);
                        is_named = is_named || (key == "user.id" && detail::parse_json(value) == detail::json(id_));
                    }
                if (is_mentioned) mentioned.insert(one.info.trace_id);
                if (is_named && gone.insert(one.info.trace_id).second)
                    found.push_back({one.info.trace_id, one.info.experiment_id,
                                     std::string(one.info.tag("mlflow.artifactLocation"))});
            }
        }
        return std::nullopt;
    }

    [[nodiscard]] bool contains(std::string_view text) const { return text.find(id_) != std::string_view::npos; }
    [[nodiscard]] bool is_mentioned_in(const trace_info& trace) const {
        const auto in = [this](const text_map& texts) {
            return std::any_of(texts.begin(), texts.end(), [this](const auto& one) { return contains(one.second); });
        };
        return contains(trace.request_preview) || contains(trace.response_preview) || in(trace.metadata) ||
               in(trace.tags) ||
               std::any_of(trace.assessments.begin(), trace.assessments.end(), [&](const assessment& one) {
                   return one.source.id != id_ &&
                          (contains(one.value) || contains(one.rationale) || in(one.metadata));
               });
    }

    // Of any dataset of the server. A record that several traces share goes too.
    std::optional<error> find_records(user_remains& found, const trace_ids& gone) {
        datasets<Transport> data(server_);
        const auto all = data.list(std::vector<std::string>{});
        if (!all) return all.error();
        for (const dataset& one : *all) {
            const auto done = data.for_each_record(one.id, [&](const dataset_record& record) {
                const bool is_theirs = gone.contains(record.source.trace_id) ||
                                       std::any_of(record.tags.begin(), record.tags.end(),
                                                   [&](const auto& tag) { return gone.contains(tag.first); });
                if (is_theirs) found.records.push_back({one.id, record.id});
            });
            if (!done) return done.error();
        }
        return std::nullopt;
    }

    // As a part of an URL; empty where the server does not keep the files itself.
    static std::string path_of(std::string_view location) {
        constexpr std::string_view scheme = "mlflow-artifacts:";
        if (!location.starts_with(scheme) || !detail::is_path_part(location)) return {};
        location.remove_prefix(scheme.size());
        if (location.starts_with("//")) location = location.substr(std::min(location.find('/', 2), location.size()));
        if (location.find("/traces/") == location.npos) return {};
        std::string path;
        for (const char c : location) path += c == '/' ? "/" : detail::percent_encoded({&c, 1});
        return path;
    }

    client<Transport>& server_;
    user who_;
    std::string id_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
