// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_bytes.hpp>
#include <mlflow/trace/client/file_span.hpp>
#include <mlflow/trace/client/json_tree.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

// The lines of a file, and the removal of spans from a line, byte for byte.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
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
    // Returns false if the text is not JSON, or nested deeper than json_cursor reads.
    bool read(std::string_view text) {
        found.clear();
        open_.clear();
        is_spans_ = false;
        json_cursor cursor(text);
        text_ = text;
        cursor_ = &cursor;
        if (cursor.read(json_cursor::max_depth, *this) != json_cursor::outcome::complete) return false;
        cursor.whitespace();
        return cursor.rest().empty();
    }
    std::vector<span_place> found;

    void key(std::string_view raw) { is_spans_ = is_json_key(raw, "spans"); }
    void scalar(std::string_view) { is_spans_ = false; }
    void begin(bool is_object) {
        const bool is_in_span = std::any_of(open_.begin(), open_.end(), [](const value& one) { return one.is_span; });
        const bool is_span = is_object && !is_in_span && !open_.empty() && open_.back().is_list_of_spans;
        const std::size_t list = open_.empty() ? 0 : open_.back().begin;
        open_.push_back({at() - 1, list, is_span, !is_object && is_spans_});
        is_spans_ = false;
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
    bool is_spans_ = false; // the name of the value that follows
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

// Calls use(line, with its end) for each line that is read through it.
template <class Use>
struct observed_lines {
    whole_lines& lines;
    Use use;

    bool next(std::string_view& line) {
        if (!lines.next(line)) return false;
        use(line);
        if (line.ends_with('\n')) line.remove_suffix(1);
        return true;
    }
};

// The IDs of traces in text that is not JSON.
inline std::set<std::string, std::less<>> trace_ids_in(std::string_view text) {
    std::set<std::string, std::less<>> ids;
    for (const std::string_view name : {"\"traceId\"", "\"trace_id\""})
        for (auto at = text.find(name); at != text.npos; at = text.find(name, at + 1)) {
            json_cursor cursor(text.substr(at));
            std::string_view raw;
            if (!cursor.key(raw)) continue;
            cursor.whitespace();
            if (!cursor.string(raw)) continue;
            if (const auto id = read_id(unescaped(raw), 16)) ids.insert(shown_trace_id(*id));
        }
    return ids;
}

// Whether text that is not JSON looks like a part of a document of several lines, and not like a truncated line.
inline bool is_part_of_document(std::string_view text) {
    const auto end = std::min(text.find('\n'), text.size());
    if (const auto next = text.find_first_not_of(" \t\r\n", end); next != text.npos)
        return std::string_view("\"{}[],:").find(text[next]) != std::string_view::npos;
    if (text.find_first_not_of("}], \t\r\n") == text.npos) return true;
    json_cursor cursor(text);
    cursor.whitespace();
    std::string_view raw;
    if (!cursor.string(raw)) return false;
    cursor.whitespace();
    if (cursor.take(':')) return true;
    cursor.take(',');
    cursor.whitespace();
    return cursor.rest().empty();
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
