// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/search.hpp>
#include <mlflow/trace/client/trace_json.hpp>
#include <mlflow/trace/detail/utf8.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

namespace detail {

// What a trace in a file is made of, until its root has come.
struct file_trace {
    struct part {
        std::string id;
        std::string parent;
        json usage;
        json cost;
    };
    std::vector<part> parts;
    trace_info info;
    std::int64_t start = 0;
    std::int64_t end = 0;
    bool has_root = false;
    bool has_identity = false;
};

// As MLflow sums up: a span that has an amount speaks for those below it.
inline json sum_over_spans(const std::vector<file_trace::part>& parts, json file_trace::part::* what,
                           std::initializer_list<const char*> keys) {
    std::map<std::string_view, const file_trace::part*> by_id;
    for (const auto& one : parts) by_id.emplace(one.id, &one);
    const auto is_below_another = [&](const file_trace::part& one) {
        auto above = by_id.find(one.parent);
        for (std::size_t level = 0; above != by_id.end() && level < parts.size(); ++level) {
            if ((above->second->*what).is_object()) return true;
            above = by_id.find(above->second->parent);
        }
        return false;
    };
    json sum;
    for (const auto& one : parts) {
        if (!(one.*what).is_object() || is_below_another(one)) continue;
        for (const char* const key : keys) {
            const json& value = member(one.*what, key);
            if (value.is_number_integer()) sum[key] = added(integer_of(sum, key), value.get<std::int64_t>());
            else if (value.is_number()) sum[key] = number_of(sum, key) + value.get<double>();
        }
    }
    return sum;
}

inline std::string preview_of(std::string_view text) {
    constexpr std::size_t longest = 1000; // MLflow's own limit
    const auto head = first_code_points(text, longest);
    return head.size() == text.size() ? std::string(text) : std::string(first_code_points(text, longest - 3)) + "...";
}

inline json json_attribute(const json& value) {
    if (!value.is_string()) return value;
    return parse_json(value.get_ref<const std::string&>()).value_or(json());
}

// What the library writes to any OTLP receiver: identity, tags and previews are attributes of the root.
inline void read_trace_attribute(trace_info& info, std::string_view key, const std::string& text) {
    const auto after = [key](std::string_view prefix) {
        return key.starts_with(prefix) ? std::string(key.substr(prefix.size())) : std::string();
    };
    if (key == "user.id") info.metadata.emplace(user::name, text);
    else if (key == "session.id" || key == "gen_ai.conversation.id") info.metadata.emplace(session::name, text);
    else if (key == "mlflow.clientRequestId") info.client_request_id = text;
    else if (key == "mlflow.traceRequestPreview") info.request_preview = text;
    else if (key == "mlflow.traceResponsePreview") info.response_preview = text;
    else if (key == "mlflow.spanInputs" && info.request_preview.empty()) info.request_preview = preview_of(text);
    else if (key == "mlflow.spanOutputs" && info.response_preview.empty()) info.response_preview = preview_of(text);
    else if (auto name = after("mlflow.traceMetadata."); !name.empty()) info.metadata.emplace(std::move(name), text);
    else if (auto tag = after("mlflow.traceTag."); !tag.empty()) info.tags[std::move(tag)] = text;
}

inline void add_span(file_trace& trace, const json& span) {
    const std::int64_t start = integer_of(span, "startTimeUnixNano");
    const std::int64_t end = integer_of(span, "endTimeUnixNano");
    trace.start = trace.parts.empty() ? start : std::min(trace.start, start);
    trace.end = std::max(trace.end, end);
    file_trace::part part{text_of(span, "spanId"), text_of(span, "parentSpanId"), {}, {}};
    const bool is_root = part.parent.empty();
    const json& attributes = member(span, "attributes");
    for (const json& one : attributes.is_array() ? attributes : json::array()) {
        const std::string key = text_of(one, "key");
        const json value = read_any_value(member(one, "value"));
        if (key == "mlflow.chat.tokenUsage") part.usage = json_attribute(value);
        else if (key == "mlflow.llm.cost") part.cost = json_attribute(value);
        const bool is_identity = key == "user.id" || key == "session.id";
        trace.has_identity = trace.has_identity || is_identity;
        if (is_root || is_identity)
            read_trace_attribute(trace.info, key,
                                 value.is_string() ? value.get_ref<const std::string&>() : dump(value));
    }
    trace.parts.push_back(std::move(part));
    if (!is_root) return;
    trace.has_root = true;
    trace.info.tags.emplace("mlflow.traceName", text_of(span, "name"));
    const json& code = member(member(span, "status"), "code");
    if (code.is_number_integer())
        trace.info.status = code == 2   ? trace_status::error
                            : code == 1 ? trace_status::ok
                                        : trace_status::unspecified;
    else if (code.is_string()) trace.info.status = status_of(code.get_ref<const std::string&>());
}

inline trace_info finish(file_trace& trace, const std::string& id) {
    constexpr std::int64_t nano_per_milli = 1'000'000;
    trace.info.trace_id = "tr-" + id;
    trace.info.request_time = trace_time(std::chrono::milliseconds(trace.start / nano_per_milli));
    trace.info.execution_duration =
        std::chrono::milliseconds(trace.end / nano_per_milli - trace.start / nano_per_milli);
    const auto put = [&](const char* key, const json& sum) {
        if (!sum.is_null()) trace.info.metadata.emplace(key, dump(sum));
    };
    put("mlflow.trace.tokenUsage",
        sum_over_spans(trace.parts, &file_trace::part::usage, {"input_tokens", "output_tokens", "total_tokens"}));
    put("mlflow.trace.cost",
        sum_over_spans(trace.parts, &file_trace::part::cost, {"input_cost", "output_cost", "total_cost"}));
    return std::move(trace.info);
}

} // namespace detail

