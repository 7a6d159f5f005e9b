// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/datasets.hpp>

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

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
    /// Traces of others in which the ID stands as text. Those found by their spans are at most `most_mentions`.
    std::vector<std::string> mentions;
    bool has_more_mentions = false;
};

/// What was deleted.
struct erased_remains {
    std::size_t traces = 0;
    std::size_t assessments = 0;
    std::size_t records = 0;
    std::size_t artifact_folders = 0;    ///< asked for; one that is not there is no error
    std::size_t artifacts_elsewhere = 0; ///< traces whose files the server does not keep itself
};

/// Finds and deletes what a user left on a server, in all its experiments, also in those that are marked as deleted.
///
/// Of the user are: traces whose metadata name the user; those of which any span does (`user.id`), and those in
/// `known`; traces without a user in a session in which nobody else is named, as an evaluation records them; what the
/// user judged on other traces; and the records of datasets that were made of any of these.
///
/// Errors: as those of the client; after one, start again: what is done is not found any more. Memory grows with the
/// sessions, and with the traces that have a session and no user. Thread-safety: that of the client, which must
/// outlive it.
template <class Transport>
class user_erasure {
public:
    static constexpr std::size_t most_mentions = 500;

    user_erasure(client<Transport>& server, const user& who) : server_(server), id_(who.view()) {}

    /// Only reads. `known` are traces that files and spools say are the user's. `seen(std::size_t)` is told how many
    /// traces have been looked at.
    template <class Seen>
    result<user_remains> find(const trace_ids& known, Seen seen) {
        user_remains found;
        if (auto fault = list_experiments(found)) return failure{std::move(*fault)};
        trace_ids gone = known;
        std::unordered_map<std::string, who_is_named> sessions;
        std::map<std::string, user_remains::trace> loose; // without a user
        std::map<std::string, std::string> session_of;
        std::vector<user_remains::judgement> judged;
        std::set<std::string, std::less<>> mentioned;
        std::size_t count = 0;
        for (const std::string& experiment : found.experiments) {
            const auto spans = named_by_spans(experiment, gone);
            if (spans) return failure{*spans};
            const auto done = server_.for_each_trace({.experiment_ids = {experiment}}, [&](const trace_info& trace) {
                if (++count % 500 == 0) seen(count);
                const bool is_theirs = trace.user() == id_ || gone.contains(trace.trace_id);
                user_remains::trace one{trace.trace_id, experiment,
                                        std::string(trace.tag("mlflow.artifactLocation"))};
                if (!trace.session().empty()) {
                    auto& named = sessions[experiment + ' ' + std::string(trace.session())];
                    named.user = named.user || is_theirs;
                    named.others = named.others || (!is_theirs && !trace.user().empty());
                    if (!is_theirs && trace.user().empty()) {
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
            });
            if (!done) return failure{done.error()};
        }
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
        for (auto& one : judged)
            if (!gone.contains(one.trace_id)) found.assessments.push_back(std::move(one));
        for (const std::string& experiment : found.experiments)
            if (auto fault = mentioned_in_spans(experiment, gone, mentioned, found))
                return failure{std::move(*fault)};
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

    // What LIKE, which has no escapes, finds in the JSON of spans, where texts are JSON texts themselves: MLflow
    // writes letters beyond ASCII there as they are, or as \uXXXX.
    [[nodiscard]] std::vector<std::string> patterns() const {
        std::string as_it_is;
        std::string escaped;
        for (std::size_t at = 0; at < id_.size();) {
            const auto step = detail::decode_utf8(std::string_view(id_).substr(at));
            const std::string_view bytes = std::string_view(id_).substr(at, step.length);
            at += step.length;
            if (step.code_point < 0x80) {
                const char c = bytes[0];
                const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                      c == '-' || c == '.' || c == '@' || c == '_';
                const std::string one = is_plain ? std::string(1, c) : c == '"' || c == '\\' ? "%" : "_";
                as_it_is += one;
                escaped += one;
                continue;
            }
            as_it_is += bytes;
            const std::uint32_t over = step.code_point - 0x10000;
            if (step.code_point < 0x10000) escaped += "%u" + hex(step.code_point);
            else escaped += "%u" + hex(0xD800 + (over >> 10U)) + "%u" + hex(0xDC00 + (over & 0x3FFU));
        }
        return as_it_is == escaped ? std::vector{as_it_is} : std::vector{as_it_is, escaped};
    }
    static std::string hex(std::uint32_t number) {
        std::string digits;
        detail::append_hex_digits(digits, number, 4);
        return digits;
    }

    // Traces whose metadata may name somebody else, since MLflow takes the first span that names a user.
    std::optional<error> named_by_spans(const std::string& experiment, trace_ids& gone) {
        std::vector<std::string> ids;
        for (const std::string& pattern : patterns()) {
            const auto where = field::span_attribute("user.id").like(R"(: "_")" + pattern + R"(_"")");
            const auto found = server_.for_each_trace({.where = where, .experiment_ids = {experiment}},
                                                      [&](const trace_info& trace) {
                                                          if (trace.user() != id_ && !gone.contains(trace.trace_id))
                                                              ids.push_back(trace.trace_id);
                                                      });
            if (!found) return found.error();
        }
        return look_at(ids, [&](const stored_trace& trace) {
            for (const stored_span& span : trace.spans) {
                const auto value = detail::parse_json(detail::attribute_of(span, "user.id"));
                if (value && value->is_string() && value->template get<std::string>() == id_)
                    gone.insert(trace.info.trace_id);
            }
        });
    }

    template <class Look>
    std::optional<error> look_at(std::span<const std::string> ids, Look look) {
        for (constexpr std::size_t most = 50; !ids.empty(); ids = ids.subspan(std::min(most, ids.size()))) {
            const auto traces = server_.get_all(ids.first(std::min(most, ids.size())));
            if (!traces) return traces.error();
            for (const stored_trace& one : *traces) look(one);
        }
        return std::nullopt;
    }

    std::optional<error> mentioned_in_spans(const std::string& experiment, const trace_ids& gone,
                                            std::set<std::string, std::less<>>& mentioned, user_remains& found) {
        std::vector<std::string> ids;
        for (const std::string& pattern : patterns()) {
            const auto done = server_.for_each_trace(
                {.where = field::text.like("%" + pattern + "%"), .experiment_ids = {experiment}},
                [&](const trace_info& trace) {
                    if (!gone.contains(trace.trace_id) && !mentioned.contains(trace.trace_id))
                        ids.push_back(trace.trace_id);
                    found.has_more_mentions = found.has_more_mentions || ids.size() > most_mentions;
                    return ids.size() <= most_mentions;
                });
            if (!done) return done.error();
        }
        return look_at(ids, [&](const stored_trace& trace) {
            for (const stored_span& span : trace.spans)
                for (const auto& [key, value] : span.attributes)
                    if (contains(value)) mentioned.insert(trace.info.trace_id);
        });
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
    std::string id_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
