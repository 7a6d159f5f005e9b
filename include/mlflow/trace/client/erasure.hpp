// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/datasets.hpp>
#include <mlflow/trace/client/span_search.hpp>
#include <mlflow/trace/client/user_remains.hpp>

#include <algorithm>
#include <cstddef>
#include <iterator>
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

/// Finds and deletes everything that a server stores about a user, in all experiments, including those marked as
/// deleted.
///
/// These belong to the user:
/// - traces with the user in their metadata, and those in `known`
/// - with `look_into::spans`, traces in which any span has the user (`user.id`)
/// - traces without a user in a session in which no other user occurs
/// - the user's assessments of other traces
/// - records of datasets made from any of these traces, and the traces of evaluations of such records
///
/// Errors: those of the client, and a server that lists no experiment. After an error, start again; what was deleted
/// is not found any more. Several may run at the same time. Memory grows with the number of sessions, and of traces
/// that have a session but no user. Thread-safety: that of the client, which must outlive this object.
template <class Transport>
class user_erasure {
public:
    /// Uses this client to find this user.
    user_erasure(client<Transport>& server, const user& who) : user_erasure(server, who.view()) {}
    /// The same for an ID that `mt::user` rejects, but that other programs can record: with control characters, or
    /// with more than 250 characters. It must not be empty.
    user_erasure(client<Transport>& server, std::string_view id) : server_(server), id_(id), written_(id_) {}

    /// Finds the user's data; changes nothing. `known` are traces known to belong to the user, for example from files
    /// and spools. `seen(const user_remains::progress&)` is called from time to time.
    template <class Seen>
    result<user_remains> find(const trace_ids& known, look_into into, Seen seen) {
        user_remains found;
        if (auto fault = list_experiments(found)) return failure{std::move(*fault)};
        trace_ids gone = known;
        std::unordered_map<std::string, who_is_named> sessions;
        std::map<std::string, user_remains::trace> loose; // without a user
        std::map<std::string, std::string> session_of;
        std::vector<std::pair<user_remains::trace, std::vector<std::string>>> derived; // with their source traces
        std::vector<user_remains::judgement> judged;
        std::set<std::string, std::less<>> mentioned;
        std::vector<std::string> others;     // whose spans the server cannot search
        std::vector<std::string> searchable; // whose spans it can search
        user_remains::progress at{"traces", 0, count_of(found.experiments)};
        seen(std::as_const(at));
        for (const std::string& experiment : found.experiments) {
            const auto done = server_.for_each_trace({.experiment_ids = {experiment}}, [&](const trace_info& trace) {
                if (++at.done % 500 == 0) seen(std::as_const(at));
                const bool is_theirs = trace.user() == id_ || gone.contains(trace.trace_id);
                user_remains::trace one{trace.trace_id, experiment,
                                        std::string(trace.tag("mlflow.artifactLocation"))};
                auto sources = detail::sources_of(trace);
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
                if (into == look_into::spans) (is_searchable(trace) ? searchable : others).push_back(trace.trace_id);
            });
            if (!done) return failure{done.error()};
        }
        if (into == look_into::spans) {
            const auto likely = detail::in_spans(server_, id_, std::move(searchable), found.experiments, seen);
            others.insert(others.end(), likely.begin(), likely.end());
            if (auto fault = look_at_spans(others, gone, mentioned, found.traces, seen))
                return failure{std::move(*fault)};
        }
        found.has_seen_spans = into == look_into::spans;
        std::vector<user_remains::trace> first; // found only through other traces, so deleted first
        for (auto& [id, trace] : loose) {
            if (gone.contains(id)) continue;
            const who_is_named& named = sessions[session_of[id]];
            if (!named.user) continue;
            if (named.others) {
                found.undecided.push_back(id);
            } else {
                gone.insert(id);
                first.push_back(std::move(trace));
            }
        }
        std::vector<user_remains::trace> made;
        for (bool is_more = true; std::exchange(is_more, false);) // an evaluation of records of an evaluation
            for (auto& [trace, sources] : derived)
                if (!gone.contains(trace.id) &&
                    std::any_of(sources.begin(), sources.end(), [&](const auto& id) { return gone.contains(id); })) {
                    gone.insert(trace.id);
                    made.push_back(trace);
                    is_more = true;
                }
        std::reverse(made.begin(), made.end());
        made.insert(made.end(), std::make_move_iterator(first.begin()), std::make_move_iterator(first.end()));
        found.traces.insert(found.traces.begin(), std::make_move_iterator(made.begin()),
                            std::make_move_iterator(made.end()));
        for (auto& one : judged)
            if (!gone.contains(one.trace_id)) found.assessments.push_back(std::move(one));
        for (const std::string& id : mentioned)
            if (!gone.contains(id)) found.mentions.push_back(id);
        if (auto fault = find_records(found, gone)) return failure{std::move(*fault)};
        return found;
    }