/// Traces in a file of OTLP JSON lines, as `json_lines_exporter` and the OpenTelemetry Collector write them: searched
/// with the same filters as a server. A file is one experiment, has no assessments, and is read anew by each search.
///
/// A trace is complete with the line that brings its root: a span that ended later does not add its tokens. Memory
/// holds one line, and the traces that match only where they are to be sorted. Errors: a file that cannot be read, a
/// filter that only a server can decide, and a damaged line, which a crash or a full disk may leave behind; with
/// `skip_damaged_lines` it is passed over and counted. Thread-safety: one thread at a time.
class trace_file {
public:
    struct options {
        std::string path = "traces.jsonl";
        bool skip_damaged_lines = false;
    };

    explicit trace_file(options chosen) : options_(std::move(chosen)) {}

    /// How many lines the last search passed over.
    [[nodiscard]] std::size_t damaged_lines() const noexcept { return damaged_; }

    template <class Visit>
    [[nodiscard]] search_result for_each_trace(const trace_query& query, Visit visit) {
        if (!query.where.is_local())
            return fail("spans, text and assessments are searched by a server only: leave them out of the filter");
        if (query.order_by.empty()) {
            std::size_t visited = 0;
            if (query.max_results == 0) return visited;
            const auto error = scan([&](trace_info& trace) {
                if (!query.where.matches(trace)) return true;
                ++visited;
                return detail::wants_more(visit, trace) && visited < query.max_results;
            });
            return error.empty() ? search_result(visited) : fail(error);
        }
        std::vector<trace_info> found;
        const auto error = scan([&](trace_info& trace) {
            if (query.where.matches(trace)) found.push_back(std::move(trace));
            return true;
        });
        if (!error.empty()) return fail(error);
        sort(found, query.order_by);
        std::size_t visited = 0;
        for (const trace_info& trace : found)
            if (visited == query.max_results || (++visited, !detail::wants_more(visit, trace))) break;
        return visited;
    }

private:
    failure<transport_error> fail(std::string_view why) const {
        return failure{transport_error{transport_error::kind::other, options_.path + ": " + std::string(why)}};
    }

    // As a server breaks ties: by ID.
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

    // Calls `take` with each trace until it returns false. Returns what went wrong, or an empty text.
    template <class Take>
    std::string scan(Take take) {
        damaged_ = 0;
        std::ifstream file(options_.path, std::ios::binary);
        if (!file) return "cannot be opened; give the path of a file of OTLP JSON lines";
        std::map<std::string, detail::file_trace> open;
        std::size_t number = 0;
        for (std::string line; std::getline(file, line);) {
            ++number;
            if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
            const auto told = detail::parse_json(line);
            if (!told || !told->is_object()) {
                if (!options_.skip_damaged_lines)
                    return "line " + std::to_string(number) +
                           " is no JSON; it was cut or damaged, and the rest is not "
                           "read; set skip_damaged_lines to pass over it";
                ++damaged_;
                continue;
            }
            add_line(open, *told);
            if (!give(open, take, [](const detail::file_trace& trace) { return trace.has_root; })) return {};
        }
        if (file.bad()) return "cannot be read to its end";
        // Traces whose root is in another process. Others are spans that came later than their root.
        give(open, take, [](const detail::file_trace& trace) { return trace.has_identity; });
        return {};
    }

    static const nlohmann::json& list(const nlohmann::json& object, const char* key) {
        static const nlohmann::json none = nlohmann::json::array();
        const auto& found = detail::member(object, key);
        return found.is_array() ? found : none;
    }
    static void add_line(std::map<std::string, detail::file_trace>& open, const nlohmann::json& line) {
        for (const auto& resource : list(line, "resourceSpans"))
            for (const auto& scope : list(resource, "scopeSpans"))
                for (const auto& span : list(scope, "spans"))
                    if (auto id = detail::text_of(span, "traceId"); !id.empty()) detail::add_span(open[id], span);
    }
    template <class Take, class Is>
    static bool give(std::map<std::string, detail::file_trace>& open, Take& take, Is is_complete) {
        for (auto at = open.begin(); at != open.end();) {
            if (!is_complete(at->second)) {
                ++at;
                continue;
            }
            trace_info whole = detail::finish(at->second, at->first);
            at = open.erase(at);
            if (!take(whole)) return false;
        }
        return true;
    }

    options options_;
    std::size_t damaged_ = 0;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
