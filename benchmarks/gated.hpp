// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/trace_batch.hpp>

#include <mutex>

namespace benchmarks {

namespace mt = mlflow::trace;

// An exporter that waits while another holds the lock.
struct gated {
    struct options {
        std::mutex* gate = nullptr;
    };
    explicit gated(options chosen) noexcept : gate(chosen.gate) {}
    mt::export_result export_traces(mt::trace_batch& batch) {
        const std::lock_guard open(*gate);
        mt::export_result outcome;
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    std::mutex* gate;
};

} // namespace benchmarks
