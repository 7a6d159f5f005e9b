// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/dataset_records.hpp>
#include <mlflow/trace/detail/backoff.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The messages of SQLite, PostgreSQL, MySQL and SQL Server.
inline bool is_conflict(std::string_view message) {
    const std::string text = lower_ascii(message);
    return text.find("unique constraint") != text.npos || text.find("duplicate entry") != text.npos ||
           text.find("unique key") != text.npos || text.find("duplicate key") != text.npos;
}

inline bool is_utf8(std::string_view text) { return scan_utf8(text).invalid_at == text.npos; }

} // namespace detail

/// The effect of adding records.
struct dataset_changes {
    /// Records that are new.
    std::size_t inserted = 0;
    std::size_t updated = 0; ///< records with the same inputs as an existing one, which MLflow changes
    std::size_t skipped = 0; ///< traces that are not stored, or whose root span has no inputs
};

/// Whether `add_session` adds a record for each turn, or one for the whole session.
enum class session_records : bool { each_turn, whole_session };

/// The evaluation datasets of an MLflow server, version 3.4 or newer: `mt::datasets data(server);`.
/// `mlflow.genai.evaluate` can use them directly. The client must outlive this object.
///
/// MLflow identifies a record by its inputs. Adding one with the same inputs replaces its outputs, and adds its
/// expectations and tags; its source stays the same. Records made from traces have the IDs of these traces as tags.
/// They do not contain the user.
///
/// Errors: those of the client. Records are sent in requests of 100. After an error, the records of earlier requests
/// are stored, and all of them may be sent again.
///
/// Thread-safety: that of the client.
template <class Transport>
class datasets {
public:
    /// The client.
    using server = client<Transport>;
    /// What the calls return.
    template <class T>
    using answer = result<T>;
    /// The value of a call that has no other one.
    using nothing = typename server::nothing;

    /// Uses this client.
    explicit datasets(server& of) noexcept : server_(of) {}

    /// Creates a dataset in the client's experiment. Errors: the name exists already (MLflow would accept it), is
    /// empty or longer than 255 characters; a name or tag is not UTF-8. If several create a dataset of the same name
    /// at the same time, at most one succeeds; the others delete theirs again. This may take seconds.
    answer<dataset> create(std::string_view name, const text_map& tags = {}) {
        if (name.empty() || detail::scan_utf8(name).code_points > 255 || !detail::is_utf8(name))
            return bad("name of a dataset", "must have 1 to 255 characters, in UTF-8");
        if (const auto wrong = std::find_if(
                tags.begin(), tags.end(),
                [](const auto& tag) { return !detail::is_utf8(tag.first) || !detail::is_utf8(tag.second); });
            wrong != tags.end())
            return bad("tag \"" + wrong->first + "\"", "is not UTF-8");
        const auto experiment = server_.experiment_id();
        if (!experiment) return failure{experiment.error()};
        const detail::json body{
            {"name", name}, {"experiment_ids", {*experiment}}, {"tags", detail::dump(detail::json(tags))}};
        using clock = std::chrono::steady_clock;
        using milliseconds = std::chrono::milliseconds;
        const auto begin = clock::now();
        std::optional<detail::backoff> pause;
        constexpr int most = 10;
        for (int attempt = 1; attempt <= most; ++attempt) {
            const auto before = is_taken(name);
            if (!before) return failure{before.error()};
            if (*before)
                return bad("dataset \"" + std::string(name) + "\"",
                           attempt == 1 ? "already exists in this experiment; add to it, or choose another name"
                                        : "was created by another at the same time; fill that one");
            auto made = read(server_.server_->call(http_method::post, root + "create", body));
            if (!made) return made;
            const auto after = is_taken(name, made->id);
            if (after && !*after) return made;
            const auto deleted = delete_dataset(made->id);
            if (!after || !deleted) return failure{(after ? deleted.error() : after.error())};
            if (!pause) { // pauses shorter than an attempt would not keep two attempts apart
                const auto attempted = std::chrono::duration_cast<milliseconds>(clock::now() - begin);
                pause.emplace(std::max(milliseconds(50), 2 * attempted), std::max(milliseconds(2000), 8 * attempted));
            }
            std::this_thread::sleep_for(pause->next({}));
        }
        return bad("dataset \"" + std::string(name) + "\"",
                   "is being created by others; look for it, then try again");
    }
    /// The datasets of the client's experiment, newest first.
    answer<std::vector<dataset>> list() {
        auto experiment = server_.experiment_id();
        if (!experiment) return failure{experiment.error()};
        return list({std::move(*experiment)});
    }
    /// The datasets of these experiments; with an empty list, those of the whole server.
    answer<std::vector<dataset>> list(const std::vector<std::string>& experiment_ids) {
        std::vector<dataset> found;
        detail::page_tokens seen;
        detail::json body{{"max_results", 1000}, {"order_by", {"created_time DESC"}}};
        if (!experiment_ids.empty()) body["experiment_ids"] = experiment_ids;
        for (;;) {
            const auto told = server_.server_->call(http_method::post, root + "search", body);
            if (!told) return failure{told.error()};
            for (const auto& one : detail::member(*told, "datasets")) {
                auto read = detail::read_dataset(one);
                if (!read) return malformed("a dataset without ID");
                found.push_back(std::move(*read));
            }
            auto token = detail::text_of(*told, "next_page_token");
            if (token.empty()) return found;
            if (seen.is_loop(token)) return malformed("a repeated page token");
            body["page_token"] = std::move(token);
        }
    }
    /// The dataset with this name in the client's experiment. Errors: there is none, or more than one.
    answer<dataset> find(std::string_view name) {
        auto all = list();
        if (!all) return failure{all.error()};
        std::erase_if(*all, [&](const dataset& one) { return one.name != name; });
        if (all->size() == 1) return std::move(all->front());
        return bad("dataset \"" + std::string(name) + "\"",
                   all->empty() ? "does not exist in this experiment; create it first"
                                : "exists several times in this experiment; use one by its ID");
    }
    /// The dataset with this ID.
    answer<dataset> get(std::string_view dataset_id) { return read(call(http_method::get, dataset_id, "")); }
    /// Deletes a dataset with its records. It is not an error if the dataset does not exist.
    answer<nothing> delete_dataset(std::string_view dataset_id) {
        return server::done(call(http_method::delete_, dataset_id, ""));
    }
    /// Adds and changes tags. Other tags stay unchanged.
    answer<nothing> set_tags(std::string_view dataset_id, const text_map& tags) {
        return server::done(
            call(http_method::patch, dataset_id, "/tags", {{"tags", detail::dump(detail::json(tags))}}));
    }
    /// Deletes a tag.
    answer<nothing> delete_tag(std::string_view dataset_id, std::string_view key) {
        if (auto wrong = detail::id_fault("key of a tag", key)) return failure{std::move(*wrong)};
        return server::done(call(http_method::delete_, dataset_id, "/tags/" + detail::percent_encoded(key)));
    }

