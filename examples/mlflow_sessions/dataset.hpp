// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include <mlflow/trace/client/datasets.hpp>
#include <mlflow/trace/client/export.hpp>

#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <limits>
#include <map>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// mlflow_sessions dataset: evaluation datasets for `mlflow.genai.evaluate`, filled from recorded traces.
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

struct options {
    CLI::App* create{};
    CLI::App* list{};
    CLI::App* fill{};
    CLI::App* show{};
    std::string name{};
    std::string per = "turn";
    std::string feedback{};
    std::vector<std::string> tags{};
    std::vector<std::string> traces{};
};

inline std::string fault_of_tag(const std::string& tag) {
    return tag.find('=') > 0 && tag.find('=') != tag.npos ? "" : "not KEY=VALUE";
}
// Text that MLflow would store as other text, or that no terminal shows.
inline std::string fault_of_text(const std::string& text) {
    const auto fault = mt::detail::check_text("", text, text.size());
    return fault.kind() == mt::error_kind::invalid_utf8        ? "not UTF-8"
           : fault.kind() == mt::error_kind::control_character ? "has a control character"
                                                               : "";
}

inline mt::text_map tags_of(const std::vector<std::string>& given) {
    mt::text_map tags;
    for (const std::string& tag : given) {
        const auto at = tag.find('=');
        if (!tags.emplace(tag.substr(0, at), tag.substr(at + 1)).second)
            throw CLI::ValidationError("--tag", "gives " + tag.substr(0, at) + " twice");
    }
    return tags;
}

// The dataset with this name, or else with this ID.
inline mt::dataset find(datasets& data, const std::string& name) {
    const auto all = value_of(data.list());
    std::vector<mt::dataset> found;
    std::copy_if(all.begin(), all.end(), std::back_inserter(found),
                 [&](const auto& one) { return one.name == name; });
    if (found.empty())
        std::copy_if(all.begin(), all.end(), std::back_inserter(found),
                     [&](const auto& one) { return one.id == name; });
    if (found.size() == 1) return std::move(found.front());
    if (found.empty())
        throw std::runtime_error("dataset \"" + name + "\": does not exist in this experiment; create it first");
    std::string ids;
    for (const mt::dataset& one : found) ids += (ids.empty() ? "" : ", ") + one.id;
    throw std::runtime_error("dataset \"" + name +
                             "\": exists several times in this experiment; give the ID of one: " + ids);
}

inline std::vector<std::string> turns_of(arguments::server& server, mt::trace_query query, const options& how,
                                         std::size_t most) {
    std::vector<std::string> ids;
    if (!how.feedback.empty()) {
        for (const auto& trace : value_of(mt::worst_rated(server, how.feedback, most, query)))
            ids.push_back(trace.trace_id);
        return ids;
    }
    query.max_results = most;
    value_of(server.for_each_trace(query, [&](const mt::trace_info& trace) { ids.push_back(trace.trace_id); }));
    return ids;
}

// The sessions of the selected traces, in their order.
inline std::vector<std::string> sessions_of(arguments::server& server, const mt::trace_query& query,
                                            const options& how, std::size_t most) {
    std::vector<std::string> found;
    std::set<std::string, std::less<>> known;
    const auto take = [&](const mt::trace_info& trace) {
        if (!trace.session().empty() && found.size() < most && known.emplace(trace.session()).second)
            found.emplace_back(trace.session());
        return found.size() < most;
    };
    if (how.feedback.empty()) {
        value_of(server.for_each_trace(query, take));
        return found;
    }
    constexpr auto all = std::numeric_limits<std::size_t>::max();
    for (const auto& trace : value_of(mt::worst_rated(server, how.feedback, all, query))) take(trace);
    return found;
}

// The traces of --trace, each once. Throws if one is not stored.
inline std::vector<mt::trace_info> named_traces(arguments::server& server, const options& how) {
    std::vector<mt::trace_info> found;
    std::set<std::string> known;
    for (const std::string& id : how.traces)
        if (known.insert(id).second) found.push_back(value_of(server.get_info(id)));
    return found;
}

// The IDs of the turns or sessions to add.
inline std::vector<std::string> chosen(arguments::server& server, const arguments::common& told, const options& how) {
    const bool is_by_session = how.per == "session";
    const std::size_t most = told.limit > 0 ? told.limit : std::numeric_limits<std::size_t>::max();
    if (how.traces.empty())
        return is_by_session ? sessions_of(server, arguments::query_of(told), how, most)
                             : turns_of(server, arguments::query_of(told), how, most);
    std::vector<std::string> ids;
    for (const mt::trace_info& trace : named_traces(server, how)) {
        const std::string id = is_by_session ? std::string(trace.session()) : trace.trace_id;
        if (id.empty()) throw std::runtime_error("trace " + trace.trace_id + " has no session");
        if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    }
    return ids;
}

// Explains to people why nothing was chosen. Returns the exit code.
inline int explain_nothing(source& from, const arguments::common& told, const options& how) {
    const std::string rating = "rating named " + how.feedback;
    const bool is_by_session = how.per == "session" && how.feedback.empty();
    const auto why = diagnosis::nothing_found(from, told,
                                              !how.feedback.empty() ? rating.c_str()
                                              : is_by_session       ? "session"
                                                                    : "trace",
                                              is_by_session ? mt::session::name : std::string_view());
    const int status = commands::fail(why.text);
    return why.is_wrong_name ? status : 0;
}

