// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/device/record_sink.hpp>
#include <mlflow/trace/static_memory/recorder.hpp>

#include <concepts>
#include <cstddef>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// An ended trace, for an exporter of a tracer with `static_memory_platform`. Valid during the call.
class trace_record {
public:
    /// Made by the tracer.
    trace_record(const detail::static_trace_head& trace, const detail::static_span* spans, const char* bytes,
                 std::size_t span_count) noexcept
        : trace_(trace), spans_(spans), bytes_(bytes), span_count_(span_count) {}

    /// The number of spans.
    [[nodiscard]] std::size_t span_count() const noexcept { return span_count_; }
    /// Writes the trace as the fields of a record (device/record.hpp).
    void write(record_sink& out) const noexcept { trace_.write(out, spans_, bytes_); }

private:
    const detail::static_trace_head& trace_;
    const detail::static_span* spans_;
    const char* bytes_;
    std::size_t span_count_;
};

/// An exporter for `static_memory_platform`: `export_record` stores the trace, and returns false if it has no room.
/// It is called by the code that ends the trace.
template <class T>
concept record_exporter = requires(T& exporter, const trace_record& trace) {
    { exporter.export_record(trace) } noexcept -> std::same_as<bool>;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
