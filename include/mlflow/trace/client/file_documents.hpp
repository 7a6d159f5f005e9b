// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/file_bytes.hpp>
#include <mlflow/trace/client/file_span.hpp>
#include <mlflow/trace/client/json_tree.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// The JSON documents of a file: one per line, spread over several lines, or the elements of a list.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Describes a JSON document that is not an OTLP trace, with a remedy.
inline std::string what_it_is(json_value told) {
    using kind = json_value::kind;
    const auto first_of = [](json_value list) {
        return list.is(kind::array) && !list.empty() ? *list.begin() : json_value();
    };
    const auto is_span = [](json_value one) {
        return one.any_of("traceId", "trace_id").is(kind::text) && one.any_of("spanId", "span_id").is(kind::text);
    };
    constexpr const char* to_collector = "; send the spans through the OpenTelemetry Collector, whose file exporter "
                                         "writes OTLP JSON";
    if (!told.any_of("resourceLogs", "resource_logs").is(kind::null)) return "has OTLP logs, not traces";
    if (!told.any_of("resourceMetrics", "resource_metrics").is(kind::null)) return "has OTLP metrics, not traces";
    if (told.contains("traceID") || first_of(told["data"]).contains("traceID") || told.contains("operationName"))
        return std::string("is Jaeger's own JSON; use Jaeger's /api/v3/traces, which returns OTLP, or") +
               (to_collector + 1);
    if (told.contains("localEndpoint") || (told.contains("traceId") && told.contains("id") && !told.contains("type")))
        return std::string("is Zipkin's JSON") + to_collector;
    if (told["context"].contains("trace_id") || told.contains("SpanContext") || told.contains("instrumentationScope"))
        return std::string("is what a console exporter of OpenTelemetry prints") + to_collector;
    if (told.contains("trace_info") || told["trace"].contains("trace_info") ||
        first_of(told["traces"]).contains("trace_location") || first_of(told["traces"]).contains("trace_id") ||
        (told.contains("trace_id") && told.contains("trace")) || told["info"].contains("trace_id") ||
        told["info"].contains("request_id") || first_of(told["spans"]).contains("trace_id") ||
        first_of(told["spans"]).contains("context"))
        return "is MLflow's own JSON of a trace; use the URL of the MLflow server that has it";
    if (told.contains("trace_id") && told.contains("duration_ms"))
        return "is an export of mlflow_sessions; use the server or file that it was made from";
    if (is_span(told) || is_span(first_of(told["spans"])))
        return R"(has spans outside of OTLP's structure: {"resourceSpans":[{"scopeSpans":[{"spans":[…]}]}]})";
    if (told["log"].is(kind::text)) return "is a container log; extract its lines with jq -r .log";
    if (told.is(kind::text)) return "is JSON inside a JSON string; extract it with jq -r .";
    if (told.contains("error") || told.contains("errors") || told.contains("errorCode"))
        return "is a server's error response, not traces";
    return "is JSON, but not OTLP's: it has no resourceSpans";
}

// Describes a file without a line of JSON by its beginning, with a remedy.
inline std::string what_text_is(std::string_view begin) {
    constexpr std::string_view console =
        "is what a console exporter of OpenTelemetry prints; send the spans through the "
        "OpenTelemetry Collector, whose file exporter writes OTLP JSON";
    constexpr struct {
        std::string_view mark, what;
    } marks[] = {
        {"{'resourceSpans'", "is a printed Python dictionary; write it with json.dumps"},
        {"ResourceSpans #",
         "is what the Collector's debug exporter prints; use its file exporter, which writes OTLP JSON"},
        {"<html", "is a web page, perhaps a login page; use an OTLP JSON lines file"},
        {"traceId: '", console},          // JavaScript
        {"trace_id      :", console},     // C++
        {"Activity.TraceId:", console},   // .NET
        {"LoggingSpanExporter", console}, // Java
        {"\nSpan #0", console},           // Rust
        {" [tracer: ", console},          // Java, with a format of its own
    };
    for (const auto& [mark, what] : marks)
        if (begin.find(mark) != std::string_view::npos) return std::string(what);
    if (begin.find("resourceSpans") == std::string_view::npos)
        return "has no line of JSON; use an OTLP JSON lines file";
    const auto first = begin.find_first_not_of(" \t\r\n");
    if (begin[first] == '{' || begin[first] == '[') return "is truncated or damaged OTLP JSON: no line is JSON";
    return "has other text before the OTLP JSON, so no line is JSON; remove that text from each line";
}

// A file of traces may also contain logs and metrics of the same application.
inline bool is_other_signal(json_value document) noexcept {
    return !document.any_of("resourceLogs", "resource_logs").is(json_value::kind::null) ||
           !document.any_of("resourceMetrics", "resource_metrics").is(json_value::kind::null);
}

