// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_bytes.hpp>
#include <mlflow/trace/client/file_span.hpp>
#include <mlflow/trace/client/json.hpp>
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
    std::size_t damaged_lines = 0; ///< removed lines that were not JSON and contained the user's ID
    std::size_t mentions = 0;      ///< remaining lines that contain the ID as text
    std::uint64_t bytes = 0;       ///< by which the uncompressed file became shorter
};

namespace detail {

// The lines of a file with their ends, byte for byte, decompressed if necessary.
class whole_lines {
public:
    whole_lines(int file, std::unique_ptr<unpacker> unpacking) : file_(file), unpacker_(std::move(unpacking)) {}

    bool next(std::string_view& line) {
        for (std::size_t from = at_;;) {
            const std::size_t end = ready_.find('\n', from);
            if (end != ready_.npos || is_at_end_) {
                const std::size_t stop = end == ready_.npos ? ready_.size() : end + 1;
                line = std::string_view(ready_).substr(at_, stop - at_);
                at_ = stop;
                return !line.empty();
            }
            ready_.erase(0, at_);
            at_ = 0;
            from = ready_.size();
            fill();
        }
    }
    // About the data read so far; the file may have grown since.
    [[nodiscard]] bool is_cut() const { return is_damaged_ || (unpacker_ && !unpacker_->is_complete()); }
    [[nodiscard]] bool failed() const noexcept { return failed_; }
    // Continues with data that was appended after the end.
    void go_on() noexcept { is_at_end_ = false; }

private:
    void fill() {
        constexpr std::size_t block = 262144;
        packed_.resize(block);
        const auto got = uninterrupted([&] { return ::read(file_, packed_.data(), packed_.size()); });
        failed_ = failed_ || got < 0;
        is_at_end_ = got <= 0;
        if (is_at_end_) return;
        const std::string_view bytes(packed_.data(), static_cast<std::size_t>(got));
        if (!unpacker_) ready_ += bytes;
        else if (!unpacker_->unpack(bytes, ready_)) is_damaged_ = is_at_end_ = true;
    }

    int file_;
    std::unique_ptr<unpacker> unpacker_;
    std::string packed_;
    std::string ready_;
    std::size_t at_ = 0;
    bool is_at_end_ = false;
    bool is_damaged_ = false;
    bool failed_ = false;
};

struct span_place {
    std::size_t begin;
    std::size_t end;
    std::size_t list; // which list of spans contains it
};

// Finds the positions of the spans in an OTLP JSON document: the objects in lists named `spans`.
class span_places {
public:
    // Returns false if the text is not JSON.
    bool read(std::string_view text) {
        found.clear();
        open_.clear();
        name_ = {};
        json_cursor cursor(text);
        text_ = text;
        cursor_ = &cursor;
        if (cursor.read(json_cursor::max_depth, *this) != json_cursor::outcome::complete) return false;
        cursor.whitespace();
        return cursor.rest().empty();
    }
    std::vector<span_place> found;

    void key(std::string_view raw) { name_ = raw; }
    void scalar(std::string_view) { name_ = {}; }
    void begin(bool is_object) {
        const bool is_in_span = std::any_of(open_.begin(), open_.end(), [](const value& one) { return one.is_span; });
        const bool is_span = is_object && !is_in_span && !open_.empty() && open_.back().is_list_of_spans;
        const std::size_t list = open_.empty() ? 0 : open_.back().begin;
        open_.push_back({at() - 1, list, is_span, !is_object && name_ == "spans"});
        name_ = {};
    }
    void end() {
        if (open_.back().is_span) found.push_back({open_.back().begin, at(), open_.back().list});
        open_.pop_back();
    }

private:
    struct value {
        std::size_t begin;
        std::size_t list;
        bool is_span;
        bool is_list_of_spans;
    };
    [[nodiscard]] std::size_t at() const noexcept { return text_.size() - cursor_->rest().size(); }

    std::string_view text_;
    std::string_view name_;
    const json_cursor* cursor_ = nullptr;
    std::vector<value> open_;
};

inline std::string trace_id_of(json_value span) {
    const auto id = read_id(span.any_of("traceId", "trace_id"), 16);
    return id ? shown_trace_id(*id) : std::string();
}

// The document without the spans for which `is_to_go` is true; all other bytes are kept. Returns nothing if no span
// is left.
template <class Match>
std::optional<std::string> without_spans(std::string_view text, const std::vector<span_place>& spans,
                                         Match is_to_go) {
    std::string kept;
    std::size_t from = 0;
    std::size_t left = 0;
    bool is_behind_another = false; // in the same list
    for (std::size_t i = 0; i < spans.size(); ++i) {
        if (i == 0 || spans[i - 1].list != spans[i].list) {
            kept += text.substr(from, spans[i].begin - from);
            is_behind_another = false;
        }
        from = spans[i].end;
        if (is_to_go(i)) continue;
        const std::size_t begin = is_behind_another ? spans[i - 1].end : spans[i].begin; // including the comma
        kept += text.substr(begin, from - begin);
        is_behind_another = true;
        ++left;
    }
    if (left == 0) return std::nullopt;
    return kept.append(text.substr(from));
}

} // namespace detail