    /// Deletes what was found, the traces last. This cannot be undone.
    result<erased_remains> erase(const user_remains& found) {
        return erase(found, [](const auto&) {});
    }
    /// `seen(const user_remains::progress&)` is called after each request.
    template <class Seen>
    result<erased_remains> erase(const user_remains& found, Seen seen) {
        erased_ = {};
        if (auto fault = erase_records(found, seen)) return failure{std::move(*fault)};
        user_remains::progress at{"feedback", 0, found.assessments.size()};
        for (const auto& one : found.assessments) {
            const auto deleted = server_.delete_assessment(one.trace_id, one.id);
            if (!deleted && !detail::is_not_found(deleted.error().status())) return failure{deleted.error()};
            ++(deleted ? erased_.assessments : erased_.gone_before);
            ++at.done;
            seen(std::as_const(at));
        }
        if (auto fault = erase_artifacts(found, seen)) return failure{std::move(*fault)};
        if (auto fault = erase_traces(found, seen)) return failure{std::move(*fault)};
        return erased_;
    }
    /// What the last `erase` has deleted, also if it ended with an error.
    [[nodiscard]] const erased_remains& erased() const noexcept { return erased_; }

    /// The number of the user's traces that these experiments have now: those that arrived in the meantime.
    result<std::size_t> left(const std::vector<std::string>& experiments) {
        std::size_t count = 0;
        for (auto some = std::span(experiments); !some.empty(); some = some.subspan(std::min(at_once, some.size()))) {
            const auto part = some.first(std::min(at_once, some.size()));
            const auto found = server_.for_each_trace(
                {.where = where(field::metadata(user::name) == id_), .experiment_ids = {part.begin(), part.end()}},
                [&](const trace_info& trace) { count += trace.user() == id_ ? 1U : 0U; });
            if (!found) return found;
        }
        return count;
    }

private:
    struct who_is_named {
        bool user = false;
        bool others = false;
    };

    static constexpr std::size_t at_once = detail::experiments_at_once;

    // The number of traces, if the server reports it. Only for the progress.
    std::size_t count_of(const std::vector<std::string>& experiments) {
        if (experiments.empty()) return 0;
        const auto counted =
            server_.metrics({.metric = "trace_count", .aggregations = {{"COUNT"}}, .experiment_ids = experiments});
        double sum = 0;
        if (counted)
            for (const metric_point& one : *counted)
                for (const auto& [name, value] : one.values) sum += value;
        return sum > 0 && sum < 1e15 ? static_cast<std::size_t>(sum) : 0;
    }

