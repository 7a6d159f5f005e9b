// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "output.hpp"

#include <utility>

namespace commands {

struct export_options {
    std::string path;
    std::string format;
    bool is_exact = false;
};

// Rows are written as they come, into a file beside the one that is asked for: what ends early must not pass for the
// whole, nor take the place of what was there.
inline int export_traces(source& from, const mt::trace_query& query, export_options how) {
    const auto texts = how.is_exact ? mt::csv_texts::exact : mt::csv_texts::for_spreadsheets;
    if (how.format.empty())
        how.format = how.path.ends_with(".jsonl") || how.path.ends_with(".ndjson") ? "jsonl" : "csv";
    const bool as_csv = how.format == "csv";
    output::file out(how.path);
    if (as_csv) out.write(mt::csv_line(mt::trace_row({}), true, texts));
    const auto done =
        !out.fault().empty() ? mt::search_result(0) : from.for_each_trace(query, [&](const mt::trace_info& trace) {
            const auto row = mt::trace_row(trace);
            return out.write(as_csv ? mt::csv_line(row, false, texts) : mt::json_line(row));
        });
    if ((done || how.path.empty()) && out.finish() && done) return 0;
    if (!out.fault().empty()) return fail(out.fault());
    return fail(done.error().message() + (how.path.empty() ? "; what was written is not the whole" : ""));
}

inline command exported(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("export", "traces for data frames, as CSV or JSON Lines");
    const auto how = std::make_shared<export_options>();
    parser->add_option("--output", how->path, "file to write (default: standard output)")
        ->check(arguments::refuse_empty);
    parser->add_option("--format", how->format, "csv or jsonl (default: by the name of the file, else csv)")
        ->check(CLI::IsMember({"csv", "jsonl"}));
    parser->add_flag("--exact", how->is_exact,
                     "CSV for programs: no apostrophe before a text that a spreadsheet would take for a formula");
    return {parser, [&told, how](source& from) {
                const auto query = arguments::query_of(told);
                if (!told.json) return export_traces(from, query, *how);
                std::vector<json> all;
                const auto done = from.for_each_trace(
                    query, [&](const mt::trace_info& trace) { all.push_back(mt::trace_row(trace)); });
                return done ? print(from, std::move(all), told) : fail(done.error().message());
            }};
}

} // namespace commands
