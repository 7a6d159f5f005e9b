// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/exporters/otlp_measures.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>
#include <mlflow/trace/wire/protobuf.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What a metric value covers: `cumulative`, everything since the exporter was constructed; `delta`, everything since
/// the last accepted request. The numbers are those of OTLP's AggregationTemporality.
enum class metric_temporality : std::uint8_t { delta = 1, cumulative = 2 };

namespace detail {

struct histogram {
    std::uint64_t count = 0;
    double sum = 0;
    double min = 0;
    double max = 0;
    std::array<std::uint64_t, most_boundaries + 1> buckets{};

    // A value equal to a boundary belongs to the bucket below it.
    void add(double value, const metric_description& metric) noexcept {
        std::size_t bucket = 0;
        while (bucket < metric.boundary_count && value > metric.boundaries[bucket]) ++bucket;
        ++buckets[bucket];
        min = count == 0 || value < min ? value : min;
        max = count == 0 || value > max ? value : max;
        sum += value;
        ++count;
    }
    void add(const histogram& other) noexcept {
        if (other.count == 0) return;
        for (std::size_t i = 0; i < buckets.size(); ++i) buckets[i] += other.buckets[i];
        min = count == 0 || other.min < min ? other.min : min;
        max = count == 0 || other.max > max ? other.max : max;
        sum += other.sum;
        count += other.count;
    }
};

// The values of one attribute set: those recorded since the last collection, and those to be delivered.
struct histogram_series {
    histogram recent;
    histogram collected;
};

// The histograms of all metrics, by attributes. `find_or_add`, `collect` and `forget_delivered` are called by
// recording and delivering threads and need an external lock. The collected values belong to the delivering thread.
class histogram_table {
public:
    // `most_sets` is the limit for each metric. Values of further sets are added to one overflow set, as in
    // OpenTelemetry's metrics SDK ("Cardinality limits").
    explicit histogram_table(std::size_t most_sets) noexcept : most_sets_(most_sets) {}

    // `attributes` are KeyValue fields of a data point. The returned reference stays valid. Throws std::bad_alloc.
    histogram_series& find_or_add(metric_number metric, std::string_view attributes) {
        auto& of_metric = series_[metric];
        if (const auto found = of_metric.find(attributes); found != of_metric.end()) return found->second;
        if (of_metric.size() < most_sets_) return of_metric.try_emplace(std::string(attributes)).first->second;
        return overflow_[metric];
    }

    // Moves the recent values to the collected ones. Returns false if there is nothing to deliver. If it throws
    // std::bad_alloc, nothing has been moved.
    bool collect() {
        std::size_t count = metric_count;
        for (const auto& of_metric : series_) count += of_metric.size();
        points_.clear();
        points_.reserve(count);
        for (std::size_t metric = 0; metric < metric_count; ++metric) {
            for (auto& [attributes, series] : series_[metric]) take_over(metric, attributes, series);
            take_over(metric, overflow_attributes, overflow_[metric]);
        }
        return !points_.empty();
    }

    // Appends an ExportMetricsServiceRequest with the collected values. Returns false if memory runs out or the
    // request is larger than 256 MiB.
    bool append_request(buffer& out, const resource_attributes& resource, metric_temporality temporality,
                        std::uint64_t start_unix_nano, std::uint64_t unix_nano) const {
        constexpr unsigned resource_metrics = 1, scope_metrics = 2, metrics_field = 2;
        if (!out.push_back(short_tag(resource_metrics, wire_type::length_delimited))) return false;
        late_length resource_length(out);
        if (!append_resource(out, resource)) return false;
        if (!out.push_back(short_tag(scope_metrics, wire_type::length_delimited))) return false;
        late_length scope_length(out);
        if (!append_scope(out)) return false;
        for (auto at = points_.begin(); at != points_.end();) {
            const metric_description& metric = metrics[at->metric];
            constexpr unsigned name = 1, description = 2, unit = 3, histogram_field = 9, temporality_field = 2;
            if (!out.push_back(short_tag(metrics_field, wire_type::length_delimited))) return false;
            late_length metric_length(out);
            if (!append_text_field(out, name, metric.name) ||
                !append_text_field(out, description, metric.description) ||
                !append_text_field(out, unit, metric.unit) ||
                !out.push_back(short_tag(histogram_field, wire_type::length_delimited)))
                return false;
            late_length histogram_length(out);
            for (const auto number = at->metric; at != points_.end() && at->metric == number; ++at)
                if (!append_point(out, *at, metric, start_unix_nano, unix_nano)) return false;
            if (!out.push_back(short_tag(temporality_field, wire_type::varint)) ||
                !out.push_back(static_cast<char>(temporality)) || !histogram_length.close() || !metric_length.close())
                return false;
        }
        return scope_length.close() && resource_length.close();
    }

