// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/preview.hpp>
#include <mlflow/trace/client/search.hpp>
#include <mlflow/trace/client/trace_json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Information about an evaluation dataset. Its records are inputs with expectations.
struct dataset {
    /// The dataset's ID.
    std::string id;
    /// Its name.
    std::string name;
    /// Its tags.
    text_map tags;
    /// The number of its records.
    std::size_t records = 0;
    /// When it was created.
    trace_time created{};
    /// When it was last changed.
    trace_time last_update{};
};

/// What a record was made from.
struct record_source {
    std::string type = "CODE"; ///< `TRACE`, `HUMAN`, `DOCUMENT` or `CODE`
    /// The ID of the trace; may be empty.
    std::string trace_id{};
    /// The ID of the session; may be empty.
    std::string session_id{};
};

/// One record of a dataset.
struct dataset_record {
    std::string id{};              ///< assigned by the server
    nlohmann::json inputs;         ///< an object: the named arguments of the evaluated function
    nlohmann::json outputs{};      ///< the answer; null if there is none
    nlohmann::json expectations{}; ///< an object, or null
    /// What the record was made from.
    record_source source{};
    /// Tags of the record.
    text_map tags{};
};

namespace detail {

inline std::optional<dataset> read_dataset(const json& told) {
    const auto time = [&](const char* key) { return trace_time(std::chrono::milliseconds(integer_of(told, key))); };
    dataset read{.id = text_of(told, "dataset_id"),
                 .name = text_of(told, "name"),
                 .tags = texts_of({{"tags", parse_json(text_of(told, "tags")).value_or(json())}}, "tags"),
                 .created = time("created_time"),
                 .last_update = time("last_update_time")};
    if (read.id.empty()) return std::nullopt;
    if (const auto profile = parse_json(text_of(told, "profile")))
        read.records = static_cast<std::size_t>(std::max<std::int64_t>(integer_of(*profile, "num_records"), 0));
    return read;
}

// Returns what is wrong with a record, or null.
inline const char* fault_of(const dataset_record& record) {
    if (!record.inputs.is_object() || record.inputs.empty())
        return "inputs must be a non-empty object of named arguments";
    if (!record.expectations.is_null() && !record.expectations.is_object())
        return "expectations must be an object of named values";
    for (const char* const type : {"TRACE", "HUMAN", "DOCUMENT", "CODE"})
        if (record.source.type == type) return nullptr;
    return "the source type must be TRACE, HUMAN, DOCUMENT or CODE";
}

inline json record_body(const dataset_record& record) {
    json source = json::object();
    if (!record.source.trace_id.empty()) source["trace_id"] = record.source.trace_id;
    if (!record.source.session_id.empty()) source["session_id"] = record.source.session_id;
    json body{{"inputs", record.inputs},
              {"source", {{"source_type", record.source.type}, {"source_data", std::move(source)}}},
              {"tags", json(record.tags)}};
    if (!record.outputs.is_null()) body["outputs"] = record.outputs;
    if (!record.expectations.is_null()) body["expectations"] = record.expectations;
    return body;
}

inline dataset_record read_record(const json& told) {
    const json& source = member(told, "source");
    const json& from = member(source, "source_data");
    return {.id = text_of(told, "dataset_record_id"),
            .inputs = member(told, "inputs"),
            .outputs = member(told, "outputs"),
            .expectations = member(told, "expectations"),
            .source = {text_of(source, "source_type"), text_of(from, "trace_id"), text_of(from, "session_id")},
            .tags = texts_of(told, "tags")};
}

inline const stored_span* root_of(const stored_trace& trace) {
    const auto root = std::find_if(trace.spans.begin(), trace.spans.end(),
                                   [](const stored_span& one) { return one.parent.empty(); });
    return root == trace.spans.end() ? nullptr : &*root;
}
inline std::string_view attribute_of(const stored_span& span, std::string_view key) {
    const auto found = span.attributes.find(key);
    return found == span.attributes.end() ? std::string_view() : found->second;
}

// What a user or an assistant said, according to inputs or outputs in JSON: the last message of a chat, a text, the
// only member of an object if it is a text, or else all of it.
inline std::string said_in(std::string_view stored, std::string_view role) {
    using kind = json_value::kind;
    json_tree tree;
    if (!tree.read(stored)) return std::string(stored);
    const json_value told = tree.root();
    if (told.is(kind::text)) return told.text();
    if (const auto message = message_to_show(told, role))
        if (std::string text = text_of_message(*message); !text.empty()) return text;
    if (told.is(kind::object) && !told.empty())
        if (const json_value first = *told.begin(); ++told.begin() == told.end() && first.is(kind::text))
            return first.text();
    return std::string(stored);
}

inline double score_of(const assessment& one) {
    const auto value = parse_json(one.value).value_or(json());
    return value.is_boolean() ? (value.get<bool>() ? 1 : 0) : value.get<double>();
}
inline bool has_score(const assessment& one) {
    const auto value = parse_json(one.value);
    return value && (value->is_boolean() || value->is_number());
}

} // namespace detail

