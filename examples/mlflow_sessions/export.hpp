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

inline std::string format_of(const export_options& how) {
    if (!how.format.empty()) return how.format;
    return how.path.ends_with(".jsonl") || how.path.ends_with(".ndjson") ? "jsonl" : "csv";
}

// Writes rows as they arrive into a temporary file next to the requested one, so that an incomplete export neither
// looks complete nor replaces an earlier file.
inline int export_traces(source& from, const mt::trace_query& query, const export_options& how) {
    const auto texts = how.is_exact ? mt::csv_texts::exact : mt::csv_texts::for_spreadsheets;
    const bool as_csv = format_of(how) == "csv";
    output::file out(how.path);
    if (as_csv) out.write(mt::csv_line(mt::trace_row({}), true, texts));
    const auto done =
        !out.fault().empty() ? mt::search_result(0) : from.for_each_trace(query, [&](const mt::trace_info& trace) {
            const auto row = mt::trace_row(trace);
            return out.write(as_csv ? mt::csv_line(row, false, texts) : mt::json_line(row));
        });
    if ((done || how.path.empty()) && out.finish() && done) return 0;
    if (!out.fault().empty()) return fail(out.fault());
    return fail(done.error().message() + (how.path.empty() ? "; the output is incomplete" : ""));
}

inline command exported(CLI::App& app, const arguments::common& told) {
    auto* const parser =
        app.add_subcommand("export", "export traces for data frames, as CSV or JSON Lines; of inputs and outputs the "
                                     "previews, up to 1,000 characters");
    const auto how = std::make_shared<export_options>();
    parser->add_option("--output", how->path, "output file (default: standard output)")
        ->check(arguments::refuse_empty);
    parser->add_option("--format", how->format, "csv or jsonl (default: by the extension of the output file, or csv)")
        ->check(CLI::IsMember({"csv", "jsonl"}));
    parser->add_flag(
        "--exact", how->is_exact,
        "CSV for programs: write texts that look like spreadsheet formulas without an apostrophe in front");
    return {parser,
            [parser, &told, how](source& from) {
                if (told.json) arguments::refuse(*parser, {"--output", "--format", "--exact"}, "with --json");
                if (format_of(*how) == "jsonl") arguments::refuse(*parser, {"--exact"}, "on JSON Lines");
                auto query = arguments::query_of(told);
                if (told.limit > 0) query.max_results = told.limit;
                if (!told.json) return export_traces(from, query, *how);
                std::vector<json> all;
                const auto done = from.for_each_trace(
                    query, [&](const mt::trace_info& trace) { all.push_back(mt::trace_row(trace)); });
                return done ? print(from, std::move(all), told) : fail(done.error().message());
            },
            {"--columns"}};
}

} // namespace commands
