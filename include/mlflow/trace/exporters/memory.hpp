// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Keeps finished traces in memory, decoded: for tests of an application's instrumentation.
/// Thread-safety: all functions, from any thread.
class memory_exporter {
public:
    static constexpr bool is_thread_safe = true;

    struct options {};
    memory_exporter() = default;
    explicit memory_exporter(options) {}

    export_result export_traces(trace_batch& batch) {
        export_result outcome;
        for (const trace_data& trace : batch) {
            recorded_trace decoded = decode(trace);
            const detail::lock_guard guard(lock_);
            traces_.push_back(std::move(decoded));
        }
        outcome.exported_spans = batch.span_count();
        return outcome;
    }

    /// What came so far, and forgets it.
    [[nodiscard]] std::vector<recorded_trace> take() {
        const detail::lock_guard guard(lock_);
        return std::exchange(traces_, {});
    }
    /// A copy of what came so far.
    [[nodiscard]] std::vector<recorded_trace> traces() const {
        const detail::lock_guard guard(lock_);
        return traces_;
    }

private:
    mutable detail::machine::mutex lock_;
    std::vector<recorded_trace> traces_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
