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

/// An aggregation by the server: `AVG`, `SUM`, `COUNT`, `MIN`, `MAX`, or a percentile.
struct aggregation {
    /// MLflow's name of the aggregation.
    std::string type = "AVG";
    /// For `PERCENTILE`: 0 to 100.
    std::optional<double> percentile{};

    /// The percentile, 0 to 100.
    [[nodiscard]] static aggregation percentile_of(double percent) { return {"PERCENTILE", percent}; }
};

/// A query for metrics that the server computes, without transferring traces: MLflow's `traces/metrics`. MLflow 3.17
/// has the dimensions `trace_name` and `trace_status`, and filters that compare metadata, tags or the status with
/// `=`.
struct metric_query {
    std::string metric = "latency"; ///< `trace_count`, `session_count`, `latency`, `input_tokens`, `output_tokens`, …
    /// What to compute.
    std::vector<aggregation> aggregations{};
    /// Which traces to include.
    filter where{};
    /// Groups the result by these.
    std::vector<std::string> dimensions{};
    /// The start of the time range.
    std::optional<trace_time> since{};
    /// The end of the time range.
    std::optional<trace_time> until{};
    std::optional<std::chrono::seconds> interval{}; ///< the length of time for each point
    std::string view = "TRACES";                    ///< or `SPANS`, `ASSESSMENTS`
    std::vector<std::string> experiment_ids{};      ///< empty: the experiment of the options
};

/// One point of the result.
struct metric_point {
    /// The metric.
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
                                 "metrics can be filtered only by metadata, tags and status, only with =, and not "
                                 "by values with both kinds of quotes; search for the traces instead")};
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
