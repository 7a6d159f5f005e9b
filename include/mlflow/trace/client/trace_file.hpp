// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_bytes.hpp>
#include <mlflow/trace/client/file_documents.hpp>
#include <mlflow/trace/client/search.hpp>
#include <mlflow/trace/client/trace_assembly.hpp>
#include <mlflow/trace/client/trace_records.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Searches traces in a file of OTLP JSON, as written by `json_lines_exporter` and the OpenTelemetry Collector, with
/// the same filters as on a server. A file is one experiment, has no assessments, and is read again by each search.
///
/// A trace consists of its spans in all lines. Its values are those that MLflow's server (3.17) would compute if each
/// line were a request; costs are those recorded in the spans, since a file has no prices. Other accepted formats:
/// one document over many lines, a list of documents, UTF-16, a byte order mark, the field names of older OTLP
/// versions, and the formats of `compressions`. An invalid value, such as an incomplete UTF-8 sequence, does not
/// affect other values.
///
/// Memory: the data of the spans is limited to `memory` bytes; beyond that it is stored in a temporary file. Further
/// memory is used for the traces that are assembled at a time, a quarter of `memory` or one trace, and for the
/// matching traces if they are sorted.
///
/// Errors: a file that cannot be read, has no valid content, or has another format, which is named; a filter that
/// only a server can decide; and a damaged line, as left by a crash or a full disk. With `skip_damaged_lines`,
/// damaged lines are skipped and counted.
///
/// Thread-safety: one thread at a time.
class trace_file {
public:
    /// Options of `trace_file`.
    struct options {
        /// The file.
        std::string path = "traces.jsonl";
        /// Whether damaged lines are skipped; otherwise they are an error.
        bool skip_damaged_lines = false;
        /// The compression formats to accept.
        std::vector<file_compression> compressions{};
        /// The limit for span data in memory, in bytes. Raise it to write less to the temporary file.
        std::size_t memory = std::size_t{64} << 20U;
        /// Empty: TMPDIR, or else /tmp. Set it if that is in memory, or has too little room.
        std::string temporary_folder{};
    };

    /// Stores the options. Does not open the file.
    explicit trace_file(options chosen) : options_(std::move(chosen)) {}

    /// The number of lines that the last search skipped because they are not JSON.
    [[nodiscard]] std::size_t damaged_lines() const noexcept { return damaged_; }
    /// The number of documents that the last search skipped because they are not OTLP traces, for example OTLP logs.
    [[nodiscard]] std::size_t other_lines() const noexcept { return others_; }
    /// The number of spans that the last search skipped because they have no IDs.
    [[nodiscard]] std::size_t damaged_spans() const noexcept { return damaged_spans_; }

    /// Calls `visit` for each trace found. It may return false to end the search.
    template <class Visit>
    [[nodiscard]] search_result for_each_trace(const trace_query& query, Visit visit) {
        if (!query.where.is_local())
            return fail("spans, text and assessments can only be searched on a server; remove them from the filter");
        std::size_t visited = 0;
        const auto show = [&](const trace_info& trace) {
            return visited < query.max_results && (++visited, detail::wants_more(visit, trace));
        };
        const auto matches = [&](const trace_info& trace) { return query.where.matches(trace); };
        std::string fault;
        if (query.order_by.empty()) {
            fault = scan(matches, show);
        } else {
            std::vector<trace_info> found;
            fault = scan(matches, [&](trace_info& trace) {
                found.push_back(std::move(trace));
                return true;
            });
            if (fault.empty()) sort(found, query.order_by);
            for (std::size_t at = 0; fault.empty() && at < found.size() && show(found[at]);) ++at;
        }
        return fault.empty() ? search_result(visited) : fail(fault);
    }

private:
    using heaps = detail::record_heaps;

    failure fail(std::string_view why) const {
        const bool is_of_file = why.starts_with("is ") || why.starts_with("has ");
        return failure{error(error_kind::file, options_.path, (is_of_file ? " " : "") + std::string(why))};
    }