/// Removes the traces of one user from files of OTLP JSON lines, uncompressed or in one of the `packings` formats.
///
/// A trace belongs to the user if any of its spans has the user (`user.id`), in any line of any file: call `collect`
/// for all files first.
///
/// Errors: `error_kind::file` if a file cannot be read or written, is compressed in another format, or does not have
/// one document per line. The file is unchanged then.
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

    /// Adds the IDs of the user's traces in the file to `ids`. Returns the number of lines that are JSON.
    result<std::size_t> collect(const std::string& path, std::set<std::string, std::less<>>& ids) const {
        auto file = open(path);
        if (!file) return failure{file.error()};
        detail::json_tree tree;
        std::size_t understood = 0;
        std::size_t lines = 0;
        for (std::string_view line; file->lines.next(line);) {
            if (is_blank(line)) continue;
            ++lines;
            if (!tree.read(without_end(line))) continue;
            ++understood;
            if (!stands_in(line)) continue;
            detail::read_otlp(tree.root(), [&](const detail::file_span& span) {
                const auto says_so = [&](const auto& one) {
                    return one.first == trace::user::name && one.second == user_;
                };
                if (span.user == user_ || std::any_of(span.metadata.begin(), span.metadata.end(), says_so))
                    ids.insert(detail::shown_trace_id(span.trace_id));
            });
        }
        if (auto fault = fault_of(*file, path)) return failure{std::move(*fault)};
        if (lines > 0 && understood == 0)
            return failure{
                error(error_kind::file, path, "does not have one JSON document per line; convert it to that format")};
        return understood;
    }

    /// Removes these traces from the file; with `is_dry`, only counts them. A line without remaining spans is
    /// removed, otherwise only the spans are; all other bytes are kept. A line that is not JSON is removed if it
    /// contains the user's ID. The new content is written to a temporary file next to the old one, synced and
    /// renamed. A file without such traces is not changed. Lines that another process appends are copied up to the
    /// moment of the renaming; preferably, no process should write at that time.
    result<file_removal> remove(const std::string& path, const std::set<std::string, std::less<>>& ids,
                                bool is_dry) const {
        char* const resolved = ::realpath(path.c_str(), nullptr);
        const std::string target = resolved ? resolved : path;
        std::free(resolved);
        auto file = open(target);
        if (!file) return failure{file.error()};
        file_removal removed;
        std::string changed;
        { // a first pass that writes nothing
            for (std::string_view line; file->lines.next(line);) filter(line, ids, removed, changed);
            if (auto fault = fault_of(*file, target)) return failure{std::move(*fault)};
        }
        if (is_dry || (removed.spans == 0 && removed.damaged_lines == 0)) return removed;

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
        return removed;
    }

private:
    struct opened_file {
        detail::owned_file opened;
        struct stat found;
        const file_packing* packing;
        detail::whole_lines lines;
    };

    static failure unreadable(const std::string& path) {
        const std::error_code why(errno, std::generic_category());
        return failure{error(error_kind::file, path, why.message(), why)};
    }
    result<opened_file> open(const std::string& path) const {
        detail::owned_file file(
            detail::uninterrupted([&] { return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
        struct stat found{};
        if (file.get() < 0 || ::fstat(file.get(), &found) != 0) return unreadable(path);
        if (!S_ISREG(found.st_mode)) return failure{error(error_kind::file, path, "is not a regular file")};
        char begin[4]{};
        const auto got = ::pread(file.get(), begin, sizeof begin, 0);
        const std::string_view magic(begin, static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        const auto packing = std::find_if(packings_.begin(), packings_.end(), [&](const file_packing& one) {
            return magic.starts_with(one.unpacking.magic);
        });
        const bool is_packed = packing != packings_.end();
        if (!is_packed && magic.starts_with("\x1f\x8b"))
            return failure{error(error_kind::file, path, "is compressed with gzip; decompress it with gunzip")};
        if (!is_packed && magic.starts_with("\x28\xb5\x2f\xfd"))
            return failure{error(error_kind::file, path, "is compressed with zstd; decompress it with unzstd")};
        const int number = file.get();
        return opened_file{std::move(file), found, is_packed ? &*packing : nullptr,
                           detail::whole_lines(number, is_packed ? packing->unpacking.open() : nullptr)};
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
        const std::string_view text = without_end(line);
        if (!spans.read(text)) {
            if (is_blank(line) || !is_text_of(line)) return line;
            ++removed.damaged_lines;
            removed.bytes += line.size();
            return {};
        }
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
            auto rest = detail::without_spans(text, spans.found, [&](std::size_t i) { return going[i]; });
            changed = rest ? *rest + std::string(line.substr(text.size())) : std::string();
            kept = changed;
            removed.bytes += line.size() - kept.size();
        }
        if (is_text_of(kept)) ++removed.mentions;
        return kept;
    }

    std::string user_;
    std::set<std::string> forms_;    // as it is, and as written in JSON
    bool has_short_escapes_ = false; // such as \n, in JSON
    std::vector<file_packing> packings_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