/// A record made from a trace: inputs and outputs of its root span, its valid expectations, and the trace as source.
/// Inputs that are not an object become its member `input`. Returns nothing if the root span has no inputs.
[[nodiscard]] inline std::optional<dataset_record> record_of(const stored_trace& trace) {
    const stored_span* const root = detail::root_of(trace);
    if (!root) return std::nullopt;
    auto inputs = detail::parse_json(detail::attribute_of(*root, "mlflow.spanInputs"));
    if (!inputs || inputs->is_null() || (inputs->is_structured() && inputs->empty())) return std::nullopt;
    dataset_record record;
    record.inputs = inputs->is_object() ? std::move(*inputs) : nlohmann::json{{"input", std::move(*inputs)}};
    record.outputs = detail::parse_json(detail::attribute_of(*root, "mlflow.spanOutputs")).value_or(nullptr);
    for (const assessment& one : trace.info.assessments)
        if (one.what == assessment::kind::expectation && one.valid)
            record.expectations[one.name] = detail::parse_json(one.value).value_or(nullptr);
    record.source = {"TRACE", trace.info.trace_id, std::string(trace.info.session())};
    record.tags[trace.info.trace_id] = record.source.session_id;
    return record;
}

/// One record made from a whole session. The inputs are `{"messages": […]}` in OpenAI's format: everything that was
/// said up to the user's last message. The outputs are the last answer, the source is the last trace. Turns whose
/// root span has no inputs are left out; returns nothing if no turn has any.
[[nodiscard]] inline std::optional<dataset_record> record_of_session(std::vector<stored_trace> turns) {
    std::erase_if(turns, [](const stored_trace& one) { return !record_of(one); });
    if (turns.empty()) return std::nullopt;
    std::sort(turns.begin(), turns.end(), [](const stored_trace& a, const stored_trace& b) {
        return std::tie(a.info.request_time, a.info.trace_id) < std::tie(b.info.request_time, b.info.trace_id);
    });
    auto messages = nlohmann::json::array();
    const auto add = [&](const char* role, const stored_trace& turn, std::string_view key) {
        const std::string_view stored = detail::attribute_of(*detail::root_of(turn), key);
        if (!stored.empty()) messages.push_back({{"role", role}, {"content", detail::said_in(stored, role)}});
    };
    text_map tags;
    for (const stored_trace& turn : turns) {
        add("user", turn, "mlflow.spanInputs");
        if (&turn != &turns.back()) add("assistant", turn, "mlflow.spanOutputs");
        tags[turn.info.trace_id] = turn.info.session();
    }
    dataset_record record = *record_of(turns.back());
    record.inputs = {{"messages", std::move(messages)}};
    record.tags = std::move(tags);
    return record;
}

/// The traces with the lowest feedback of this name, at most `most`, worst first and, among equals, newest first.
/// Numbers and booleans count as ratings. A trace with several ratings counts with the lowest; ratings of sessions do
/// not count. Memory grows with the number of rated traces. Errors: those of the search.
template <trace_source Source>
[[nodiscard]] result<std::vector<trace_info>> worst_rated(Source& source, std::string_view feedback_name,
                                                          std::size_t most, const trace_query& query = {}) {
    std::vector<std::pair<double, trace_info>> rated;
    const auto done = source.for_each_trace(query, [&](const trace_info& trace) {
        std::optional<double> lowest;
        for (const assessment& one : trace.assessments)
            if (one.what == assessment::kind::feedback && one.valid && one.name == feedback_name &&
                !one.is_of_session() && detail::has_score(one))
                lowest = std::min(lowest.value_or(detail::score_of(one)), detail::score_of(one));
        if (lowest) rated.emplace_back(*lowest, trace);
    });
    if (!done) return failure{done.error()};
    std::sort(rated.begin(), rated.end(), [](const auto& a, const auto& b) {
        return std::tie(a.first, b.second.request_time, a.second.trace_id) <
               std::tie(b.first, a.second.request_time, b.second.trace_id);
    });
    std::vector<trace_info> found;
    for (std::size_t i = 0; i < std::min(most, rated.size()); ++i) found.push_back(std::move(rated[i].second));
    return found;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