    // Traces with equal keys are sorted by ID, as on a server.
    static void sort(std::vector<trace_info>& traces, const std::vector<ordering>& order) {
        const auto rank = [](const trace_info& trace, subject by) {
            if (by == subject::execution_time) return trace.execution_duration.count();
            const auto time = by == subject::end_time ? trace.end_time() : trace.request_time;
            return time.time_since_epoch().count();
        };
        std::sort(traces.begin(), traces.end(), [&](const trace_info& a, const trace_info& b) {
            for (const ordering& by : order)
                if (const auto x = rank(a, by.by), y = rank(b, by.by); x != y) return (x < y) != by.is_descending;
            return a.trace_id < b.trace_id;
        });
    }

    [[nodiscard]] std::string folder() const {
        const char* const told = std::getenv("TMPDIR");
        return !options_.temporary_folder.empty() ? options_.temporary_folder : told && *told ? told : "/tmp";
    }

    // Calls `take` for each matching trace, in file order, until it returns false. Returns an error text, or an empty
    // text.
    template <class Matches, class Take>
    std::string scan(Matches matches, Take take) {
        heaps spans(options_.memory, folder());
        if (std::string fault = read_spans(spans); !fault.empty()) return fault;
        heaps traces(spans.is_in_file() ? part() : static_cast<std::size_t>(-1), folder());
        if (std::string fault = assemble(spans, traces, matches, heaps::count); !fault.empty()) return fault;
        return merge(traces, [&](std::string_view record) {
            detail::record_reader from(record);
            from.number<std::uint64_t>();
            trace_info trace;
            read_record(from, trace);
            return take(trace);
        });
    }
    // The bytes of spans that are assembled at a time.
    [[nodiscard]] std::size_t part() const noexcept { return options_.memory / 4; }

    // The heap of a trace is `hash / divisor % count`, where the divisor is 1 for the spans as they are read.
    static std::size_t heap_of(std::string_view trace_id, std::size_t divisor) {
        return std::hash<std::string_view>()(trace_id) / divisor % heaps::count;
    }

    // Assembles the traces of all heaps of spans, heap by heap.
    template <class Matches>
    std::string assemble(heaps& spans, heaps& traces, Matches& matches, std::size_t divisor) const {
        std::string fault;
        for (std::size_t heap = 0; heap < heaps::count && fault.empty(); ++heap) {
            constexpr std::size_t last_divisor = heaps::count * heaps::count * heaps::count;
            const bool is_divided = spans.is_in_file() && spans.size(heap) > part() && divisor < last_divisor;
            fault = is_divided ? assemble_divided(spans, traces, heap, matches, divisor)
                               : put_together(spans, traces, heap, matches);
            spans.clear(heap);
        }
        return fault;
    }
    // The same for a heap of spans that is too large, after dividing it into heaps of its own.
    template <class Matches>
    std::string assemble_divided(const heaps& spans, heaps& traces, std::size_t heap, Matches& matches,
                                 std::size_t divisor) const {
        heaps divided(part(), folder());
        if (std::string fault = divide(spans, heap, divided, divisor); !fault.empty()) return fault;
        heaps found(part(), folder());
        if (std::string fault = assemble(divided, found, matches, divisor * heaps::count); !fault.empty())
            return fault;
        std::string unwritten;
        std::string unread = merge(found, [&](std::string_view record) {
            unwritten = traces.add(heap, record);
            return unwritten.empty();
        });
        return unread.empty() ? unwritten : unread;
    }
    static std::string divide(const heaps& spans, std::size_t heap, heaps& to, std::size_t divisor) {
        std::string fault;
        heaps::reader records(spans, heap);
        while (const auto record = records.next(fault)) {
            const std::string id = detail::record_reader(*record).text();
            if (fault = to.add(heap_of(id, divisor), *record); !fault.empty()) break;
        }
        return fault;
    }

