// SPDX-License-Identifier: Apache-2.0
// Who uses an application and how: users, sessions and feedback of an MLflow server or of a local trace file.
#include "arguments.hpp"
#include "dataset.hpp"
#include "forget.hpp"
#include "output.hpp"
#include "rows.hpp"
#include "table.hpp"

#include <cstddef>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

namespace {

// Says on a terminal how far long work is.
template <mt::trace_source Source>
class with_progress {
public:
    explicit with_progress(Source& source) : source_(source) {}
    ~with_progress() {
        if (shown_) std::cerr << "\r\033[K" << std::flush;
    }

    template <class Visit>
    mt::search_result for_each_trace(const mt::trace_query& query, Visit visit) {
        std::size_t count = 0;
        return source_.for_each_trace(query, [&](const mt::trace_info& trace) {
            if (++count % 500 == 0 && is_terminal_) {
                shown_ = true;
                std::cerr << "\r\033[K" << count << " traces…" << std::flush;
            }
            return mt::detail::wants_more(visit, trace);
        });
    }

private:
    Source& source_;
    bool is_terminal_ = table::is_terminal(STDERR_FILENO);
    bool shown_ = false;
};

int fail(const std::string& message) {
    std::cerr << "mlflow_sessions: " << table::harmless(message) << '\n';
    return 1;
}

int print(const std::vector<json>& rows, bool as_json) {
    if (as_json) {
        std::cout << '[';
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::string line = mt::json_line(rows[i]);
            line.pop_back();
            std::cout << (i == 0 ? "\n" : ",\n") << line;
        }
        std::cout << "\n]\n";
    } else {
        table::print(rows);
    }
    return std::cout.flush() ? 0 : fail("the output cannot be written");
}

template <class Found>
int print_found(const Found& found, bool as_json) {
    if (!found) return fail(found.error().message());
    std::vector<json> all;
    for (const auto& one : *found) all.push_back(rows::of(one));
    return print(all, as_json);
}

template <class Source>
int print_feedback(Source& source, const mt::trace_query& query, bool as_json) {
    std::vector<json> all;
    const auto done = source.for_each_trace(query, [&](const mt::trace_info& trace) {
        for (json& row : rows::feedback_of(trace)) all.push_back(std::move(row));
    });
    return done ? print(all, as_json) : fail(done.error().message());
}

// Rows are written as they come, into a file beside the one that is asked for: what ends early must not pass for the
// whole, nor take the place of what was there.
template <class Source>
int export_traces(Source& source, const mt::trace_query& query, const std::string& path, std::string format,
                  mt::csv_texts texts) {
    if (format.empty()) format = path.ends_with(".jsonl") || path.ends_with(".ndjson") ? "jsonl" : "csv";
    const bool as_csv = format == "csv";
    output::file out(path);
    if (as_csv) out.write(mt::csv_line(mt::trace_row({}), true, texts));
    const auto done =
        !out.fault().empty() ? mt::search_result(0) : source.for_each_trace(query, [&](const mt::trace_info& trace) {
            const auto row = mt::trace_row(trace);
            return out.write(as_csv ? mt::csv_line(row, false, texts) : mt::json_line(row));
        });
    if ((done || path.empty()) && out.finish() && done) return 0;
    if (!out.fault().empty()) return fail(out.fault());
    return fail(done.error().message() + (path.empty() ? "; what was written is not the whole" : ""));
}

int run(int argc, char** argv) {
    CLI::App app{"Users and sessions of a GenAI application, from MLflow or a trace file"};
    arguments::common told;
    arguments::add(app, told);
    app.require_subcommand(1);
    const auto* const users = app.add_subcommand("users", "what each user did");
    const auto* const sessions = app.add_subcommand("sessions", "each session, in the order in which they began");
    auto* const show = app.add_subcommand("show", "a session turn by turn");
    auto* const compare = app.add_subcommand("compare", "groups of traces side by side");
    const auto* const feedback = app.add_subcommand("feedback", "what was said about traces, spans and sessions");
    auto* const exported = app.add_subcommand("export", "traces for data frames, as CSV or JSON Lines");
    const dataset::command datasets(app);
    const forget::command forgotten(app);
    std::string shown;
    std::string key;
    std::string path;
    std::string format;
    bool is_exact = false;
    show->add_option("SESSION", shown, "ID of the session")->required();
    compare->add_option("--by", key, "metadata key: app.segment, app.version, …")
        ->required()
        ->check(arguments::refuse_empty);
    exported->add_option("--output", path, "file to write (default: standard output)")
        ->check(arguments::refuse_empty);
    exported->add_option("--format", format, "csv or jsonl (default: by the name of the file, else csv)")
        ->check(CLI::IsMember({"csv", "jsonl"}));
    exported->add_flag("--exact", is_exact,
                       "CSV for programs: no apostrophe before a text that a spreadsheet would take for a formula");
    for (auto* const command : app.get_subcommands({})) command->fallthrough();

    try {
        app.parse(argc, argv);
        if (datasets.parsed()) return datasets.run(told, print);
        if (forgotten.parsed()) return forgotten.run(told);
        const auto query = arguments::query_of(told);
        auto opened = arguments::open(told);
        const int status = std::visit(
            [&](auto& source) {
                with_progress watched(source);
                if (users->parsed()) return print_found(mt::summarise_users(watched, query), told.json);
                if (sessions->parsed()) return print_found(mt::summarise_sessions(watched, query), told.json);
                if (compare->parsed()) return print_found(mt::summarise_by(watched, key, query), told.json);
                if (feedback->parsed()) return print_feedback(watched, query, told.json);
                if (exported->parsed() && !told.json)
                    return export_traces(watched, query, path, format,
                                         is_exact ? mt::csv_texts::exact : mt::csv_texts::for_spreadsheets);
                if (exported->parsed()) {
                    std::vector<json> all;
                    const auto done = watched.for_each_trace(
                        query, [&](const mt::trace_info& trace) { all.push_back(mt::trace_row(trace)); });
                    return done ? print(all, true) : fail(done.error().message());
                }
                const auto whole = arguments::parse_key<mt::session>("SESSION", shown);
                return print_found(mt::session_flow(watched, whole, query), told.json);
            },
            opened);
        if (const auto* const file = std::get_if<mt::trace_file>(&opened); file && status == 0) {
            for (const auto& [count, what] : {std::pair{file->damaged_lines(), "damaged lines"},
                                              std::pair{file->other_lines(), "lines that hold no traces"},
                                              std::pair{file->damaged_spans(), "spans without IDs"}})
                if (count > 0)
                    std::cerr << "mlflow_sessions: " << count << ' ' << what
                              << " were passed over; what they held is not counted\n";
        }
        return status;
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return fail(error.what());
    }
}
