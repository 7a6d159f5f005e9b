// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "exceptions.hpp"
#include "source.hpp"
#include <mlflow/trace/client/file_documents.hpp>
#include <mlflow/trace/client/file_span.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

// The steps within turns that people look for: tools and failures.
namespace turns {

namespace mt = mlflow::trace;

struct step {
    std::string id;
    std::string parent;
    std::string name;
    bool is_tool = false;
    bool is_failed = false;
    std::string message;    ///< why it failed, if the span says so
    std::int64_t start = 0; ///< nanoseconds since 1970
    std::int64_t end = 0;
    std::string inputs;
    std::string outputs;
    std::string stack{}; ///< of the last exception
};

using steps_by_trace = std::unordered_map<std::string, std::vector<step>>;

using exceptions::unquoted;

inline bool says_tool(std::string_view key, std::string_view value) {
    if (key == "mlflow.spanType" || key == "openinference.span.kind") return value == "TOOL";
    return key == "gen_ai.operation.name" && value == "execute_tool";
}

// A caught exception of a span that ended well is no failure.
inline void tell(step& of, exceptions::thrown last) {
    if (!of.is_failed) return;
    of.message = last.told_with(of.message);
    of.stack = std::move(last.stack);
}

inline step step_of(const mt::stored_span& span) {
    step read{span.id,
              span.parent,
              span.name,
              false,
              span.status == mt::trace_status::error,
              span.status_message,
              span.start_unix_nano,
              span.end_unix_nano,
              "",
              ""};
    for (const auto& [key, value] : span.attributes) {
        read.is_tool = read.is_tool || says_tool(key, unquoted(value));
        if (key == "mlflow.spanInputs") read.inputs = unquoted(value);
        if (key == "mlflow.spanOutputs") read.outputs = unquoted(value);
    }
    tell(read, exceptions::last_of(span));
    return read;
}

inline step step_of(mt::detail::json_value span) {
    namespace read = mt::detail;
    const auto hex = [](read::json_value told) {
        std::string text;
        for (const char c : read::read_id(told, 8).value_or(""))
            read::append_hex_digits(text, static_cast<unsigned char>(c), 2);
        return text;
    };
    const auto nano = [](read::json_value told) {
        const auto number =
            told.is(read::json_value::kind::text) ? read::json_value::integer_in(told.raw()) : told.integer();
        return number.value_or(0);
    };
    const read::json_value code = span["status"]["code"];
    const read::span_attributes attributes(span["attributes"]);
    const read::translated_span translated(attributes, span["events"]);
    step found{hex(span.any_of("spanId", "span_id")),
               hex(span.any_of("parentSpanId", "parent_span_id")),
               span["name"].text(),
               false,
               code.integer() == 2 || code.raw() == "STATUS_CODE_ERROR" || code.raw() == "2",
               span["status"]["message"].text(),
               nano(span.any_of("startTimeUnixNano", "start_time_unix_nano")),
               nano(span.any_of("endTimeUnixNano", "end_time_unix_nano")),
               unquoted(translated.inputs()),
               unquoted(translated.outputs())};
    for (const char* const key : {"mlflow.spanType", "openinference.span.kind", "gen_ai.operation.name"})
        if (const auto value = attributes[key]; !value.is_none())
            found.is_tool = found.is_tool || says_tool(key, unquoted(value.text()));
    tell(found, exceptions::last_of(span["events"]));
    return found;
}

/// The steps of these traces, ordered by the start of their spans.
inline mt::result<steps_by_trace> steps_of(source& from, const arguments::common& told,
                                           const std::vector<std::string>& ids) {
    steps_by_trace all;
    if (from.server()) {
        const auto traces = from.server()->get_all(ids);
        if (!traces) return mt::failure{traces.error()};
        for (const mt::stored_trace& trace : *traces)
            for (const mt::stored_span& span : trace.spans) all[trace.info.trace_id].push_back(step_of(span));
    } else {
        for (const std::string& id : ids) all[id];
        mt::detail::file_lines lines;
        if (auto fault = lines.open(arguments::path_of(told.tracking_uri), arguments::compressions()); !fault.empty())
            return mt::failure{mt::error(mt::error_kind::file, {}, fault)};
        const auto read = [&](mt::detail::json_value document, std::size_t) {
            mt::detail::for_each_otlp_span(document, [&](mt::detail::json_value span, const auto&) {
                const auto id = mt::detail::read_id(span.any_of("traceId", "trace_id"), 16);
                const auto found = id ? all.find(mt::detail::shown_trace_id(*id)) : all.end();
                if (found != all.end()) found->second.push_back(step_of(span));
            });
        };
        mt::detail::file_documents().read(lines, read, [](std::size_t) { return true; });
        if (!lines.fault().empty()) return mt::failure{mt::error(mt::error_kind::file, {}, lines.fault())};
    }
    for (auto& [id, steps] : all) {
        // A span that was delivered again counts once, the last time. Spans without an ID are different ones.
        std::unordered_set<std::string> known;
        std::reverse(steps.begin(), steps.end());
        std::erase_if(steps, [&](const step& one) { return !one.id.empty() && !known.insert(one.id).second; });
        std::reverse(steps.begin(), steps.end());
        std::stable_sort(steps.begin(), steps.end(), [](const step& a, const step& b) { return a.start < b.start; });
    }
    return all;
}

/// The failures without a failed child that says why.
inline std::vector<const step*> causes_in(const std::vector<step>& steps) {
    std::unordered_set<std::string_view> explained;
    for (const step& one : steps)
        if (one.is_failed && !one.message.empty() && !one.parent.empty()) explained.insert(one.parent);
    std::vector<const step*> causes;
    for (const step& one : steps)
        if (one.is_failed && !explained.contains(one.id)) causes.push_back(&one);
    return causes;
}

/// Why a model ended an answer of nothing, where a span says so: `generate ended with content_filter`.
inline std::string ending_of(const std::vector<step>& steps) {
    const auto reason_in = [](const mt::detail::json& said) {
        for (const char* const key : {"finish_reason", "stop_reason"})
            if (const std::string reason = mt::detail::text_of(said, key); !reason.empty()) return reason;
        return std::string();
    };
    for (auto one = steps.rbegin(); one != steps.rend(); ++one) {
        const auto said = one->outputs.starts_with('{') ? mt::detail::parse_json(one->outputs) : std::nullopt;
        if (!said) continue;
        std::string reason = reason_in(*said);
        if (const auto& choices = mt::detail::member(*said, "choices"); reason.empty() && choices.is_array())
            for (const auto& choice : choices) reason = reason.empty() ? reason_in(choice) : reason;
        if (!reason.empty() && reason != "stop" && reason != "end_turn") return one->name + " ended with " + reason;
    }
    return {};
}

} // namespace turns
