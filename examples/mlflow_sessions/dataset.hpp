// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include <mlflow/trace/client/datasets.hpp>
#include <mlflow/trace/client/export.hpp>

#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <cstddef>
#include <limits>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// mlflow_sessions dataset: sets of records for `mlflow.genai.evaluate`, filled from what users did.
namespace dataset {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;
using datasets = mt::datasets<mt::beast_transport>;

template <class T>
T value_of(mt::result<T> found) {
    if (!found) throw std::runtime_error(found.error().message());
    return std::move(*found);
}

inline json row_of(const mt::dataset& one) {
    return {{"name", one.name},
            {"dataset_id", one.id},
            {"records", one.records},
            {"created", mt::to_string(one.created)},
            {"updated", mt::to_string(one.last_update)},
            {"tags", json(one.tags)}};
}

inline json row_of(const mt::dataset_record& one) {
    const auto text = [](const std::string& value) { return value.empty() ? json() : json(value); };
    return {{"record_id", one.id},
            {"inputs", json(one.inputs)},
            {"outputs", json(one.outputs)},
            {"expectations", json(one.expectations)},
            {"source", text(one.source.type)},
            {"trace_id", text(one.source.trace_id)},
            {"session", text(one.source.session_id)}};
}

class command {
public:
    explicit command(CLI::App& app) : command_(app.add_subcommand("dataset", "sets of records to evaluate with")) {
        command_->require_subcommand(1);
        create_ = command_->add_subcommand("create", "make a dataset in the experiment");
        list_ = command_->add_subcommand("list", "those of the experiment, the newest first");
        fill_ = command_->add_subcommand("fill", "add records from traces, each with its source");
        show_ = command_->add_subcommand("show", "the records, the oldest first");
        for (auto* const one : {create_, fill_, show_})
            one->add_option("NAME", name_, "of the dataset")->required()->check(arguments::refuse_empty);
        create_->add_option("--tag", tags_, "KEY=VALUE; may be given several times")
            ->check([](const std::string& tag) {
                return tag.find('=') > 0 && tag.find('=') != tag.npos ? "" : "not KEY=VALUE";
            });
        fill_->add_option("--trace", traces_, "ID of a trace; may be given several times")
            ->check(arguments::refuse_empty);
        fill_->add_option("--per", per_, "a record for each turn, or one for the whole session")
            ->check(CLI::IsMember({"turn", "session"}))
            ->capture_default_str();
        auto* const worst = fill_->add_option("--worst", feedback_, "only the worst-rated turns, by this feedback")
                                ->check(arguments::refuse_empty);
        fill_->add_option("--limit", limit_, "at most so many turns or sessions")->check(CLI::PositiveNumber);
        worst->excludes("--trace");
        for (auto* const one : {command_, create_, list_, fill_, show_}) one->fallthrough();
    }
    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    // `print` is told the rows.
    template <class Print>
    int run(const arguments::common& told, const Print& print) const {
        auto opened = arguments::open(told);
        auto* const server = std::get_if<arguments::server>(&opened);
        if (!server)
            throw std::runtime_error("datasets are kept by an MLflow server: give its URL as --tracking-uri");
        datasets data(*server);
        std::vector<json> rows;
        if (create_->parsed()) {
            mt::text_map tags;
            for (const std::string& tag : tags_) tags[tag.substr(0, tag.find('='))] = tag.substr(tag.find('=') + 1);
            rows.push_back(row_of(value_of(data.create(name_, tags))));
        } else if (list_->parsed()) {
            for (const mt::dataset& one : value_of(data.list())) rows.push_back(row_of(one));
        } else {
            const mt::dataset into = value_of(data.find(name_));
            if (show_->parsed())
                value_of(data.for_each_record(into.id, [&](const auto& one) { rows.push_back(row_of(one)); }));
            else rows.push_back(fill(*server, data, into, told));
        }
        return print(std::move(rows));
    }

private:
    json fill(arguments::server& server, datasets& data, const mt::dataset& into,
              const arguments::common& told) const {
        auto query = arguments::query_of(told);
        const bool is_chosen = !told.user.empty() || !told.session.empty() || !told.since.empty() ||
                               !told.filter.empty() || !feedback_.empty();
        if (traces_.empty() == !is_chosen)
            throw CLI::ValidationError("dataset fill", is_chosen ? "--trace chooses already; leave the others out"
                                                                 : "say which traces: --trace, --user, --session, "
                                                                   "--since, --filter or --worst");
        mt::dataset_changes all;
        std::size_t chosen = 0;
        const auto add = [&](const mt::result<mt::dataset_changes>& more) {
            if (!more) throw std::runtime_error(more.error().message());
            all.inserted += more->inserted;
            all.updated += more->updated;
            all.skipped += more->skipped;
        };
        if (per_ == "session") {
            const auto sessions = sessions_of(server, query);
            for (const std::string& one : sessions)
                add(data.add_session(into.id, arguments::parse_key<mt::session>("session", one),
                                     mt::session_records::whole_session));
            chosen = sessions.size();
        } else {
            const auto ids = turns_of(server, query);
            add(data.add_traces(into.id, ids));
            chosen = ids.size();
        }
        return {{"dataset", into.name},
                {per_ + "s", chosen},
                {"inserted", all.inserted},
                {"updated", all.updated},
                {"skipped", all.skipped}};
    }

    std::vector<std::string> turns_of(arguments::server& server, mt::trace_query& query) const {
        if (!traces_.empty()) return traces_;
        std::vector<std::string> ids;
        const auto take = [&](const mt::trace_info& trace) { ids.push_back(trace.trace_id); };
        if (!feedback_.empty()) {
            for (const auto& trace : value_of(mt::worst_rated(server, feedback_, limit_, query))) take(trace);
        } else {
            query.max_results = limit_;
            value_of(server.for_each_trace(query, take));
        }
        return ids;
    }

    // Of the traces that were chosen, in their order.
    std::vector<std::string> sessions_of(arguments::server& server, mt::trace_query& query) const {
        std::vector<std::string> found;
        std::set<std::string, std::less<>> known;
        const auto take = [&](const mt::trace_info& trace) {
            if (!trace.session().empty() && found.size() < limit_ && known.emplace(trace.session()).second)
                found.emplace_back(trace.session());
            return found.size() < limit_;
        };
        if (!feedback_.empty()) {
            constexpr auto all = std::numeric_limits<std::size_t>::max();
            for (const auto& trace : value_of(mt::worst_rated(server, feedback_, all, query))) take(trace);
        } else if (traces_.empty()) {
            value_of(server.for_each_trace(query, take));
        }
        for (const std::string& id : traces_) take(value_of(server.get_info(id)));
        return found;
    }

    CLI::App* command_;
    CLI::App* create_;
    CLI::App* list_;
    CLI::App* fill_;
    CLI::App* show_;
    std::string name_;
    std::string per_ = "turn";
    std::string feedback_;
    std::vector<std::string> tags_;
    std::vector<std::string> traces_;
    std::size_t limit_ = std::numeric_limits<std::size_t>::max();
};

} // namespace dataset
