// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include "table.hpp"
#include <mlflow/trace/client/erasure.hpp>
#include <mlflow/trace/client/export.hpp>
#include <mlflow/trace/client/file_erasure.hpp>
#include <mlflow/trace/spool/erasure.hpp>
#if defined(MLFLOW_SESSIONS_READS_GZIP)
#include <mlflow/trace/client/gzip_packing.hpp>
#endif

#include <nlohmann/json.hpp>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// mlflow_sessions forget: what a user left on a server, in spools and in files, listed or deleted, and a receipt.
namespace forget {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

// What no program can reach from here.
inline const std::vector<std::string> beyond_reach = {
    "logs of the server and of what stands before it, such as proxies",
    "backups, replicas and snapshots; blocks that a file system has freed but not overwritten",
    "receivers other than this server, such as an OpenTelemetry Collector and what is behind it",
    "exports, reports and notebooks made of these traces, and artifacts of evaluation runs",
    "SQLite without secure_delete: free pages of the database until VACUUM (Debian's SQLite has it and overwrites)",
    "PostgreSQL: deleted rows until VACUUM; its write-ahead log until it is recycled after a checkpoint, and "
    "archives "
    "of that log",
    "what processes record of the user from now on",
};

class command {
public:
    explicit command(CLI::App& app)
        : command_(
              app.add_subcommand("forget", "delete what a user left: lists it; --yes deletes and gives a receipt")) {
        command_
            ->add_option("--spool", spools_,
                         "folder of a spool, with its *.rejected files; may be given several times")
            ->check(CLI::ExistingDirectory);
        command_->add_option("--file", files_, "file of OTLP JSON lines, plain or gzip; may be given several times")
            ->check(CLI::ExistingFile);
        command_->add_flag(
            "--spans", with_spans_,
            "also look for the user in the spans of all other traces of the server, which takes longer");
        command_->add_flag("--no-server", no_server_, "only spools and files");
        command_->add_flag("--yes", is_sure_, "delete; this cannot be undone");
        command_->fallthrough();
    }
    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    int run(const arguments::common& told) const {
        if (told.user.empty()) throw CLI::ValidationError("forget", "say whom: --user ID");
        if (!told.session.empty() || !told.since.empty() || !told.filter.empty())
            throw CLI::ValidationError("forget",
                                       "takes all that the user left; leave --session, --since and --filter out");
        const auto who = arguments::parse_key<mt::user>("--user", told.user);
        std::optional<arguments::source> opened;
        std::vector<std::string> files = files_;
        if (!no_server_) opened = arguments::open(told);
        auto* const server = opened ? std::get_if<arguments::server>(&*opened) : nullptr;
        if (opened && !server) files.push_back(file_of(told.tracking_uri));
        if (!server && files.empty() && spools_.empty())
            throw CLI::ValidationError("forget", "--no-server leaves nothing: give --spool or --file");
        receipt told_of{who, is_sure_};
        job work{who, is_sure_, told_of, with_spans_ ? mt::look_into::spans : mt::look_into::traces};
        for (const std::string& path : files) work.collect_file(path);
        for (const std::string& folder : spools_) work.collect_spool(folder);
        std::optional<mt::user_remains> remains;
        if (server) remains = work.collect_server(*server, told.tracking_uri);
        // Spools first, so that nothing is delivered again; the server last, since it tells which traces there are.
        for (const std::string& folder : spools_) work.empty_spool(folder);
        for (const std::string& path : files) work.empty_file(path);
        if (remains) work.empty_server(*server, told.tracking_uri, *remains);
        told_of.print(told.json);
        return told_of.is_complete() ? 0 : 1;
    }

private:
    static std::string file_of(const std::string& uri) { return uri.starts_with("file://") ? uri.substr(7) : uri; }

    class receipt {
    public:
        receipt(const mt::user& who, bool is_sure) : user_(who.view()), is_sure_(is_sure) {}