    /// Adds records, or changes those with the same inputs. Errors, found before anything is sent: inputs that are
    /// empty or not an object, expectations that are not an object, or an unknown type of source.
    answer<dataset_changes> upsert(std::string_view dataset_id, std::span<const dataset_record> records) {
        for (const dataset_record& one : records)
            if (const char* const fault = detail::fault_of(one))
                return bad("record " + std::to_string(&one - records.data()), fault);
        dataset_changes all;
        for (constexpr std::size_t most = 100; !records.empty();
             records = records.subspan(std::min(most, records.size()))) {
            auto list = detail::json::array();
            for (const dataset_record& one : records.first(std::min(most, records.size())))
                list.push_back(detail::record_body(one));
            const auto told = send_records(dataset_id, {{"records", detail::dump(list)}});
            if (!told) { // for an unknown dataset, MLflow responds with an error of its database
                const auto into = get(dataset_id);
                return failure{into ? told.error() : into.error()};
            }
            const auto inserted = detail::integer_of(*told, "inserted_count");
            const auto updated = detail::integer_of(*told, "updated_count");
            if (inserted < 0 || updated < 0 || inserted + updated == 0)
                return malformed("no count of inserted and updated records");
            all.inserted += static_cast<std::size_t>(inserted);
            all.updated += static_cast<std::size_t>(updated);
        }
        return all;
    }
    /// Calls `visit(const dataset_record&)` for each record, oldest first, in pages of 1,000. It may return false to
    /// stop.
    template <class Visit>
    [[nodiscard]] search_result for_each_record(std::string_view dataset_id, Visit visit) {
        std::size_t visited = 0;
        detail::page_tokens seen;
        for (std::string token;;) {
            const auto told = call(http_method::get, dataset_id,
                                   "/records?max_results=1000" +
                                       (token.empty() ? "" : "&page_token=" + detail::percent_encoded(token)));
            if (!told) return failure{told.error()};
            const auto list = detail::parse_json(detail::text_of(*told, "records"));
            if (!list || !list->is_array()) return malformed("records that are not a list");
            for (const auto& one : *list) {
                ++visited;
                const dataset_record record = detail::read_record(one);
                if (record.id.empty()) return malformed("a record without ID");
                if constexpr (std::is_invocable_r_v<bool, Visit&, const dataset_record&>) {
                    if (!visit(record)) return visited;
                } else {
                    visit(record);
                }
            }
            token = detail::text_of(*told, "next_page_token");
            if (token.empty()) return visited;
            if (seen.is_loop(token)) return malformed("a repeated page token");
        }
    }
    /// Deletes records. Returns how many existed.
    answer<std::size_t> delete_records(std::string_view dataset_id, std::span<const std::string> record_ids) {
        std::size_t deleted = 0;
        for (constexpr std::size_t most = 100; !record_ids.empty();
             record_ids = record_ids.subspan(std::min(most, record_ids.size()))) {
            const auto some = record_ids.first(std::min(most, record_ids.size()));
            const auto told = call(http_method::delete_, dataset_id, "/records",
                                   {{"dataset_record_ids", std::vector<std::string>(some.begin(), some.end())}});
            if (!told) return failure{told.error()};
            deleted +=
                static_cast<std::size_t>(std::max<std::int64_t>(detail::integer_of(*told, "deleted_count"), 0));
        }
        return deleted;
    }

