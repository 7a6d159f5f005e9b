// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/guarded.hpp>

#include <cstddef>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

inline export_result failed_export(std::size_t spans, const char* why) noexcept {
    export_result outcome;
    outcome.failed_spans = spans;
    guarded([&] { outcome.error = why; }, [] {}); // without memory for the reason the count stands all the same
    return outcome;
}

// What a user's exporter throws must not end the thread that recorded, nor the one that delivers.
template <class Exporter>
export_result guarded_export(Exporter& exporter, trace_batch& batch) noexcept {
    const std::size_t spans = batch.span_count();
    return guarded_by_reason([&]() -> export_result { return exporter.export_traces(batch); },
                             [spans](const char* why) {
                                 return failed_export(spans,
                                                      why ? why : "the exporter threw what is not a std::exception");
                             });
}

// What is left to be counted: of an exporter with an account of its own only what it threw, and so did not see.
template <class Exporter>
export_result uncounted_export(Exporter& exporter, trace_batch& batch) noexcept {
    if constexpr (requires { exporter.account(); }) {
        struct {
            Exporter& inner;
            export_result export_traces(trace_batch& traces) {
                static_cast<void>(inner.export_traces(traces));
                return {};
            }
        } quiet{exporter};
        return guarded_export(quiet, batch);
    } else return guarded_export(exporter, batch);
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