    // For deltas: clears the collected values after delivery, and removes sets without recent values.
    void forget_delivered() noexcept {
        for (auto& of_metric : series_)
            for (auto at = of_metric.begin(); at != of_metric.end();) {
                at->second.collected = {};
                if (at->second.recent.count == 0) at = of_metric.erase(at);
                else ++at;
            }
        for (histogram_series& series : overflow_) series.collected = {};
        points_.clear();
    }

private:
    // The KeyValue `otel.metric.overflow` = true.
    static constexpr std::string_view overflow_attributes{"\x4a\x1a\x0a\x14otel.metric.overflow\x12\x02\x10\x01", 28};

    struct text_hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
    };
    struct same_text {
        using is_transparent = void;
        bool operator()(std::string_view a, std::string_view b) const noexcept { return a == b; }
    };
    struct point {
        std::size_t metric;
        std::string_view attributes;
        const histogram* values;
    };

    void take_over(std::size_t metric, std::string_view attributes, histogram_series& series) {
        series.collected.add(series.recent);
        series.recent = {};
        if (series.collected.count != 0) points_.push_back({metric, attributes, &series.collected});
    }

    static bool append_point(buffer& out, const point& of, const metric_description& metric, std::uint64_t start,
                             std::uint64_t now) {
        constexpr unsigned data_points = 1, start_time = 2, time = 3, count = 4, sum = 5, bucket_counts = 6,
                           explicit_bounds = 7, min = 11, max = 12;
        const auto append_packed = [&](unsigned field, std::size_t size, const auto& at) {
            if (!out.push_back(short_tag(field, wire_type::length_delimited)) || !append_varint(out, 8 * size))
                return false;
            char* to = out.ensure(8 * size);
            if (!to) return false;
            for (std::size_t i = 0; i < size; ++i) to = write_fixed64(to, at(i));
            out.commit(8 * size);
            return true;
        };
        const auto bits = [](double value) { return std::bit_cast<std::uint64_t>(value); };
        const histogram& values = *of.values;
        if (!out.push_back(short_tag(data_points, wire_type::length_delimited))) return false;
        late_length length(out);
        return append_fixed64_field(out, start_time, start) && append_fixed64_field(out, time, now) &&
               append_fixed64_field(out, count, values.count) && append_fixed64_field(out, sum, bits(values.sum)) &&
               append_packed(bucket_counts, metric.boundary_count + 1,
                             [&](std::size_t i) { return values.buckets[i]; }) &&
               append_packed(explicit_bounds, metric.boundary_count,
                             [&](std::size_t i) { return bits(metric.boundaries[i]); }) &&
               out.append(of.attributes) && append_fixed64_field(out, min, bits(values.min)) &&
               append_fixed64_field(out, max, bits(values.max)) && length.close();
    }

    using series_map = std::unordered_map<std::string, histogram_series, text_hash, same_text>;

    std::size_t most_sets_;
    std::array<series_map, metric_count> series_;
    std::array<histogram_series, metric_count> overflow_{};
    std::vector<point> points_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
