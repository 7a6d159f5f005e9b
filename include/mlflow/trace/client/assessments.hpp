// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/trace_json.hpp>

#include <optional>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A rating of a trace, a span, or a session.
struct feedback {
    std::string name = "feedback"; ///< for example `helpful` or `relevance`
    nlohmann::json value{};        ///< a bool, number or text, or a list or object of these
    /// Who rated.
    assessment_source source{};
    /// Why; may be empty.
    std::string rationale{};
    std::string span_id{}; ///< 16 hexadecimal digits; empty: the whole trace
    /// Additional key-value pairs.
    text_map metadata{};
};

/// The expected value of something in a trace, for example the correct answer.
struct expectation {
    /// What is expected.
    std::string name;
    /// Any JSON value.
    nlohmann::json value{};
    /// Who expects it.
    assessment_source source{};
    /// 16 hexadecimal digits; empty: the whole trace.
    std::string span_id{};
    /// Additional key-value pairs.
    text_map metadata{};
};

/// The members of an assessment to change. Empty members stay unchanged; metadata is added to the existing metadata.
struct assessment_changes {
    /// The new name.
    std::optional<std::string> name{};
    /// The new value.
    std::optional<nlohmann::json> value{};
    /// The new rationale.
    std::optional<std::string> rationale{};
    /// Metadata to add.
    text_map metadata{};
};

namespace detail {

// Expectations that are lists or objects are sent as JSON text, as MLflow's own client does.
inline json assessment_value(assessment::kind what, const json& value) {
    if (what == assessment::kind::expectation && value.is_structured())
        return {{"serialized_value", {{"serialization_format", "JSON_FORMAT"}, {"value", dump(value)}}}};
    return {{"value", value}};
}
inline const char* kind_name(assessment::kind what) noexcept {
    return what == assessment::kind::expectation ? "expectation" : "feedback";
}

template <class Assessment>
json assessment_body(const Assessment& told, std::string_view trace_id, std::string_view now) {
    constexpr bool is_feedback = std::is_same_v<Assessment, feedback>;
    constexpr auto what = is_feedback ? assessment::kind::feedback : assessment::kind::expectation;
    json body{{"assessment_name", told.name},
              {"trace_id", trace_id},
              {"source", {{"source_type", told.source.type}, {"source_id", told.source.id}}},
              {"create_time", now},
              {"last_update_time", now},
              {kind_name(what), assessment_value(what, told.value)},
              {"valid", true}};
    if (!told.span_id.empty()) body["span_id"] = told.span_id;
    if (!told.metadata.empty()) body["metadata"] = json(told.metadata);
    if constexpr (is_feedback)
        if (!told.rationale.empty()) body["rationale"] = told.rationale;
    return body;
}

// The names in the mask are those of protobuf's JSON form of a FieldMask.
inline json update_body(const assessment& old, const assessment_changes& changes) {
    json body{{"assessment_id", old.id}, {"trace_id", old.trace_id}};
    std::string mask;
    const auto add = [&](const char* name, const char* in_mask, json value) {
        body[name] = std::move(value);
        mask += (mask.empty() ? "" : ",") + std::string(in_mask);
    };
    if (changes.name) add("assessment_name", "assessmentName", *changes.name);
    if (changes.value) add(kind_name(old.what), kind_name(old.what), assessment_value(old.what, *changes.value));
    if (changes.rationale) add("rationale", "rationale", *changes.rationale);
    if (!changes.metadata.empty()) add("metadata", "metadata", json(changes.metadata));
    return {{"assessment", std::move(body)}, {"update_mask", std::move(mask)}};
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
