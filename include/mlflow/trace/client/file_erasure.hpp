// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_documents.hpp>
#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/span_removal.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/platform/replaced_file.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <utility>
#include <vector>

// Removal of one user's traces from files of OTLP JSON lines.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Compresses a file piece by piece.
class packer {
public:
    /// Ends the compression.
    virtual ~packer() = default;
    /// Appends the compressed form of `in` to `out`; after the last piece, `out` is complete. Returns false on
    /// failure.
    virtual bool pack(std::string_view in, bool is_last, std::string& out) = 0;
};

/// A compression format in which `file_erasure` can rewrite files: `gzip_packing()` of
/// <mlflow/trace/client/gzip_packing.hpp>.
struct file_packing {
    /// How files of this format are read.
    file_compression unpacking;
    /// Creates a packer.
    std::unique_ptr<packer> (*open)();
};

/// What `file_erasure::remove` removed from a file.
struct file_removal {
    std::set<std::string, std::less<>> traces; ///< their IDs
    /// The number of removed spans.
    std::size_t spans = 0;
    /// The number of removed lines that were not JSON and contained the user's ID, or that of one of the traces.
    std::size_t damaged_lines = 0;
    /// The IDs of other traces in these lines.
    std::set<std::string, std::less<>> damaged_others;
    std::size_t mentions = 0;      ///< remaining lines that contain the ID as text
    std::uint64_t bytes = 0;       ///< by which the uncompressed file became shorter
    std::uint64_t other_links = 0; ///< other hard links to the file, which keep the old content
};

/// Removes the traces of one user from files of OTLP JSON lines, uncompressed or in one of the `packings` formats.
///
/// A trace belongs to the user if any of its spans has the user (`user.id`), in any line of any file: call `collect`
/// for all files first.
///
/// Errors: `error_kind::file` if a file cannot be read or written, has no OTLP, or has a form that `trace_file` reads
/// but that cannot be changed line by line: documents of several lines, lists of several lines, several documents in
/// a line, UTF-16, other compression. The file is unchanged then.
///
/// Thread-safety: one thread at a time.
class file_erasure {
public:
    /// For this user and these formats.
    explicit file_erasure(std::string user, std::vector<file_packing> packings = {})
        : user_(std::move(user)), packings_(std::move(packings)) {
        forms_.insert(user_);
        for (const bool is_ascii : {true, false}) {
            const std::string quoted =
                nlohmann::json(user_).dump(-1, ' ', is_ascii, nlohmann::json::error_handler_t::replace);
            std::string form = quoted.substr(1, quoted.size() - 2);
            forms_.insert(form);
            for (auto at = form.find('/'); at != form.npos; at = form.find('/', at + 2)) form.insert(at, 1, '\\');
            forms_.insert(std::move(form));
        }
        has_short_escapes_ = user_.find_first_of("\"\\/\b\f\n\r\t") != user_.npos;
    }

    /// Adds the IDs of the user's traces in the file to `ids`. Returns the number of OTLP documents.
    result<std::size_t> collect(const std::string& path, std::set<std::string, std::less<>>& ids) const {
        auto file = open(path);
        if (!file) return failure{file.error()};
        std::string_view line;
        const auto take = [&](detail::json_value document) {
            if (!stands_in(line)) return;
            detail::read_otlp(document, [&](const detail::file_span& span) {
                const auto says_so = [&](const auto& one) {
                    return one.first == trace::user::name && one.second == user_;
                };
                if (span.user == user_ || std::any_of(span.metadata.begin(), span.metadata.end(), says_so))
                    ids.insert(detail::shown_trace_id(span.trace_id));
            });
        };
        return read(*file, path, take, [&](std::string_view one) { line = one; });
    }

