// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/metadata/identity.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Metadata or tags.
using text_map = std::map<std::string, std::string, std::less<>>;

/// Who or what made an assessment.
struct assessment_source {
    std::string type = "HUMAN"; ///< `HUMAN`, `LLM_JUDGE` or `CODE`
    std::string id{};           ///< for example the user's ID
};

/// An assessment stored with a trace: feedback or an expectation.
struct assessment {
    /// What kind of assessment.
    enum class kind : std::uint8_t { feedback, expectation, other };

    /// Its ID.
    std::string id;
    /// The ID of its trace.
    std::string trace_id;
    std::string span_id; ///< empty: the whole trace
    /// Its name, for example `helpful`.
    std::string name;
    /// What kind it is.
    kind what = kind::other;
    std::string value;   ///< as JSON text: `true`, `0.8`, `"good"`; empty if there is none
    std::string error{}; ///< why there is no value: code and message of the failure; empty otherwise
    /// Why it has this value; may be empty.
    std::string rationale;
    /// Who or what made it.
    assessment_source source;
    /// Additional key-value pairs.
    text_map metadata;
    std::string overrides; ///< ID of the assessment that this one replaces
    bool valid = true;     ///< false: another assessment replaces this one

    /// Whether it belongs to a session; it is then stored with the session's first trace.
    [[nodiscard]] bool is_of_session() const { return metadata.contains(session::name); }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
