// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/guarded.hpp>

#include <cstddef>
#include <exception>

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
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    const std::size_t spans = batch.span_count();
    try {
        return exporter.export_traces(batch);
    } catch (const std::exception& thrown) {
        return failed_export(spans, thrown.what());
    } catch (...) {
        return failed_export(spans, "the exporter threw what is not a std::exception");
    }
#else
    return exporter.export_traces(batch);
#endif
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