    /// Removes these traces from the file; with `is_dry`, only counts them. A line without remaining spans is
    /// removed, otherwise only the spans are; all other bytes are kept. A line that is not JSON is removed if it
    /// contains the user's ID or the ID of one of the traces. The new content is written to a temporary file next to
    /// the old one, synced and renamed. A file without such traces is not changed. Lines that another process appends
    /// are copied up to the moment of the renaming; preferably, no process should write at that time.
    result<file_removal> remove(const std::string& path, const std::set<std::string, std::less<>>& ids,
                                bool is_dry) const {
        char* const resolved = ::realpath(path.c_str(), nullptr);
        const std::string target = resolved ? resolved : path;
        std::free(resolved);
        auto file = open(target);
        if (!file) return failure{file.error()};
        file_removal removed;
        std::string changed;
        const auto count = [&](std::string_view line) { filter(line, ids, removed, changed); };
        if (const auto fine = read(*file, target, [](detail::json_value) {}, count); !fine)
            return failure{fine.error()};
        if (removed.spans == 0 && removed.damaged_lines == 0) return removed;
        const auto other_links = detail::other_links_to(file->found);
        if (is_dry) {
            removed.other_links = other_links;
            return removed;
        }

        auto again = open(target);
        if (!again) return failure{again.error()};
        ::flock(again->opened.get(), LOCK_EX | LOCK_NB); // as the writers of lines do
        removed = {};
        detail::replaced_file instead(target);
        if (instead.get() < 0) return unreadable(target);
        std::unique_ptr<packer> packing = again->packing ? again->packing->open() : nullptr;
        std::string out;
        const auto put = [&](std::string_view text, bool is_last) {
            if (!packing) out += text;
            else if (!packing->pack(text, is_last, out)) return false;
            if (out.size() < 262144 && !is_last) return true;
            const bool is_written = instead.write(out);
            out.clear();
            return is_written;
        };
        const auto copy = [&] {
            for (std::string_view line; again->lines.next(line);)
                if (!put(filter(line, ids, removed, changed), false)) return false;
            return !again->lines.failed();
        };
        if (!copy()) return unreadable(target);
        again->lines.go_on();
        if (!copy() || !put({}, true) || !instead.take_the_place(again->found)) return unreadable(target);
        removed.other_links = other_links;
        return removed;
    }

private:
    struct opened_file {
        detail::owned_file opened;
        struct stat found;
        const file_packing* packing;
        detail::whole_lines lines;
        std::string begin; // of the text
    };

