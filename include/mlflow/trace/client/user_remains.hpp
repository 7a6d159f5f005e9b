// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/text/percent.hpp>

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// An ID in text: as it is, or as written in JSON.
class written_id {
public:
    explicit written_id(const std::string& id) : id_(id), forms_{id} {
        for (const bool is_ascii : {true, false}) {
            const std::string quoted = json(id).dump(-1, ' ', is_ascii, json::error_handler_t::replace);
            forms_.insert(quoted.substr(1, quoted.size() - 2));
        }
    }
    [[nodiscard]] bool stands_in(std::string_view text) const {
        return std::any_of(forms_.begin(), forms_.end(),
                           [&](const std::string& form) { return text.find(form) != text.npos; });
    }
    // MLflow stores the value of an attribute as JSON, and text such as 1042 or true as the JSON that it looks like.
    [[nodiscard]] bool is_id(std::string_view stored) const {
        return stored == id_ || parse_json(stored) == json(id_);
    }

private:
    std::string id_;
    std::set<std::string> forms_;
};

// The path part of a URL; empty if the server does not serve the files itself.
inline std::string artifact_path(std::string_view location) {
    constexpr std::string_view scheme = "mlflow-artifacts:";
    if (!location.starts_with(scheme) || !is_path_part(location)) return {};
    location.remove_prefix(scheme.size());
    if (location.starts_with("//")) location = location.substr(std::min(location.find('/', 2), location.size()));
    if (location.find("/traces/") == location.npos) return {};
    std::string path;
    for (const char c : location) path += c == '/' ? "/" : percent_encoded({&c, 1});
    return path;
}

// MLflow copies the tags of a record to the trace of its evaluation; they are the IDs of the record's source
// traces.
inline std::vector<std::string> sources_of(const trace_info& trace) {
    std::vector<std::string> ids;
    for (const auto& [key, value] : trace.tags)
        if (key.starts_with("tr-") && key.size() == 35) ids.push_back(key);
    return ids;
}

} // namespace detail

/// IDs of traces, each `tr-` and 32 hexadecimal digits.
using trace_ids = std::set<std::string, std::less<>>;

/// What a server stores about a user.
struct user_remains {
    /// A trace of the user.
    struct trace {
        /// Its ID.
        std::string id;
        /// Its experiment.
        std::string experiment_id;
        std::string artifacts; ///< where the server stores its files: `mlflow-artifacts:/1/traces/…`
    };
    /// An assessment by the user.
    struct judgement {
        /// Its trace.
        std::string trace_id;
        /// Its ID.
        std::string id;
    };
    /// A record of a dataset.
    struct record {
        /// Its dataset.
        std::string dataset_id;
        /// Its ID.
        std::string id;
    };
    /// Traces of the user, in the order of deletion: a trace that is found through another one comes before it, so
    /// that an interrupted deletion loses no trace.
    std::vector<trace> traces;
    std::vector<judgement> assessments;   ///< assessments by the user of other users' traces
    std::vector<record> records;          ///< records made from these traces
    std::vector<std::string> experiments; ///< experiments that were searched
    /// Traces without a user, in a session that this user shares with others: their user is unknown.
    std::vector<std::string> undecided;
    std::vector<std::string> mentions; ///< traces of others whose text contains the user's ID
    std::vector<record>
        mentioning_records;      ///< records made from other traces, or by hand, that contain the user's ID
    bool has_seen_spans = false; ///< false: the content of spans was not searched

    /// The progress of a `user_erasure`.
    struct progress {
        std::string_view what; ///< what is counted: `traces`, `spans of traces`, `records`, …
        std::size_t done = 0;  ///< how many are done
        std::size_t all = 0;   ///< how many there are; 0 if unknown
    };
};

/// What was deleted.
struct erased_remains {
    /// Traces.
    std::size_t traces = 0;
    /// Assessments.
    std::size_t assessments = 0;
    /// Records of datasets.
    std::size_t records = 0;
    /// Folders of artifacts.
    std::size_t artifact_folders = 0;
    std::size_t artifacts_elsewhere = 0; ///< traces whose files the server does not serve itself; these files remain
    std::size_t gone_before = 0;         ///< traces, assessments and records that were deleted by others meanwhile
};

/// How much is read to find a user. The server searches the spans where that is faster; otherwise they are read, with
/// a request for every 50 traces. MLflow 3.17 on SQLite compares each trace with all spans.
enum class look_into : bool { traces, spans };

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