inline json row_of_fill(const mt::dataset& into, const options& how, std::size_t count,
                        const mt::dataset_changes& all) {
    return {{"dataset", into.name},
            {how.per + "s", count},
            {"inserted", all.inserted},
            {"updated", all.updated},
            {"skipped", all.skipped}};
}

// Throws if the row that a change is going to print lacks one of the chosen columns.
inline void check_columns(const arguments::common& told, const json& row) {
    static_cast<void>(table::chosen(table::columns_of({row}), told.columns));
}

inline int fill(source& from, datasets& data, const arguments::common& told, const options& how) {
    if (!how.traces.empty())
        arguments::refuse(*how.fill, {"--user", "--session", "--since", "--until", "--filter", "--limit"},
                          "with --trace");
    else if (told.user.empty() && told.session.empty() && told.since.empty() && told.until.empty() &&
             told.filter.empty() && how.feedback.empty())
        throw CLI::ValidationError("dataset fill", "select traces with --trace, --user, --session, --since, --until, "
                                                   "--filter or --worst");
    const mt::dataset into = find(data, how.name);
    check_columns(told, row_of_fill(into, how, 0, {}));
    const auto ids = chosen(*from.server(), told, how);
    if (ids.empty())
        if (const int status = explain_nothing(from, told, how)) return status;
    mt::dataset_changes all;
    const auto add = [&](const mt::result<mt::dataset_changes>& more) {
        if (!more)
            throw std::runtime_error(more.error().message() + "; until then " +
                                     table::counted(all.inserted, "record") + " inserted and " +
                                     std::to_string(all.updated) + " updated; run it again");
        all.inserted += more->inserted;
        all.updated += more->updated;
        all.skipped += more->skipped;
    };
    if (how.per == "session") {
        for (const std::string& one : ids)
            add(data.add_session(into.id, std::string_view(one), mt::session_records::whole_session));
    } else {
        constexpr std::size_t most = 50; // as many as are read at once
        for (std::span<const std::string> rest = ids; !rest.empty(); rest = rest.subspan(std::min(most, rest.size())))
            add(data.add_traces(into.id, rest.first(std::min(most, rest.size()))));
    }
    return commands::print(from, {row_of_fill(into, how, ids.size(), all)}, told);
}

inline int run(source& from, const arguments::common& told, const options& how) {
    datasets data(*from.server());
    if (how.fill->parsed()) return fill(from, data, told, how);
    const CLI::App* const chosen = how.create->parsed() ? how.create : how.list->parsed() ? how.list : how.show;
    arguments::refuse(*chosen, {"--user", "--session", "--since", "--until", "--filter"},
                      "on dataset " + chosen->get_name());
    std::vector<json> rows;
    if (how.create->parsed()) {
        arguments::refuse(*how.create, {"--limit"}, "on dataset create");
        const mt::text_map tags = tags_of(how.tags);
        check_columns(told, row_of(mt::dataset{.id = "", .name = how.name, .tags = tags}));
        rows.push_back(row_of(value_of(data.create(how.name, tags))));
    } else if (how.list->parsed()) {
        for (const mt::dataset& one : value_of(data.list())) rows.push_back(row_of(one));
    } else {
        const mt::dataset of = find(data, how.name);
        value_of(data.for_each_record(of.id, [&](const auto& one) { rows.push_back(row_of(one)); }));
    }
    return commands::print(from, std::move(rows), told);
}

inline command add(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("dataset", "create and fill evaluation datasets");
    const auto how = std::make_shared<options>();
    parser->require_subcommand(0, 1);
    how->create = parser->add_subcommand("create", "create a dataset in the experiment");
    how->list = parser->add_subcommand("list", "list the datasets of the experiment, newest first");
    how->fill = parser->add_subcommand("fill", "add records made from traces, each with its source");
    how->show = parser->add_subcommand("show", "list the records of a dataset, oldest first");
    for (auto* const one : {how->create, how->fill, how->show})
        one->add_option("NAME", how->name, one == how->create ? "name of the dataset" : "name or ID of the dataset")
            ->required()
            ->check(arguments::refuse_empty);
    how->create->get_option("NAME")->check(fault_of_text);
    how->create->add_option("--tag", how->tags, "tag of the dataset, KEY=VALUE; may be repeated")
        ->check(fault_of_tag)
        ->check(fault_of_text);
    auto* const traces =
        how->fill->add_option("--trace", how->traces, "trace ID; may be repeated")->check(arguments::refuse_empty);
    how->fill->add_option("--per", how->per, "make one record per turn, or one per session")
        ->check(CLI::IsMember({"turn", "session"}))
        ->capture_default_str();
    how->fill->add_option("--worst", how->feedback, "only the turns rated worst in this feedback")
        ->check(arguments::refuse_empty)
        ->excludes(traces);
    for (auto* const one : {parser, how->create, how->list, how->fill, how->show}) one->fallthrough();
    return {parser, [&told, how](source& from) { return run(from, told, *how); }, {}, false};
}

} // namespace dataset