// Removes what may stand before a document: byte order marks, and the character with which each document begins
// according to RFC 7464.
inline std::string_view without_marks(std::string_view line) noexcept {
    while (line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
    if (line.starts_with('\x1e')) line.remove_prefix(1);
    return line;
}

class file_documents {
public:
    // Calls `take(json_value, line number)` for each document, and `damaged(line number)` for text that is not JSON;
    // `damaged` returns whether to continue. `lines` are those of a file_lines, without their ends.
    template <class Lines, class Take, class Damaged>
    void read(Lines& lines, Take take, Damaged damaged) {
        std::size_t number = 0;
        bool goes_on = true;
        const auto give_up = [&](std::string_view text) {
            text_ = text;
            goes_on = goes_on && damaged(first_line_);
            forget();
        };
        const auto give = [&](std::string_view text, bool is_line) {
            is_line_ = is_line;
            text_ = text;
            if (!tree_.read(text, deepest)) return false;
            const json_value root = tree_.root();
            if (!root.is(json_value::kind::array)) return take(root, first_line_), true;
            for (const json_value one : root) take(one, first_line_);
            return true;
        };
        for (std::string_view line; goes_on && lines.next(line);) {
            ++number;
            if (line.ends_with('\r')) line.remove_suffix(1);
            line = without_marks(line);
            if (!waiting_.empty() && begins_anew(line)) give_up(waiting_);
            if (waiting_.empty()) {
                if (is_blank(line)) continue;
                first_line_ = number;
                if (!(is_in_list_ && line.ends_with(',')) && give(line, true)) continue;
            }
            while (goes_on && !line.empty()) {
                if (waiting_.empty()) {
                    first_line_ = number;
                    skip_between(line);
                    if (line.empty()) break;
                    if (line[0] != '{' && line[0] != '[') {
                        give_up(line);
                        break;
                    }
                }
                const std::size_t end = scan(line);
                if (end == none) {
                    waiting_ += line;
                    waiting_ += '\n';
                    if (in_text_) give_up(waiting_); // a string cannot continue on the next line
                    break;
                }
                waiting_ += line.substr(0, end);
                line.remove_prefix(end);
                const std::string whole = std::exchange(waiting_, {});
                forget();
                if (!give(whole, false)) give_up(whole);
            }
        }
        if (!waiting_.empty()) give_up(waiting_);
    }

    // During a call of `take`: whether the document, or the list with it, is a line of its own.
    [[nodiscard]] bool is_line() const noexcept { return is_line_; }
    // During a call of `take`: whether it has values that were left out because they are nested too deep.
    [[nodiscard]] bool is_too_deep() const noexcept { return tree_.is_too_deep(); }
    // During a call of `take` or `damaged`: the text, of several lines if it has a line end.
    [[nodiscard]] std::string_view text() const noexcept { return text_; }

private:
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    static constexpr std::size_t deepest = 400;

    void forget() {
        waiting_.clear();
        depth_ = 0;
        in_text_ = false;
    }
    static bool is_blank(std::string_view line) { return line.find_first_not_of(" \t\r") == std::string_view::npos; }
    // No writer of multi-line documents begins an inner line like this, so the document before it was truncated.
    static bool begins_anew(std::string_view line) {
        if (!line.starts_with('{')) return false;
        line.remove_prefix(1);
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        for (const std::string_view name :
             {"\"resourceSpans\"", "\"resource_spans\"", "\"resourceLogs\"", "\"resourceMetrics\""})
            if (line.starts_with(name)) return true;
        return false;
    }
    // Skips white space, commas, and the brackets of a list, which may be missing.
    void skip_between(std::string_view& line) {
        while (!line.empty()) {
            if (line[0] == '[' && !is_in_list_) is_in_list_ = true;
            else if (line[0] == ']' && is_in_list_) is_in_list_ = false;
            else if (!is_json_space(line[0]) && line[0] != ',') return;
            line.remove_prefix(1);
        }
    }
    // The end of the value that begins in `waiting_` or in this line; `none` if it does not end in this line.
    std::size_t scan(std::string_view line) {
        for (std::size_t at = 0; at < line.size(); ++at) {
            const char c = line[at];
            if (in_text_) {
                if (c == '\\') ++at;
                else if (c == '"') in_text_ = false;
            } else if (c == '"') {
                in_text_ = true;
            } else if (c == '{' || c == '[') {
                ++depth_;
            } else if ((c == '}' || c == ']') && --depth_ <= 0) {
                return at + 1;
            }
        }
        return none;
    }

    json_tree tree_;
    std::string waiting_;
    std::string_view text_;
    std::size_t first_line_ = 0;
    std::ptrdiff_t depth_ = 0;
    bool in_text_ = false;
    bool is_in_list_ = false;
    bool is_line_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
