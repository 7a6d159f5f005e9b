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
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

// mlflow_sessions forget: lists or deletes what servers, spools and files store about a user, and writes a receipt.
namespace forget {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

// Data that this program cannot reach.
inline const std::vector<std::string> beyond_reach = {
    "logs of the server and of proxies in front of it",
    "backups, replicas and snapshots; blocks that a file system has freed but not overwritten",
    "receivers other than this server, such as an OpenTelemetry Collector and its destinations",
    "other workspaces of the server, and experiments that this account cannot read",
    "exports, reports and notebooks made from these traces, and artifacts of evaluation runs",
    "prompts of the registry, runs, and tags of experiments in which somebody wrote the ID",
    // NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one entry of three lines
    "SQLite: copies in unused parts of the database's pages until VACUUM, where SQLite moved rows between pages, and "
    "without secure_delete (Debian's has it) all deleted rows; where somebody ran ANALYZE, sqlite_stat4 until "
    "ANALYZE is run again",
    "PostgreSQL: the bytes of deleted rows, in the tables and indexes until VACUUM FULL (VACUUM alone leaves most of "
    "them), in the statistics until VACUUM (FULL, ANALYZE) and then VACUUM FULL pg_statistic, and in the write-ahead "
    "log until its segments are written over or removed after a checkpoint, and in archives of that log",
    // NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one entry of two lines
    "traces in the memory of running programs: those still to be delivered, and one that was delivered in the last "
    "five minutes, which may be sent again",
    // NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one entry of two lines
    "traces in devices and in the queues of MQTT brokers: those still to be delivered, and those that a device sends "
    "again to a gateway that was restarted, because their acknowledgement was lost",
    "traces of the user that are recorded from now on",
};

// "61500 of 100000 traces, 6100 a second, 6 s left", on a terminal, and gone from it at the end.
class progress_line {
public:
    progress_line() : is_shown_(table::is_terminal(STDERR_FILENO)) {}
    progress_line(const progress_line&) = delete;
    progress_line& operator=(const progress_line&) = delete;
    progress_line(progress_line&& from) noexcept
        : is_shown_(std::exchange(from.is_shown_, false)), what_(std::move(from.what_)), begin_(from.begin_),
          drawn_(from.drawn_) {}
    progress_line& operator=(progress_line&&) = delete;
    ~progress_line() {
        if (is_shown_) std::cerr << "\r\033[K" << std::flush;
    }

    void operator()(const mt::user_remains::progress& at) {
        if (!is_shown_) return;
        const auto now = std::chrono::steady_clock::now();
        if (at.what != what_) {
            what_ = at.what;
            begin_ = now;
            drawn_ = {};
        }
        if (now - drawn_ < std::chrono::milliseconds(100) && at.done < at.all) return;
        drawn_ = now;
        std::string line = std::to_string(at.done);
        if (at.all > 0) line += " of " + std::to_string(std::max(at.all, at.done));
        line += ' ' + std::string(at.what);
        const double seconds = std::chrono::duration<double>(now - begin_).count();
        if (seconds > 0.5 && at.done > 0) {
            const double rate = static_cast<double>(at.done) / seconds;
            line += ", " + std::to_string(static_cast<std::int64_t>(rate)) + " a second";
            if (at.all > at.done) {
                const double left = static_cast<double>(at.all - at.done) / rate;
                line += ", " + table::length_text(std::ceil(left) * 1000) + " left";
            }
        }
        std::cerr << "\r\033[K" << table::fitted(line, table::width_of_terminal() - 1, false) << std::flush;
    }

private:
    bool is_shown_;
    std::string what_;
    std::chrono::steady_clock::time_point begin_{};
    std::chrono::steady_clock::time_point drawn_{};
};

class command {
public:
    explicit command(CLI::App& app)
        : command_(app.add_subcommand(
              "forget", "delete a user's data: lists it; with --yes, deletes it and prints a receipt")) {
        command_
            ->add_option("--user-json", user_json_,
                         "the user as a JSON string, as `users --json` prints it, for an ID with control characters: "
                         R"('"a\nb"')")
            ->check(arguments::refuse_empty)
            ->excludes(app.get_option("--user"));
        command_->add_option("--spool", spools_, "spool folder, including its *.rejected files; may be repeated")
            ->check(CLI::ExistingDirectory);
        command_->add_option("--file", files_, "trace file (OTLP JSON lines), plain or gzip; may be repeated")
            ->check(CLI::ExistingFile);
        command_->add_flag("--spans", with_spans_,
                           "also search the spans of all other traces on the server for the user; this takes longer");
        command_->add_flag("--no-server", no_server_, "search only spools and files");
        command_->add_flag("--yes", is_sure_, "delete what was found; this cannot be undone");
        command_->fallthrough();
    }
    [[nodiscard]] bool parsed() const { return command_->parsed(); }