        void add(const std::string& place, const char* what, std::size_t found, std::size_t deleted) {
            if (found > 0 || deleted > 0)
                rows_.push_back({{"place", place}, {"what", what}, {"found", found}, {"deleted", deleted}});
            is_complete_ = is_complete_ && (!is_sure_ || found <= deleted);
        }
        void fault(const std::string& why) {
            faults_.push_back(why);
            is_complete_ = false;
        }
        void note(std::string said) { notes_.push_back(std::move(said)); }
        json& details() { return details_; }
        [[nodiscard]] bool is_complete() const noexcept { return is_complete_; }

        void print(bool as_json) const {
            const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
            if (as_json) {
                json all{{"user", user_},           {"time", mt::to_string(now)},
                         {"is_dry_run", !is_sure_}, {"complete", is_complete_},
                         {"places", rows_},         {"faults", faults_},
                         {"notes", notes_},         {"beyond_reach", beyond_reach}};
                all.update(details_);
                std::cout << mt::json_line(all);
            } else {
                if (rows_.empty()) std::cout << "nothing found of " << table::harmless(user_) << '\n';
                else table::print(rows_);
                const auto list = [](const char* head, const auto& lines) {
                    if (!lines.empty()) std::cout << '\n' << head << '\n';
                    for (const std::string& line : lines) std::cout << "  " << table::harmless(line) << '\n';
                };
                list("not done:", faults_);
                list("note:", notes_);
                list("not reached from here:", beyond_reach);
                std::cout << '\n'
                          << (!is_sure_      ? "nothing was deleted; --yes deletes what is listed"
                              : is_complete_ ? "deleted " + mt::to_string(now)
                                             : std::string("not all was deleted: see above, and run it again"))
                          << '\n';
            }
            if (!std::cout.flush()) throw std::runtime_error("the receipt cannot be written");
        }

    private:
        std::string user_;
        bool is_sure_;
        bool is_complete_ = true;
        std::vector<json> rows_;
        std::vector<std::string> faults_;
        std::vector<std::string> notes_;
        json details_ = json::object();
    };

    struct job {
        mt::user who;
        bool is_sure;
        receipt& told;
        mt::look_into into;
        mt::trace_ids known{};

        [[nodiscard]] mt::file_erasure files() const {
            return mt::file_erasure(std::string(who.view()), {
#if defined(MLFLOW_SESSIONS_READS_GZIP)
                                                                 mt::gzip_packing()
#endif
                                                             });
        }
        void collect_file(const std::string& path) {
            if (const auto read = files().collect(path, known); !read) told.fault(read.error().message());
        }
        void collect_spool(const std::string& folder) {
            each_file(folder, [&](const mt::spool_file& file) {
                const auto read = mt::for_each_trace(file, [&](const mt::trace_data& trace) {
                    if (is_theirs(trace)) known.emplace(trace.id.mlflow_id().view());
                });
                if (!read) told.fault(read.error().message());
            });
        }
        [[nodiscard]] bool is_theirs(const mt::trace_data& trace) const {
            return trace.entries.find(mt::entry_kind::metadata, mt::user::name) == who.view() ||
                   known.contains(trace.id.mlflow_id().view());
        }
        template <class Use>
        void each_file(const std::string& folder, Use use) {
            const auto listed = mt::list_spool(folder);
            if (!listed) return told.fault(listed.error().message());
            for (const mt::spool_file& file : *listed) use(file);
        }

        void empty_spool(const std::string& folder) {
            std::size_t found = 0;
            std::size_t deleted = 0;
            std::size_t unreadable = 0;
            each_file(folder, [&](const mt::spool_file& file) {
                std::size_t here = 0;
                const auto read = mt::for_each_trace(
                    file, [&](const mt::trace_data& trace) { here += is_theirs(trace) ? 1U : 0U; });
                if (!read) return told.fault(read.error().message());
                found += here;
                if (here > 0 && file.is_in_use)
                    return told.fault(file.path + " is in use by a process, which will deliver it: stop the process, "
                                                  "or wait until the file is gone, and run this again");
                if (!is_sure || file.is_in_use) return;
                const auto removed =
                    mt::remove_from(file, [&](const mt::trace_data& trace) { return is_theirs(trace); }, who.view());
                if (!removed) return told.fault(removed.error().message());
                deleted += removed->traces;
                unreadable += removed->unreadable;
            });
            told.add(folder, "traces in the spool", found, deleted);
            told.add(folder, "damaged records in which the ID stood", unreadable, unreadable);
        }

