// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Keeps ended traces in memory, decoded: for tests of an application's instrumentation.
///
/// Thread-safety: all functions may be called from any thread.
class memory_exporter {
public:
    /// See `thread_safe_exporter` in concepts.hpp.
    static constexpr bool is_thread_safe = true;

    /// There are none.
    struct options {};
    /// An exporter that holds no traces.
    memory_exporter() = default;
    /// An exporter that holds no traces.
    explicit memory_exporter(options) {}

    /// Decodes and stores the traces. Throws std::bad_alloc.
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

    /// Returns the traces stored so far and removes them.
    [[nodiscard]] std::vector<recorded_trace> take() {
        const detail::lock_guard guard(lock_);
        return std::exchange(traces_, {});
    }
    /// A copy of the traces stored so far.
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