    int run(const arguments::common& told) const {
        arguments::refuse(*command_, {"--session", "--since", "--until", "--filter", "--experiment"},
                          "on forget, which deletes everything of the user");
        arguments::refuse(*command_, {"--limit", "--columns"}, "on forget");
        if (no_server_)
            arguments::refuse(*command_, {"--tracking-uri", "--spans", "--connections"}, "with --no-server");
        else if (!arguments::is_of_server(told.tracking_uri))
            arguments::refuse(*command_, {"--spans", "--connections"}, "on a trace file");
        const std::string who = user_of(told);
        std::optional<arguments::source> opened;
        std::vector<std::string> files = files_;
        if (!no_server_) opened = arguments::open(told);
        auto* const server = opened ? std::get_if<arguments::server>(&*opened) : nullptr;
        if (opened && !server) files.push_back(file_of(told.tracking_uri));
        files = each_once(files);
        const auto spools = each_once(spools_);
        if (!server && files.empty() && spools_.empty())
            throw CLI::ValidationError("forget", "--no-server needs --spool or --file");
        receipt told_of{who, is_sure_};
        job work{who, is_sure_, told_of, with_spans_ ? mt::look_into::spans : mt::look_into::traces};
        for (const std::string& path : files) work.collect_file(path, files);
        for (const std::string& folder : spools) work.collect_spool(folder);
        std::optional<mt::user_remains> remains;
        if (server) remains = work.collect_server(*server, told.tracking_uri);
        // Spools first, so that nothing is delivered again; the server last, because it lists the traces.
        for (const std::string& folder : spools) work.empty_spool(folder);
        for (const std::string& path : files) work.empty_file(path);
        if (remains) work.empty_server(*server, told.tracking_uri, *remains);
        told_of.print(told.json);
        return told_of.is_complete() ? 0 : 1;
    }

private:
    // Any text that another program can record, also one that `mt::user` rejects.
    [[nodiscard]] std::string user_of(const arguments::common& told) const {
        if (user_json_.empty() && told.user.empty())
            throw CLI::ValidationError("forget", "say whom: --user ID or --user-json STRING");
        std::string id = told.user;
        if (!user_json_.empty()) {
            const auto read = json::parse(user_json_, nullptr, false);
            if (!read.is_string())
                throw CLI::ValidationError("--user-json", R"(not a JSON string, with its quotes, such as "a\nb")");
            id = read.get<std::string>();
        }
        if (id.empty()) throw CLI::ValidationError("--user-json", "is empty; that is nobody");
        if (mt::detail::scan_utf8(id).invalid_at != id.npos) throw CLI::ValidationError("--user", "is not UTF-8");
        return id;
    }

    // Paths that lead to the same file or folder count once; hard links are files of their own, because each is
    // replaced by itself.
    static std::vector<std::string> each_once(const std::vector<std::string>& paths) {
        std::vector<std::string> kept;
        for (const std::string& path : paths) {
            std::error_code fault;
            const auto real = std::filesystem::weakly_canonical(path, fault);
            if (std::none_of(kept.begin(), kept.end(), [&](const std::string& one) {
                    return std::filesystem::weakly_canonical(one, fault) == real;
                }))
                kept.push_back(path);
        }
        return kept;
    }

    // An ID with characters that a terminal would not show, as a JSON string.
    static std::string shown(const std::string& id) {
        return table::harmless(id) == id ? id : mt::detail::escaped_json(mt::detail::dump(id));
    }

    static std::string file_of(const std::string& uri) { return uri.starts_with("file://") ? uri.substr(7) : uri; }

    class receipt {
    public:
        receipt(std::string who, bool is_sure) : user_(std::move(who)), is_sure_(is_sure) {}

