// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/filter.hpp>
#include <mlflow/trace/client/json.hpp>

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How the server sums up: `AVG`, `SUM`, `COUNT`, `MIN`, `MAX`, or the percentile of that number, 0 to 100.
struct aggregation {
    std::string type = "AVG";
    std::optional<double> percentile{};

    [[nodiscard]] static aggregation percentile_of(double percent) { return {"PERCENTILE", percent}; }
};

/// What the server computes itself, without sending traces: MLflow's `traces/metrics`. As much as MLflow 3.17 takes:
/// dimensions `trace_name` and `trace_status`, filters that say `=` of metadata, tags or the status.
struct metric_query {
    std::string metric = "latency"; ///< `trace_count`, `session_count`, `latency`, `input_tokens`, `output_tokens`, …
    std::vector<aggregation> aggregations{};
    filter where{};
    std::vector<std::string> dimensions{};
    std::optional<trace_time> since{};
    std::optional<trace_time> until{};
    std::optional<std::chrono::seconds> interval{}; ///< one point for each
    std::string view = "TRACES";                    ///< or `SPANS`, `ASSESSMENTS`
    std::vector<std::string> experiment_ids{};      ///< none: the experiment of the options
};

struct metric_point {
    std::string metric;
    text_map dimensions;                  ///< with an interval, also `time_bucket`
    std::map<std::string, double> values; ///< by aggregation: `AVG`, `P95.0`
};

namespace detail {

inline result<json> metric_body(const metric_query& query) {
    json filters = json::array();
    for (const clause& c : query.where.clauses()) {
        const bool can_say = c.what == subject::metadata || c.what == subject::tag || c.what == subject::status;
        if (auto fault = fault_of(c); !fault.empty() || !can_say || c.how != comparison::equal || !is_exact(c))
            return failure{error(error_kind::bad_request, "metrics",
                                 "MLflow filters them by metadata, tags and status with = only, "
                                 "and not by values with quotes of both kinds; search for the traces")};
        filters.push_back((c.what == subject::status ? "" : "trace.") + clause_text(c));
    }
    json body{{"experiment_ids", query.experiment_ids}, {"view_type", query.view}, {"metric_name", query.metric}};
    for (const aggregation& one : query.aggregations) {
        json said{{"aggregation_type", one.type}};
        if (one.percentile) said["percentile_value"] = *one.percentile;
        body["aggregations"].push_back(std::move(said));
    }
    if (!filters.empty()) body["filters"] = std::move(filters);
    if (!query.dimensions.empty()) body["dimensions"] = query.dimensions;
    if (query.since) body["start_time_ms"] = query.since->time_since_epoch().count();
    if (query.until) body["end_time_ms"] = query.until->time_since_epoch().count();
    if (query.interval) body["time_interval_seconds"] = query.interval->count();
    return body;
}

inline metric_point read_metric_point(const json& told) {
    metric_point read;
    read.metric = text_of(told, "metric_name");
    const json& dimensions = member(told, "dimensions");
    if (dimensions.is_object())
        for (const auto& [name, value] : dimensions.items())
            read.dimensions.emplace(name, value.is_string() ? value.get_ref<const std::string&>() : dump(value));
    const json& values = member(told, "values");
    if (values.is_object())
        for (const auto& [name, value] : values.items())
            if (value.is_number()) read.values.emplace(name, value.get<double>());
    return read;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