    std::optional<error> list_experiments(user_remains& found) {
        detail::page_tokens seen;
        detail::json body{{"max_results", 1000}, {"view_type", "ALL"}};
        for (;;) {
            const auto told = server_.server_->call(http_method::post, "/api/2.0/mlflow/experiments/search", body);
            if (!told) return told.error();
            for (const auto& one : detail::member(*told, "experiments")) {
                found.experiments.push_back(detail::text_of(one, "experiment_id"));
                if (found.experiments.back().empty())
                    return server_.malformed("experiments", "an experiment without ID").error;
            }
            auto token = detail::text_of(*told, "next_page_token");
            if (token.empty() && found.experiments.empty())
                return error(error_kind::bad_reply, "experiments",
                             "the server lists none: use an account that can read all of them");
            if (token.empty()) return std::nullopt;
            if (seen.is_loop(token)) return server_.malformed("experiments", "a repeated page token").error;
            body["page_token"] = std::move(token);
        }
    }

    // Whether the server stores the spans where its search finds them.
    static bool is_searchable(const trace_info& trace) {
        return trace.tag("mlflow.trace.spansLocation") == "TRACKING_STORE";
    }

    // MLflow's metadata has the user of the first span that has one; other spans may have other users.
    template <class Seen>
    std::optional<error> look_at_spans(std::span<const std::string> ids, trace_ids& gone,
                                       std::set<std::string, std::less<>>& mentioned,
                                       std::vector<user_remains::trace>& found, Seen& seen) {
        user_remains::progress at{"spans of traces", 0, ids.size()};
        for (constexpr std::size_t most = 500; !ids.empty(); ids = ids.subspan(std::min(most, ids.size()))) {
            const auto traces = server_.get_all(ids.first(std::min(most, ids.size())));
            if (!traces) return traces.error();
            for (const stored_trace& one : *traces) {
                bool is_named = false;
                bool is_mentioned = false;
                for (const stored_span& span : one.spans) {
                    is_mentioned = is_mentioned || contains(span.name) || contains(span.status_message);
                    for (const auto& [key, value] : span.attributes) {
                        is_mentioned = is_mentioned || contains(value);
                        is_named = is_named || (key == "user.id" && written_.is_id(value));
                    }
                    for (const stored_span::event& event : span.events)
                        for (const auto& [key, value] : event.attributes)
                            is_mentioned = is_mentioned || contains(value);
                }
                if (is_mentioned) mentioned.insert(one.info.trace_id);
                if (is_named && gone.insert(one.info.trace_id).second)
                    found.push_back({one.info.trace_id, one.info.experiment_id,
                                     std::string(one.info.tag("mlflow.artifactLocation"))});
            }
            at.done += std::min(most, ids.size());
            seen(std::as_const(at));
        }
        return std::nullopt;
    }