        void add(const std::string& place, const char* what, std::size_t found, std::size_t deleted) {
            list(place, what, found, deleted);
            require(found <= deleted);
        }
        void list(const std::string& place, const char* what, std::size_t found, std::size_t deleted) {
            if (found > 0 || deleted > 0)
                rows_.push_back({{"place", place}, {"what", what}, {"found", found}, {"deleted", deleted}});
        }
        void require(bool is_done) { is_complete_ = is_complete_ && (!is_sure_ || is_done); }
        void fault(const std::string& why) {
            if (std::find(faults_.begin(), faults_.end(), why) == faults_.end()) faults_.push_back(why);
            is_complete_ = false;
        }
        void add_links(const std::string& path, std::uintmax_t count) {
            beyond_.push_back(table::counted(count, "other hard link") + " to " + path +
                              ", with the old content (find -samefile finds them, before the deletion)");
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
                         {"notes", notes_},         {"beyond_reach", beyond_}};
                all.update(details_);
                std::cout << mt::json_line(all);
            } else {
                if (rows_.empty()) std::cout << "nothing found of " << shown(user_) << '\n';

                else table::print(rows_);
                const auto print_list = [](const char* head, const auto& lines) {
                    if (!lines.empty()) std::cout << '\n' << head << '\n';
                    for (const std::string& line : lines) std::cout << "  " << table::harmless(line) << '\n';
                };
                print_list("not done:", faults_);
                print_list("note:", notes_);
                print_list("outside the reach of this program:", beyond_);
                std::cout << '\n'
                          << (rows_.empty() && is_complete_ ? "there was nothing to delete"
                              : !is_sure_                   ? "nothing was deleted; --yes deletes what is listed"
                              : is_complete_
                                  ? "deleted " + mt::to_string(now)
                                  : std::string("not everything was deleted: see above, and run this again"))
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
        std::vector<std::string> beyond_ = beyond_reach;
        json details_ = json::object();
    };

    struct job {
        std::string who;
        bool is_sure;
        receipt& told;
        mt::look_into into;
        mt::trace_ids known{};
        std::map<std::string, std::uintmax_t> other_links{}; // to files, besides the given ones
        bool is_told_by_files = false;

        [[nodiscard]] mt::file_erasure files() const {
            return mt::file_erasure(who, {
#if defined(MLFLOW_SESSIONS_READS_GZIP)
                                             mt::gzip_packing()
#endif
                                         });
        }
        void collect_file(const std::string& path, const std::vector<std::string>& all) {
            std::error_code fault;
            const auto links = std::filesystem::hard_link_count(path, fault);
            const auto given = std::count_if(all.begin(), all.end(), [&](const std::string& one) {
                return std::filesystem::equivalent(one, path, fault);
            });
            if (!fault && links > static_cast<std::uintmax_t>(given))
                other_links[path] = links - static_cast<std::uintmax_t>(given);
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
            return trace.entries.find(mt::entry_kind::metadata, mt::user::name) == who ||
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
                std::error_code fault;
                const auto links = std::filesystem::hard_link_count(file.path, fault);
                if (here > 0 && !is_sure && !fault && links > 1) told.add_links(file.path, links - 1);
                if (!is_sure || file.is_in_use) return;
                const auto removed =
                    mt::remove_from(file, [&](const mt::trace_data& trace) { return is_theirs(trace); }, who);
                if (!removed) return told.fault(removed.error().message());
                if (removed->other_links > 0) told.add_links(file.path, removed->other_links);
                deleted += removed->traces;
                unreadable += removed->unreadable;
            });
            told.add(folder, "traces in the spool", found, deleted);
            told.add(folder, "damaged records in which the ID stood", unreadable, unreadable);
        }

        void empty_file(const std::string& path) {
            const auto removed = files().remove(path, known, !is_sure);
            if (!removed) return told.fault(removed.error().message());
            if (const auto links = other_links.find(path);
                links != other_links.end() && removed->spans + removed->damaged_lines > 0)
                told.add_links(path, links->second);
            const auto done = [this](std::size_t count) { return is_sure ? count : 0; };
            told.add(path, "traces", removed->traces.size(), done(removed->traces.size()));
            told.add(path, "spans of these", removed->spans, done(removed->spans));
            told.add(path, "damaged lines with the ID or such spans", removed->damaged_lines,
                     done(removed->damaged_lines));
            if (!removed->damaged_others.empty()) {
                std::string said = path + ": the damaged lines, which are deleted whole, also contain spans of other "
                                          "traces:";
                for (const std::string& id : removed->damaged_others) said += ' ' + id;
                told.note(std::move(said));
            }
            if (removed->mentions > 0)
                told.note(path + ": the ID occurs as text in " + table::counted(removed->mentions, "other line") +
                          ", " + kept(removed->mentions));
        }