    /// `client::get_all`: the traces with these IDs that are stored, with their spans.
    answer<std::vector<stored_trace>> get_traces(std::span<const std::string> trace_ids) {
        return server_.get_all(trace_ids);
    }

    /// Adds a record for each of these traces; see `record_of`. Reads 50 traces at a time, to limit memory.
    answer<dataset_changes> add_traces(std::string_view dataset_id, std::span<const std::string> trace_ids) {
        dataset_changes all;
        for (constexpr std::size_t most = 50; !trace_ids.empty();
             trace_ids = trace_ids.subspan(std::min(most, trace_ids.size()))) {
            const auto some = trace_ids.first(std::min(most, trace_ids.size()));
            const auto traces = get_traces(some);
            if (!traces) return failure{traces.error()};
            std::vector<dataset_record> records;
            for (const stored_trace& one : *traces)
                if (auto record = record_of(one)) records.push_back(std::move(*record));
            const auto changes = upsert(dataset_id, records);
            if (!changes) return changes;
            all.inserted += changes->inserted;
            all.updated += changes->updated;
            all.skipped += some.size() - records.size();
        }
        return all;
    }
    /// Adds a session of the client's experiment: a record for each turn, or one for the whole (`record_of_session`).
    answer<dataset_changes> add_session(std::string_view dataset_id, const session& whole,
                                        session_records how = session_records::each_turn) {
        return add_session(dataset_id, whole.view(), how);
    }
    /// The same for any text, such as a session ID with control characters, which other programs can record.
    answer<dataset_changes> add_session(std::string_view dataset_id, std::string_view session_id,
                                        session_records how = session_records::each_turn) {
        std::vector<std::string> ids;
        const auto found = server_.for_each_trace({.where = where(field::metadata(session::name) == session_id),
                                                   .order_by = {field::timestamp.ascending()}},
                                                  [&](const trace_info& one) {
                                                      if (one.session() == session_id) ids.push_back(one.trace_id);
                                                  });
        if (!found) return failure{found.error()};
        if (how == session_records::each_turn) return add_traces(dataset_id, ids);
        auto traces = get_traces(ids);
        if (!traces) return failure{traces.error()};
        const auto record = record_of_session(std::move(*traces));
        if (!record) return dataset_changes{.skipped = ids.size()};
        return upsert(dataset_id, {&*record, 1});
    }

private:
    // Whether the client's experiment has a dataset of this name other than `mine`. MLflow lists a dataset only after
    // its commit, and its time is that before. So a dataset is kept only if there is no other, not if it is the
    // earliest: of two that are kept, the one listed later would have shown the other.
    answer<bool> is_taken(std::string_view name, std::string_view mine = {}) {
        const auto all = list();
        if (!all) return failure{all.error()};
        return std::any_of(all->begin(), all->end(),
                           [&](const dataset& one) { return one.name == name && one.id != mine; });
    }

    // MLflow rejects the whole request if another one inserts one of its records at the same time. Sent again, it
    // changes that record.
    detail::json_result send_records(std::string_view dataset_id, const detail::json& body) {
        constexpr int most = 20;
        for (int attempt = 1;; ++attempt) {
            auto told = call(http_method::post, dataset_id, "/records", body);
            if (told || attempt == most || !detail::is_conflict(told.error().message())) return told;
        }
    }

    static inline const std::string root = "/api/3.0/mlflow/datasets/";

    static failure bad(std::string_view what, std::string_view why) {
        return failure{error(error_kind::bad_request, what, why)};
    }
    failure malformed(std::string_view what) const { return server_.malformed(root, what); }
    detail::json_result call(http_method method, std::string_view dataset_id, const std::string& what,
                             const detail::json& body = nullptr) {
        if (auto wrong = detail::id_fault("dataset_id", dataset_id)) return failure{std::move(*wrong)};
        return server_.server_->call(method, root + detail::percent_encoded(dataset_id) + what, body);
    }
    answer<dataset> read(const detail::json_result& told) const {
        if (!told) return failure{told.error()};
        auto found = detail::read_dataset(detail::member(*told, "dataset"));
        if (!found) return malformed("no dataset");
        return std::move(*found);
    }

    server& server_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
