// SPDX-License-Identifier: Apache-2.0
// Shows and checks the files of a spool directory, and forwards them to an MLflow server.
#include "../mlflow_sessions/generated.hpp"
#include "../mlflow_sessions/no_command.hpp"
#include "../mlflow_sessions/table.hpp"
#include "arguments.hpp"
#include <mlflow/trace/spool/folder.hpp>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

namespace mt = mlflow::trace;
using row = nlohmann::ordered_json;
using steady = std::chrono::steady_clock;

namespace {

int fail(const std::string& message) {
    std::cerr << "mlflow_spool: " << table::harmless(message) << '\n';
    return 1;
}

int print(const std::vector<row>& rows, bool as_json) {
    if (as_json)
        std::cout << mt::detail::escaped_json(row(rows).dump(1, ' ', false, row::error_handler_t::replace)) << '\n';
    else table::print(rows);
    return std::cout.flush() ? 0 : fail("the output cannot be written");
}

const char* state_of(const mt::spool_file& file) {
    return file.is_rejected ? "rejected" : file.is_in_use ? "in use" : "waiting";
}

row row_of(const mt::spool_file& file, const mt::trace_data& trace) {
    const auto text = [&trace](mt::entry_kind kind, std::string_view key) {
        const auto value = trace.entries.find(kind, key);
        return value.data() ? row(value) : row();
    };
    const auto decoded = mt::decode(trace);
    return {{"trace_id", trace.id.mlflow_id().view()},
            {"timestamp", mt::detail::rfc3339(trace.start_unix_nano)},
            {"state", state_of(file)},
            {"name", decoded.spans.at(0).name},
            {"user", text(mt::entry_kind::metadata, mt::user::name)},
            {"session", text(mt::entry_kind::metadata, mt::session::name)},
            {"request_id", text(mt::entry_kind::client_request_id, "client_request_id")},
            {"spans", trace.span_count},
            {"bytes", trace.bytes}};
}

int show(const std::string& folder, bool as_json) {
    const auto files = mt::list_spool(folder);
    if (!files) return fail(files.error().message());
    std::vector<row> rows;
    for (const mt::spool_file& file : *files) {
        const auto read =
            mt::for_each_trace(file, [&](const mt::trace_data& trace) { rows.push_back(row_of(file, trace)); });
        if (!read) return fail(read.error().message());
    }
    return print(rows, as_json);
}

// A file in use may end with a record that is still being written.
int check(const std::string& folder, bool as_json) {
    const auto files = mt::list_spool(folder);
    if (!files) return fail(files.error().message());
    std::vector<row> rows;
    std::uint64_t damaged = 0;
    for (const mt::spool_file& file : *files) {
        std::uint64_t traces = 0;
        std::uint64_t spans = 0;
        const auto read = mt::for_each_trace(file, [&](const mt::trace_data& trace) {
            ++traces;
            spans += trace.span_count;
        });
        if (!read) return fail(read.error().message());
        if (!file.is_in_use) damaged += read->places;
        rows.push_back({{"file", file.path.substr(folder.size() + 1)},
                        {"state", state_of(file)},
                        {"bytes", file.bytes},
                        {"traces", traces},
                        {"spans", spans},
                        {"damaged_places", read->places},
                        {"damaged_bytes", read->bytes}});
    }
    if (const int status = print(rows, as_json)) return status;
    return damaged == 0 ? 0 : fail(table::counted(damaged, "damaged place") + "; all other records are intact");
}

// The spans that can be forwarded; files in use by other processes are left out.
std::uint64_t waiting_spans(const std::vector<mt::spool_file>& files, bool with_rejected) {
    std::uint64_t spans = 0;
    for (const mt::spool_file& file : files)
        if (!file.is_in_use && (with_rejected || !file.is_rejected))
            static_cast<void>(
                mt::for_each_trace(file, [&](const mt::trace_data& trace) { spans += trace.span_count; }));
    return spans;
}

int forward(const arguments::values& told) {
    const auto files = mt::list_spool(told.folder);
    if (!files) return fail(files.error().message());
    if (const auto fault = mt::detail::folder_fault(told.folder)) return fail(fault.message());
    const std::uint64_t all = waiting_spans(*files, told.with_rejected);
    // Checks the server and the experiment before any file is changed.
    arguments::to_mlflow server(arguments::receiver(told));
    if (const auto connected = server.connect(); !connected) {
        const mt::error& why = connected.error();
        const bool is_away = why.kind() == mt::error_kind::connect || why.kind() == mt::error_kind::timeout;
        return fail((is_away ? "no response from the MLflow server " + told.tracking_uri + ": " : "") +
                    why.message());
    }
    if (told.with_rejected)
        for (const mt::spool_file& file : *files)
            if (file.is_rejected && !mt::forward_again(file)) return fail(file.path + ": in use, or not writable");

    mt::spool<arguments::to_mlflow> spool({.exporter = arguments::receiver(told), .folder = told.folder});
    const bool is_watched = table::is_terminal(STDERR_FILENO);
    const auto moved = [&spool] { return spool.status().recovered_spans + spool.status().rejected_spans; };
    const auto progress = [&] { return moved() + spool.status().progress; };
    bool is_done = false;
    std::uint64_t before = 0;
    for (auto last_move = steady::now();
         !is_done && steady::now() - last_move < std::chrono::seconds(told.give_up_after);) {
        is_done = spool.recover(steady::now() + std::chrono::milliseconds(200));
        if (const auto now = progress(); now != std::exchange(before, now)) last_move = steady::now();
        if (is_watched)
            std::cerr << "\r\033[K" << moved() << " of " << table::counted(all, "span") << "…" << std::flush;
    }
    if (is_watched) std::cerr << "\r\033[K" << std::flush;
    const auto status = spool.status();
    std::cout << table::counted(status.recovered_spans, "span") << " forwarded, " << status.rejected_spans
              << " rejected\n";
    if (status.damaged_places > 0)
        std::cerr << "mlflow_spool: " << table::counted(status.damaged_places, "damaged place")
                  << (status.damaged_places == 1 ? " was" : " were") << " skipped\n";
    return is_done && status.rejected_spans == 0 ? 0 : fail(spool.last_error().message());
}

int run(int argc, char** argv) {
    CLI::App app{"inspect a spool folder, and deliver its traces to MLflow", "mlflow_spool"};
    generated::add(app, MLFLOW_TRACE_VERSION);
    app.require_subcommand(0, 1);
    arguments::values told;
    auto* const shown = app.add_subcommand("show", "list the traces, oldest first");
    auto* const checked = app.add_subcommand("check", "check each file; exit with 1 if one is damaged");
    auto* const forwarded = app.add_subcommand("forward", "deliver traces left behind by processes that have ended");
    for (auto* const command : {shown, checked, forwarded}) arguments::add_folder(*command, told);
    for (auto* const command : {shown, checked}) arguments::add_output(*command, told);
    arguments::add_receiver(*forwarded, told);
    try {
        generated::parse(app, argc, argv);
        while (told.folder.size() > 1 && told.folder.ends_with('/')) told.folder.pop_back();
        if (shown->parsed()) return show(told.folder, told.json);
        if (checked->parsed()) return check(told.folder, told.json);
        return forward(told);
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const generated::output& wanted) {
        std::cout << wanted.text;
        return std::cout.flush() ? 0 : fail("the output cannot be written");
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