    [[nodiscard]] bool contains(std::string_view text) const { return written_.stands_in(text); }
    [[nodiscard]] bool is_mentioned_in(const dataset_record& record) const {
        return contains(detail::dump({record.inputs, record.outputs, record.expectations, record.tags}));
    }
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
    // In any dataset of the server. A record made from several traces is included if one of them is the user's.
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
                else if (is_mentioned_in(record)) found.mentioning_records.push_back({one.id, record.id});
            });
            if (!done) return done.error();
        }
        return std::nullopt;
    }

    template <class Seen>
    std::optional<error> erase_records(const user_remains& found, Seen& seen) {
        datasets<Transport> data(server_);
        std::map<std::string, std::vector<std::string>> by_dataset;
        for (const auto& one : found.records) by_dataset[one.dataset_id].push_back(one.id);
        user_remains::progress at{"records", 0, found.records.size()};
        for (const auto& [dataset_id, ids] : by_dataset) {
            const auto deleted = data.delete_records(dataset_id, ids);
            if (!deleted && !detail::is_not_found(deleted.error().status())) return deleted.error();
            const std::size_t count = deleted ? std::min(*deleted, ids.size()) : 0;
            erased_.records += count;
            if (count < ids.size()) {
                std::size_t still = 0;
                const std::set<std::string, std::less<>> meant(ids.begin(), ids.end());
                const auto read = data.for_each_record(
                    dataset_id, [&](const dataset_record& one) { still += meant.contains(one.id) ? 1U : 0U; });
                if (!read && !detail::is_not_found(read.error().status())) return read.error();
                erased_.gone_before += ids.size() - count - std::min(still, ids.size() - count);
            }
            at.done += ids.size();
            seen(std::as_const(at));
        }
        return std::nullopt;
    }
    // Few traces have files, so the parent folders are listed first. If a folder cannot be listed, all are deleted.
    template <class Seen>
    std::optional<error> erase_artifacts(const user_remains& found, Seen& seen) {
        using named_paths =
            std::vector<std::pair<std::string, std::string>>; // name in the folder, and path of the files
        std::map<std::string, named_paths> folders;
        for (const auto& one : found.traces) {
            const auto path = detail::artifact_path(one.artifacts);
            const auto begin = path.rfind("/traces/");
            if (begin == path.npos) {
                ++erased_.artifacts_elsewhere;
                continue;
            }
            const auto name = begin + std::string_view("/traces/").size();
            folders[path.substr(0, name - 1)].emplace_back(path.substr(name, path.find('/', name) - name), path);
        }
        user_remains::progress at{"folders of files", 0, found.traces.size() - erased_.artifacts_elsewhere};
        for (const auto& [above, in] : folders) {
            const auto there = names_in(above);
            for (const auto& [name, path] : in) {
                ++at.done;
                if (there && !there->contains(name)) continue;
                const auto deleted =
                    server_.server_->call(http_method::delete_, "/api/2.0/mlflow-artifacts/artifacts" + path);
                if (!deleted && !detail::is_not_found(deleted.error().status())) return deleted.error();
                ++erased_.artifact_folders;
                seen(std::as_const(at));
            }
        }
        return std::nullopt;
    }

    // Empty if the folder cannot be listed. An object store has no folders, and lists a missing one as empty.
    std::optional<std::set<std::string, std::less<>>> names_in(const std::string& folder) {
        const auto told = server_.server_->call(http_method::get, "/api/2.0/mlflow-artifacts/artifacts?path=" +
                                                                      folder.substr(folder.find_first_not_of('/')));
        if (!told) return std::nullopt;
        std::set<std::string, std::less<>> names;
        const detail::json& files = detail::member(*told, "files");
        if (!files.is_array() && !files.is_null()) return std::nullopt;
        for (const auto& one : files) {
            const std::string path = detail::text_of(one, "path");
            if (path.empty()) return std::nullopt;
            names.insert(detail::percent_encoded(path.substr(path.rfind('/') + 1)));
        }
        return names;
    }

    template <class Seen>
    std::optional<error> erase_traces(const user_remains& found, Seen& seen) {
        constexpr std::size_t most = 100;
        user_remains::progress at{"deleted traces", 0, found.traces.size()};
        for (std::span<const user_remains::trace> all = found.traces; !all.empty();) {
            const std::string& experiment = all.front().experiment_id;
            std::vector<std::string> ids;
            for (const auto& one : all.first(std::min(most, all.size()))) {
                if (one.experiment_id != experiment) break;
                ids.push_back(one.id);
            }
            const auto deleted = server_.delete_traces(ids, experiment);
            if (!deleted) return deleted.error();
            erased_.traces += *deleted;
            if (*deleted < ids.size()) {
                std::size_t still = 0;
                const auto read =
                    server_.for_each_trace({.where = filter(clause{subject::trace_id, {}, comparison::in, ids}),
                                            .experiment_ids = {experiment}},
                                           [&](const trace_info&) { ++still; });
                if (!read) return read.error();
                erased_.gone_before += ids.size() - *deleted - std::min(still, ids.size() - *deleted);
            }
            all = all.subspan(ids.size());
            at.done += ids.size();
            seen(std::as_const(at));
        }
        return std::nullopt;
    }

    client<Transport>& server_;
    std::string id_;
    detail::written_id written_;
    erased_remains erased_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