        static constexpr const char* see_json = " (--json lists them)";
        static std::string kept(std::size_t count) { return count == 1 ? "which is kept" : "which are kept"; }

        mt::user_remains collect_server(arguments::server& server, const std::string& uri) {
            const auto known_before = known.size();
            auto found = mt::user_erasure(server, who).find(known, into, progress_line());
            is_told_by_files = known_before > 0 && into == mt::look_into::traces;
            if (!found) throw std::runtime_error(found.error().message() + "; nothing was deleted");
            for (const auto& one : found->traces) known.insert(one.id);
            if (!found->has_seen_spans)
                told.note(uri + ": the spans of traces of other users, or without a user, were not searched; --spans "
                                "searches them");
            if (!found->undecided.empty())
                told.note(uri + ": " + table::counted(found->undecided.size(), "trace") +
                          " without a user in a session that other users share, " + kept(found->undecided.size()) +
                          see_json);
            if (!found->mentions.empty())
                told.note(uri + ": the ID occurs as text in " + table::counted(found->mentions.size(), "trace") +
                          " of other users, " + kept(found->mentions.size()) + see_json);
            if (!found->mentioning_records.empty())
                told.note(uri + ": the ID occurs as text in " +
                          table::counted(found->mentioning_records.size(), "record") +
                          " of datasets, not made from the user's traces, " + kept(found->mentioning_records.size()) +
                          see_json);
            std::size_t elsewhere = 0;
            for (const auto& one : found->traces)
                elsewhere += one.artifacts.starts_with("mlflow-artifacts:") ? 0U : 1U;
            if (elsewhere > 0)
                told.note(uri + ": files of " + table::counted(elsewhere, "trace") +
                          ", if there are any, are not kept by the server; delete them at " +
                          (found->traces.empty() ? "" : found->traces.front().artifacts));
            told.details()["spans_seen"] = found->has_seen_spans;
            told.details()["undecided"] = found->undecided;
            told.details()["mentions"] = found->mentions;
            json& records = told.details()["mentioning_records"] = json::array();
            for (const auto& one : found->mentioning_records)
                records.push_back({{"dataset_id", one.dataset_id}, {"record_id", one.id}});
            told.details()["experiments"] = found->experiments;
            return std::move(*found);
        }

        void empty_server(arguments::server& server, const std::string& uri, const mt::user_remains& found) {
            mt::user_erasure erasure(server, who);
            if (is_sure) {
                const auto erased = erasure.erase(found, progress_line());
                if (!erased)
                    told.fault(erased.error().message() + "; run this again for the rest" +
                               (is_told_by_files ? ", with --spans, because files and spools, which identified the "
                                                   "user of some traces, are already erased"
                                                 : ""));
                const auto late = erased ? erasure.left(found.experiments) : 0;
                if (!late) told.fault(late.error().message());
                else if (*late > 0)
                    told.fault(uri + ": " + table::counted(*late, "new trace") +
                               " of the user arrived in the meantime; run this again");
            }
            const mt::erased_remains& done = erasure.erased();
            if (done.gone_before > 0)
                told.note(uri + ": " + std::to_string(done.gone_before) +
                          " of the traces and records found were already gone: deleted by another client, or by a "
                          "request whose response was lost");
            told.list(uri, "traces", found.traces.size(), done.traces);
            told.list(uri, "feedback and expectations on traces of others", found.assessments.size(),
                      done.assessments);
            told.list(uri, "records of datasets", found.records.size(), done.records);
            told.require(found.traces.size() + found.assessments.size() + found.records.size() <=
                         done.traces + done.assessments + done.records + done.gone_before);
            if (is_sure) told.details()["artifact_folders"] = done.artifact_folders;
        }
    };

    CLI::App* command_;
    std::string user_json_;
    std::vector<std::string> spools_;
    std::vector<std::string> files_;
    bool with_spans_ = false;
    bool no_server_ = false;
    bool is_sure_ = false;
};

} // namespace forget
