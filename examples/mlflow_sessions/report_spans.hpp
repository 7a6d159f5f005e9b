// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include "exceptions.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

// Reads the spans of selected traces from either kind of source, in the format of the report page.
namespace report {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

inline std::string dumped(const json& value) { return value.dump(-1, ' ', false, json::error_handler_t::replace); }

// [ID, parent, name, start and end in microseconds after 1970, failed, message, inputs, outputs, [key, value, …],
//  [[name, time in microseconds, [key, value, …]], …]], the last of which are events
inline constexpr std::size_t of_id = 0, of_parent = 1, of_name = 2, of_start = 3, of_failed = 5, of_message = 6;

// Leaves out attributes that repeat the inputs or outputs.
inline json span_of(json begin, std::string inputs, std::string outputs,
                    const std::vector<std::pair<std::string, std::string>>& attributes, json events) {
    json others = json::array();
    for (const auto& [key, value] : attributes) {
        if (key == "mlflow.spanInputs" || key == "mlflow.spanOutputs" || key == "mlflow.traceRequestId" ||
            (value.size() > 16 && (value == inputs || value == outputs)))
            continue;
        others.push_back(key);
        others.push_back(value);
    }
    begin.push_back(std::move(inputs));
    begin.push_back(std::move(outputs));
    begin.push_back(std::move(others));
    if (!events.empty()) begin.push_back(std::move(events));
    return begin;
}

using exceptions::unquoted;

inline json span_of(const mt::stored_span& told) {
    std::string inputs;
    std::string outputs;
    std::vector<std::pair<std::string, std::string>> attributes;
    for (const auto& [key, value] : told.attributes) {
        if (key == "mlflow.spanInputs") inputs = unquoted(value);
        else if (key == "mlflow.spanOutputs") outputs = unquoted(value);
        else attributes.emplace_back(key, unquoted(value));
    }
    json events = json::array();
    for (const mt::stored_span::event& one : told.events) {
        json pairs = json::array();
        for (const auto& [key, value] : one.attributes) {
            pairs.push_back(key);
            pairs.push_back(unquoted(value));
        }
        events.push_back({one.name, one.unix_nano / 1000, std::move(pairs)});
    }
    const bool failed = told.status == mt::trace_status::error;
    return span_of({told.id, told.parent, told.name, told.start_unix_nano / 1000, told.end_unix_nano / 1000,
                    failed ? 1 : 0,
                    failed ? exceptions::last_of(told).told_with(told.status_message) : told.status_message},
                   std::move(inputs), std::move(outputs), attributes, std::move(events));
}

// The ID of a span, with the leading zeros restored.
inline std::string hex_of(std::string_view bytes) {
    std::string hex(bytes.size() < 8 ? 16 - 2 * bytes.size() : 0, '0');
    for (const char c : bytes) mt::detail::append_hex_digits(hex, static_cast<unsigned char>(c), 2);
    return hex;
}

inline std::int64_t microseconds_of(mt::detail::json_value told) {
    using kind = mt::detail::json_value::kind;
    const auto nano = told.is(kind::text) ? mt::detail::json_value::integer_in(told.raw()) : told.integer();
    return nano.value_or(0) / 1000;
}

// A span of a file; null if it has no IDs.
inline json span_of(mt::detail::json_value told) {
    namespace read = mt::detail;
    using kind = read::json_value::kind;
    const auto id = read::read_id(told.any_of("spanId", "span_id"), 8);
    if (!id) return nullptr;
    const auto parent_id = told.any_of("parentSpanId", "parent_span_id");
    const auto parent = parent_id.is(kind::text) ? read::read_id(parent_id, 8) : std::nullopt;
    const read::json_value code = told["status"]["code"];
    const bool failed = code.integer() == 2 || code.raw() == "STATUS_CODE_ERROR" || code.raw() == "2";
    std::string message = told["status"]["message"].text();
    if (failed) message = exceptions::last_of(told["events"]).told_with(message);
    const read::span_attributes all(told["attributes"]);
    const read::translated_span translated(all, told["events"]);
    std::vector<std::pair<std::string, std::string>> attributes;
    all.for_each("", [&](std::string_view key, const read::any_value& value) {
        const bool is_of_trace = key.starts_with("mlflow.traceTag.") || key.starts_with("mlflow.traceMetadata.");
        if (!is_of_trace)
            attributes.emplace_back(key,
                                    value.what() == read::any_kind::text ? value.text() : read::stored_json(value));
    });
    json events = json::array();
    if (const auto list = told["events"]; list.is(kind::array))
        for (const auto event : list) {
            json pairs = json::array();
            read::span_attributes(event["attributes"])
                .for_each("", [&](std::string_view key, const read::any_value& value) {
                    pairs.push_back(key);
                    pairs.push_back(value.what() == read::any_kind::text ? value.text() : read::stored_json(value));
                });
            const auto when = microseconds_of(event.any_of("timeUnixNano", "time_unix_nano"));
            events.push_back({event["name"].text(), when, std::move(pairs)});
        }
    return span_of({hex_of(*id), parent ? hex_of(*parent) : std::string(), told["name"].text(),
                    microseconds_of(told.any_of("startTimeUnixNano", "start_time_unix_nano")),
                    microseconds_of(told.any_of("endTimeUnixNano", "end_time_unix_nano")), failed ? 1 : 0,
                    std::move(message)},
                   translated.inputs(), translated.outputs(), attributes, std::move(events));
}

// Orders spans by their start. The last span with an ID counts.
inline json in_order(json spans) {
    std::unordered_map<std::string, std::size_t> last;
    for (std::size_t at = 0; at < spans.size(); ++at) last[spans[at][of_id].get<std::string>()] = at;
    json kept = json::array();
    for (std::size_t at = 0; at < spans.size(); ++at)
        if (last[spans[at][of_id].get<std::string>()] == at) kept.push_back(std::move(spans[at]));
    std::stable_sort(kept.begin(), kept.end(),
                     [](const json& a, const json& b) { return a[of_start] < b[of_start]; });
    return kept;
}

/// Calls take(place, spans) for each position in `ids`, in order. Returns an error text, or an empty text.
using take_spans = std::function<void(std::size_t, json)>;

inline std::string read_spans(arguments::server& server, const arguments::common& told,
                              const std::vector<std::string>& ids, const take_spans& take) {
    const std::size_t at_once = 100 * told.connections;
    for (std::size_t begin = 0; begin < ids.size(); begin += at_once) {
        const auto some = std::span(ids).subspan(begin, std::min(at_once, ids.size() - begin));
        const auto found = server.get_all(some);
        if (!found) return found.error().message();
        std::unordered_map<std::string_view, const mt::stored_trace*> by_id;
        for (const mt::stored_trace& one : *found) by_id.emplace(one.info.trace_id, &one);
        for (std::size_t at = 0; at < some.size(); ++at) {
            json spans = json::array();
            if (const auto one = by_id.find(some[at]); one != by_id.end())
                for (const mt::stored_span& span : one->second->spans) spans.push_back(span_of(span));
            take(begin + at, in_order(std::move(spans)));
        }
    }
    return {};
}

// Reads the file a second time. Data beyond 64 MiB is stored in a temporary file, in heaps of neighbouring traces.
inline std::string read_spans(mt::trace_file&, const arguments::common& told, const std::vector<std::string>& ids,
                              const take_spans& take) {
    using heaps = mt::detail::record_heaps;
    std::unordered_map<std::string_view, std::uint32_t> places;
    for (const std::string& id : ids) places.emplace(id, static_cast<std::uint32_t>(places.size()));
    const auto heap_of = [&](std::size_t place) {
        return place * heaps::count / std::max<std::size_t>(ids.size(), 1);
    };
    const char* const folder = std::getenv("TMPDIR");
    heaps spans(std::size_t{64} << 20U, folder && *folder ? folder : "/tmp");
    mt::detail::file_lines lines;
    std::string fault = lines.open(arguments::path_of(told.tracking_uri), arguments::compressions());
    if (!fault.empty()) return fault;
    std::string record;
    const auto read = [&](mt::detail::json_value document, std::size_t) {
        if (!mt::detail::is_otlp(document)) return;
        mt::detail::for_each_otlp_span(document, [&](mt::detail::json_value told_of, const mt::detail::span_source&) {
            const auto id = mt::detail::read_id(told_of.any_of("traceId", "trace_id"), 16);
            const auto place = id ? places.find(mt::detail::shown_trace_id(*id)) : places.end();
            if (place == places.end()) return;
            const json span = span_of(told_of);
            if (span.is_null()) return;
            record.clear();
            mt::detail::record_writer to(record);
            to.number(place->second);
            to.text(dumped(span));
            if (fault.empty()) fault = spans.add(heap_of(place->second), record);
        });
    };
    mt::detail::file_documents documents;
    documents.read(lines, read, [](std::size_t) { return true; });
    if (fault.empty()) fault = lines.fault();
    std::size_t place = 0;
    for (std::size_t heap = 0; heap < heaps::count && fault.empty(); ++heap) {
        std::unordered_map<std::size_t, json> found;
        heaps::reader records(spans, heap);
        while (const auto one = records.next(fault)) {
            mt::detail::record_reader from(*one);
            const auto of = from.number<std::uint32_t>();
            json& all = found.try_emplace(of, json::array()).first->second;
            all.push_back(json::parse(from.text()));
        }
        for (; place < ids.size() && heap_of(place) == heap; ++place) {
            const auto one = found.find(place);
            take(place, one == found.end() ? json::array() : in_order(std::move(one->second)));
        }
        spans.clear(heap);
    }
    return fault;
}

} // namespace report
