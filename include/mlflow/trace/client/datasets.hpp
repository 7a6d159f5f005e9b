// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/dataset_records.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What became of records that were added.
struct dataset_changes {
    std::size_t inserted = 0;
    std::size_t updated = 0; ///< there was a record with the same inputs, which MLflow changes in its place
    std::size_t skipped = 0; ///< traces that are not stored, or whose root has no inputs
};

/// A session is one record for each of its turns, or one for all of it.
enum class session_records : bool { each_turn, whole_session };

/// The evaluation datasets of a server, version 3.4 or newer, which `mlflow.genai.evaluate` takes as they are:
/// `mt::datasets data(server);`. The client must outlive it.
///
/// A record is known by its inputs: another one with the same inputs takes the place of its outputs, and adds its
/// expectations and tags; its source stays. The tags of records made of traces have the IDs of all these traces.
/// Records do not name users.
///
/// Errors: as those of the client. Records go in requests of 100; after an error those of earlier requests are
/// stored, and all of them may be sent again. Thread-safety: that of its client.
template <class Transport>
class datasets {
public:
    using server = client<Transport>;
    template <class T>
    using answer = result<T>;
    using nothing = typename server::nothing;

    explicit datasets(server& of) noexcept : server_(of) {}

    /// Makes a dataset in the client's experiment. MLflow takes a name that another one has; this does not. Errors:
    /// that name, an empty one, and one over 255 characters.
    answer<dataset> create(std::string_view name, const text_map& tags = {}) {
        if (name.empty() || detail::scan_utf8(name).code_points > 255)
            return bad("name of a dataset", "give one of 1 to 255 characters");
        const auto others = list();
        if (!others) return failure{others.error()};
        if (std::any_of(others->begin(), others->end(), [&](const dataset& one) { return one.name == name; }))
            return bad("dataset \"" + std::string(name) + "\"",
                       "exists already in this experiment; fill that one, or give another name");
        const auto experiment = server_.experiment_id();
        if (!experiment) return failure{experiment.error()};
        const detail::json body{
            {"name", name}, {"experiment_ids", {*experiment}}, {"tags", detail::dump(detail::json(tags))}};
        return read(server_.server_->call(http_method::post, root + "create", body));
    }
    /// Those of the client's experiment, the newest first.
    answer<std::vector<dataset>> list() {
        auto experiment = server_.experiment_id();
        if (!experiment) return failure{experiment.error()};
        return list({std::move(*experiment)});
    }
    /// Those of these experiments; of none: of the whole server.
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
            if (seen.is_loop(token)) return malformed("a page token that loops");
            body["page_token"] = std::move(token);
        }
    }
    /// By its name, in the client's experiment. Errors: there is none, or there are several.
    answer<dataset> find(std::string_view name) {
        auto all = list();
        if (!all) return failure{all.error()};
        std::erase_if(*all, [&](const dataset& one) { return one.name != name; });
        if (all->size() == 1) return std::move(all->front());
        return bad("dataset \"" + std::string(name) + "\"",
                   all->empty() ? "does not exist in this experiment; create it first"
                                : "exists several times in this experiment; use one by its ID");
    }
    answer<dataset> get(std::string_view dataset_id) { return read(call(http_method::get, dataset_id, "")); }
    /// Deletes it with its records. One that does not exist is no error.
    answer<nothing> delete_dataset(std::string_view dataset_id) {
        return server::done(call(http_method::delete_, dataset_id, ""));
    }
    /// Adds and changes tags; the others stay.
    answer<nothing> set_tags(std::string_view dataset_id, const text_map& tags) {
        return server::done(
            call(http_method::patch, dataset_id, "/tags", {{"tags", detail::dump(detail::json(tags))}}));
    }
    answer<nothing> delete_tag(std::string_view dataset_id, std::string_view key) {
        if (auto wrong = detail::id_fault("key of a tag", key)) return failure{std::move(*wrong)};
        return server::done(call(http_method::delete_, dataset_id, "/tags/" + detail::percent_encoded(key)));
    }

    /// Adds records, or changes those that have the same inputs. Errors, before anything is sent: a record whose
    /// inputs are no object or empty, whose expectations are no object, or whose source has another type.
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
            const auto told = call(http_method::post, dataset_id, "/records", {{"records", detail::dump(list)}});
            if (!told) { // MLflow says of a dataset that is not there what its database says
                const auto into = get(dataset_id);
                return failure{into ? told.error() : into.error()};
            }
            all.inserted +=
                static_cast<std::size_t>(std::max<std::int64_t>(detail::integer_of(*told, "inserted_count"), 0));
            all.updated +=
                static_cast<std::size_t>(std::max<std::int64_t>(detail::integer_of(*told, "updated_count"), 0));
        }
        return all;
    }
    /// Calls `visit(const dataset_record&)` for each record, the oldest first, in pages of 1,000. It may return false
    /// to end that.
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
            if (!list || !list->is_array()) return malformed("records that are no list");
            for (const auto& one : *list) {
                ++visited;
                const dataset_record record = detail::read_record(one);
                if constexpr (std::is_invocable_r_v<bool, Visit&, const dataset_record&>) {
                    if (!visit(record)) return visited;
                } else {
                    visit(record);
                }
            }
            token = detail::text_of(*told, "next_page_token");
            if (token.empty()) return visited;
            if (seen.is_loop(token)) return malformed("a page token that loops");
        }
    }
    /// Deletes these records, and says how many there were.
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

    /// Adds a record for each of these traces: `record_of`. In steps of 50 traces, so that memory does not grow.
    answer<dataset_changes> add_traces(std::string_view dataset_id, std::span<const std::string> trace_ids) {
        dataset_changes all;
        for (constexpr std::size_t most = 50; !trace_ids.empty();
             trace_ids = trace_ids.subspan(std::min(most, trace_ids.size()))) {
            const auto some = trace_ids.first(std::min(most, trace_ids.size()));
            const auto traces = server_.get_all(some);
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
        const auto found =
            find_all(server_, {.where = field::session == whole, .order_by = {field::timestamp.ascending()}});
        if (!found) return failure{found.error()};
        std::vector<std::string> ids;
        for (const trace_info& one : *found) ids.push_back(one.trace_id);
        if (how == session_records::each_turn) return add_traces(dataset_id, ids);
        auto traces = server_.get_all(ids);
        if (!traces) return failure{traces.error()};
        const auto record = record_of_session(std::move(*traces));
        if (!record) return dataset_changes{.skipped = ids.size()};
        return upsert(dataset_id, {&*record, 1});
    }

private:
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