    static failure unreadable(const std::string& path) {
        const std::error_code why(errno, std::generic_category());
        return failure{error(error_kind::file, path, why.message(), why)};
    }
    static failure refusal(const std::string& path, std::string_view why) {
        const bool is_of_file = why.starts_with("is ") || why.starts_with("has ");
        return failure{error(error_kind::file, path, (is_of_file ? " " : "") + std::string(why))};
    }
    result<opened_file> open(const std::string& path) const {
        detail::owned_file file(
            detail::uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
        struct stat found{};
        if (file.get() < 0 || ::fstat(file.get(), &found) != 0) return unreadable(path);
        if (!S_ISREG(found.st_mode)) return failure{error(error_kind::file, path, "is not a regular file")};
        std::vector<file_compression> compressions;
        for (const file_packing& one : packings_) compressions.push_back(one.unpacking);
        detail::file_lines seen;
        if (const std::string fault = seen.open(path, compressions); !fault.empty()) return refusal(path, fault);
        if (!seen.obstacle().empty()) return refusal(path, seen.obstacle());
        const auto packing = std::find_if(packings_.begin(), packings_.end(), [&](const file_packing& one) {
            std::string begin(one.unpacking.magic.size(), '\0');
            return ::pread(file.get(), begin.data(), begin.size(), 0) >= 0 && begin == one.unpacking.magic;
        });
        const bool is_packed = packing != packings_.end();
        const int number = file.get();
        return opened_file{std::move(file), found, is_packed ? &*packing : nullptr,
                           detail::whole_lines(number, is_packed ? packing->unpacking.open() : nullptr),
                           seen.begin()};
    }

    // Reads the documents as trace_file does, and calls take(document) for those of OTLP, after use(line) for the
    // line of the document. Returns their number.
    template <class Take, class Use>
    static result<std::size_t> read(opened_file& file, const std::string& path, Take take, Use use) {
        detail::observed_lines<Use> lines{file.lines, use};
        detail::file_documents documents;
        std::string fault;
        std::string strange; // describes the first document that is not OTLP
        std::size_t found = 0;
        bool has_other_signals = false;
        bool is_damaged = false;
        const auto refuse = [&](std::size_t line, const char* why) {
            if (fault.empty())
                fault = "line " + std::to_string(line) + why +
                        "; convert the file to one JSON document per line, with jq -c . or, for a list, jq -c '.[]'; "
                        "or remove the line if it is damaged";
        };
        const auto see = [&](detail::json_value document, std::size_t line) {
            if (documents.text().find('\n') != std::string_view::npos)
                refuse(line, " begins a JSON document of several lines");
            else if (!documents.is_line()) refuse(line, " has several JSON documents, or is a part of a list");
            if (documents.is_too_deep()) refuse(line, " has values that are nested too deep to be read");
            if (detail::is_otlp(document)) {
                ++found;
                take(document);
            } else if (detail::is_other_signal(document)) {
                has_other_signals = true;
            } else if (strange.empty()) {
                strange = detail::what_it_is(document);
            }
        };
        documents.read(lines, see, [&](std::size_t line) {
            is_damaged = true;
            if (detail::is_part_of_document(documents.text()))
                refuse(line, " is not a JSON document, but looks like a part of a document of several lines");
            return fault.empty();
        });
        if (!fault.empty()) return refusal(path, fault); // perhaps before the end of the file
        if (auto cut = fault_of(file, path)) return failure{std::move(*cut)};
        if (found == 0 && !has_other_signals) {
            fault = strange.empty() && is_damaged ? detail::what_text_is(file.begin) : strange;
            if (!fault.empty()) return refusal(path, fault);
        }
        return found;
    }

    static std::optional<error> fault_of(const opened_file& file, const std::string& path) {
        if (file.lines.failed()) return unreadable(path).error;
        if (!file.lines.is_cut()) return std::nullopt;
        return error(error_kind::file, path,
                     "is damaged, or its compressed data is truncated; decompress the intact part and use that");
    }
    static bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r\n") == line.npos; }
    static std::string_view without_end(std::string_view line) {
        const auto last = line.find_last_not_of("\r\n");
        return line.substr(0, last == line.npos ? 0 : last + 1);
    }
    // True as well if the line has escapes with which any writer could have written the ID.
    [[nodiscard]] bool stands_in(std::string_view line) const {
        return line.find(user_) != line.npos || line.find(has_short_escapes_ ? "\\" : "\\u") != line.npos;
    }
    [[nodiscard]] bool is_text_of(std::string_view line) const {
        return std::any_of(forms_.begin(), forms_.end(),
                           [&](const std::string& form) { return line.find(form) != line.npos; });
    }

    // Returns what is kept of a line.
    std::string_view filter(std::string_view line, const std::set<std::string, std::less<>>& ids,
                            file_removal& removed, std::string& changed) const {
        detail::span_places spans;
        const std::string_view text = detail::without_marks(without_end(line));
        if (!spans.read(text)) return filter_damaged(line, ids, removed);
        std::vector<bool> going(spans.found.size());
        std::size_t count = 0;
        detail::json_tree tree;
        for (std::size_t i = 0; i < going.size(); ++i) {
            const auto& place = spans.found[i];
            if (!tree.read(text.substr(place.begin, place.end - place.begin))) continue;
            const auto at = ids.find(detail::trace_id_of(tree.root()));
            if (at == ids.end()) continue;
            going[i] = true;
            ++count;
            removed.traces.insert(*at);
        }
        removed.spans += count;
        std::string_view kept = line;
        if (count > 0) {
            const auto rest = detail::without_spans(text, spans.found, [&](std::size_t i) { return going[i]; });
            const auto begin = static_cast<std::size_t>(text.data() - line.data());
            changed = line.substr(0, begin);
            if (rest) changed.append(*rest).append(line.substr(begin + text.size()));
            else if (changed.ends_with('\x1e')) changed.pop_back(); // byte order marks are kept
            kept = changed;
            removed.bytes += line.size() - kept.size();
        }
        if (is_text_of(kept)) ++removed.mentions;
        return kept;
    }

    std::string_view filter_damaged(std::string_view line, const std::set<std::string, std::less<>>& ids,
                                    file_removal& removed) const {
        if (detail::is_json_document(detail::without_marks(line))) return line; // nested too deep
        auto others = detail::trace_ids_in(line);
        const bool is_of_user = std::erase_if(others, [&](const auto& id) { return ids.contains(id); }) > 0;
        if (is_blank(line) || (!is_of_user && !is_text_of(line))) return line;
        ++removed.damaged_lines;
        removed.damaged_others.merge(others);
        removed.bytes += line.size();
        return {};
    }

    std::string user_;
    std::set<std::string> forms_;    // as it is, and as written in JSON
    bool has_short_escapes_ = false; // such as \n, in JSON
    std::vector<file_packing> packings_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
