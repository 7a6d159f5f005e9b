// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/device/record_sink.hpp>
#include <mlflow/trace/spool/format.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

// The payload of a frame: a trace in the format of a spool (spool/format.hpp), with information about the device:
//
//     message Record { … the fields of Trace …; string device = 7; string firmware = 8; uint64 dropped = 9; }
//
// Times before 2001 are those of the device's monotonic clock. The receiver converts them to time of day.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Identifies a device. The views must outlive the exporter that gets them.
struct device_identity {
    std::string_view id{};       ///< constant across starts, for example a serial number
    std::string_view firmware{}; ///< the version of the device's firmware
};

namespace detail::device_record {

enum field : unsigned { device = 7, firmware, dropped };

inline constexpr std::uint64_t first_time_of_day = 1'000'000'000'000'000'000; // nanoseconds: 2001-09-09

inline void write(record_sink& to, const trace_data& trace) noexcept {
    namespace spooled = spool_format;
    to.fixed64(spooled::id_high, trace.id.high);
    to.fixed64(spooled::id_low, trace.id.low);
    to.fixed64(spooled::start_unix_nano, trace.start_unix_nano);
    to.fixed64(spooled::duration_nano, trace.duration_nano);
    for (const trace_entry entry : trace.entries)
        to.message(spooled::entries, [&entry](record_sink& in) {
            in.number(spooled::kind, static_cast<unsigned>(entry.kind));
            in.bytes(spooled::key, entry.key);
            in.bytes(spooled::value, entry.value);
        });
    for (const span_data* span = trace.spans; span; span = span->next)
        to.message(spooled::spans, [span, &trace](record_sink& in) {
            in.fixed64(spooled::id, span->id.value);
            in.number(spooled::flags, spooled::flags_of(*span, span == trace.root));
            in.number(spooled::span_status, static_cast<unsigned>(span->code));
            in.bytes(spooled::otlp_span, span->body.view());
        });
}
inline void write(record_sink& to, const device_identity& identity, std::uint32_t dropped_traces) noexcept {
    to.bytes(device, identity.id);
    to.bytes(firmware, identity.firmware);
    to.number(dropped, dropped_traces);
}

} // namespace detail::device_record
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