        void empty_file(const std::string& path) {
            const auto removed = files().remove(path, known, !is_sure);
            if (!removed) return told.fault(removed.error().message());
            const auto done = [this](std::size_t count) { return is_sure ? count : 0; };
            told.add(path, "traces", removed->traces.size(), done(removed->traces.size()));
            told.add(path, "spans of these", removed->spans, done(removed->spans));
            told.add(path, "damaged lines in which the ID stands", removed->damaged_lines,
                     done(removed->damaged_lines));
            if (removed->mentions > 0)
                told.note(path + ": the ID stands as text in " + std::to_string(removed->mentions) +
                          " lines of others, which stay");
        }

        mt::user_remains collect_server(arguments::server& server, const std::string& uri) {
            const bool is_terminal = table::is_terminal(STDERR_FILENO);
            auto found = mt::user_erasure(server, who).find(known, into, [&](std::size_t count) {
                if (is_terminal) std::cerr << "\r\033[K" << count << " traces…" << std::flush;
            });
            if (is_terminal) std::cerr << "\r\033[K" << std::flush;
            if (!found) throw std::runtime_error(found.error().message() + "; nothing was deleted");
            for (const auto& one : found->traces) known.insert(one.id);
            if (!found->has_seen_spans)
                told.note(
                    uri +
                    ": the spans of traces that name somebody else or nobody were not looked into; --spans does");
            if (!found->undecided.empty())
                told.note(uri + ": " + std::to_string(found->undecided.size()) +
                          " traces without a user are in a session that others share; they stay (--json lists them)");
            if (!found->mentions.empty())
                told.note(uri + ": the ID stands as text in " + std::to_string(found->mentions.size()) +
                          " traces of others, which stay (--json lists them)");
            std::size_t elsewhere = 0;
            for (const auto& one : found->traces)
                elsewhere += one.artifacts.starts_with("mlflow-artifacts:") ? 0U : 1U;
            if (elsewhere > 0)
                told.note(uri + ": files of " + std::to_string(elsewhere) +
                          " traces, if there are any, are not kept by the server; delete them at " +
                          (found->traces.empty() ? "" : found->traces.front().artifacts));
            told.details()["spans_seen"] = found->has_seen_spans;
            told.details()["undecided"] = found->undecided;
            told.details()["mentions"] = found->mentions;
            told.details()["experiments"] = found->experiments;
            return std::move(*found);
        }

        void empty_server(arguments::server& server, const std::string& uri, const mt::user_remains& found) {
            mt::erased_remains done;
            if (is_sure) {
                mt::user_erasure erasure(server, who);
                const auto erased = erasure.erase(found);
                if (!erased) return told.fault(erased.error().message() + "; run it again for the rest");
                done = *erased;
                const auto late = erasure.left(found.experiments);
                if (!late) told.fault(late.error().message());
                else if (*late > 0)
                    told.fault(uri + ": " + std::to_string(*late) +
                               " traces of the user have come meanwhile; run it again");
            }
            told.add(uri, "traces", found.traces.size(), done.traces);
            told.add(uri, "feedback and expectations on traces of others", found.assessments.size(),
                     done.assessments);
            told.add(uri, "records of datasets", found.records.size(), done.records);
            if (is_sure) told.details()["artifact_folders"] = done.artifact_folders;
        }
    };

    CLI::App* command_;
    std::vector<std::string> spools_;
    std::vector<std::string> files_;
    bool with_spans_ = false;
    bool no_server_ = false;
    bool is_sure_ = false;
};

} // namespace forget