    std::string read_spans(heaps& spans) {
        damaged_ = damaged_spans_ = others_ = 0;
        detail::file_lines lines;
        if (std::string fault = lines.open(options_.path, options_.compressions); !fault.empty()) return fault;
        std::string fault;
        std::string strange; // describes the first document that is not OTLP
        std::string record;
        std::size_t understood = 0;
        std::size_t found = 0;
        bool has_room_for_spans = false;
        std::uint64_t place = 0;
        std::uint64_t request = 0;
        detail::file_documents documents;
        const auto add = [&](const detail::file_span& span) {
            ++found;
            record.clear();
            detail::record_writer to(record);
            to.text(span.trace_id);
            to.number(place++);
            to.number(request);
            detail::write_record(to, span);
            if (fault.empty()) fault = spans.add(heap_of(span.trace_id, 1), record);
        };
        const auto read = [&](detail::json_value document, std::size_t line) {
            if (!detail::is_otlp(document)) {
                if (strange.empty()) strange = detail::what_it_is(document);
                if (!options_.skip_damaged_lines && fault.empty() && !detail::is_other_signal(document))
                    fault = understood == 0 ? strange : "line " + std::to_string(line) + " " + strange;
                ++others_;
                return;
            }
            ++understood;
            ++request;
            has_room_for_spans = has_room_for_spans || !detail::otlp_list(document).empty();
            damaged_spans_ += detail::read_otlp(document, add);
        };
        const auto damaged = [&](std::size_t line) {
            ++damaged_;
            if (options_.skip_damaged_lines) return fault.empty();
            fault = "line " + std::to_string(line) +
                    " is not JSON: it is truncated or damaged, and reading stopped there; set skip_damaged_lines to "
                    "skip it";
            return false;
        };
        documents.read(lines, read, damaged);
        if (!fault.empty()) return fault;
        if (!lines.fault().empty()) return lines.fault();
        if (lines.is_cut()) {
            ++damaged_;
            if (!options_.skip_damaged_lines) return "has truncated compressed data";
        }
        if (found > 0) return {};
        if (damaged_spans_ > 0) return "has no span with a trace ID and a span ID of hexadecimal digits";
        if (understood > 0) return has_room_for_spans ? "has no spans in OTLP's structure" : "";
        if (lines.is_cut()) return "is truncated or damaged: it cannot be decompressed";
        if (!strange.empty()) return strange;
        return damaged_ > 0 ? detail::what_text_is(lines.begin()) : "";
    }

    // Assembles the traces of one heap of spans.
    template <class Matches>
    static std::string put_together(const heaps& spans, heaps& traces, std::size_t heap, Matches& matches) {
        std::unordered_map<std::string, detail::trace_in_file> open;
        std::vector<std::pair<const std::string, detail::trace_in_file>*> in_order;
        std::string fault;
        heaps::reader records(spans, heap);
        while (const auto record = records.next(fault)) {
            detail::record_reader from(*record);
            std::string id = from.text();
            const auto place = from.number<std::uint64_t>();
            const auto request = from.number<std::uint64_t>();
            detail::file_span span;
            read_record(from, span);
            const auto [at, is_new] = open.try_emplace(std::move(id), place);
            if (is_new) in_order.push_back(&*at);
            at->second.add(request, std::move(span));
        }
        std::string record;
        for (auto* const one : in_order) {
            const std::uint64_t place = one->second.place();
            const trace_info whole = one->second.finish(one->first);
            if (!matches(whole)) continue;
            record.clear();
            detail::record_writer to(record);
            to.number(place);
            detail::write_record(to, whole);
            if (fault.empty()) fault = traces.add(heap, record);
        }
        return fault;
    }

    // Calls `take` for the records of the heaps of traces, each of which is in file order, until it returns false.
    template <class Take>
    static std::string merge(const heaps& traces, Take take) {
        struct head {
            std::uint64_t place;
            std::size_t heap;
            std::string_view record;
            bool operator<(const head& other) const noexcept { return place > other.place; }
        };
        std::string fault;
        std::vector<heaps::reader> readers;
        std::priority_queue<head> heads;
        const auto advance = [&](std::size_t heap) {
            const auto record = readers[heap].next(fault);
            if (record) heads.push({detail::record_reader(*record).number<std::uint64_t>(), heap, *record});
        };
        for (std::size_t heap = 0; heap < heaps::count; ++heap) readers.emplace_back(traces, heap);
        for (std::size_t heap = 0; heap < heaps::count; ++heap) advance(heap);
        while (!heads.empty() && fault.empty()) {
            const head first = heads.top();
            heads.pop();
            if (!take(first.record)) return {};
            advance(first.heap);
        }
        return fault;
    }

    options options_;
    std::size_t damaged_ = 0;
    std::size_t damaged_spans_ = 0;
    std::size_t others_ = 0;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
