// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/device/frame.hpp>
#include <mlflow/trace/device/record.hpp>
#include <mlflow/trace/spool/format.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

// The gateway's counterpart of `framed_exporter`.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The record of a frame as a trace that can be exported.
struct received_trace {
    trace_batch trace; ///< one trace; none if the payload is not a valid record
    /// The device's ID.
    std::string device;
    /// The device's firmware version.
    std::string firmware;
    std::uint64_t dropped = 0; ///< traces that the device had dropped when it recorded this one
};

namespace detail::device_record {

inline void add_time(char* fixed64, std::uint64_t nanoseconds) noexcept {
    write_fixed64(fixed64, read_little_endian<std::uint64_t>(fixed64) + nanoseconds);
}

// Shifts the times of an OTLP span, or of an event in it. Returns false if the message is malformed.
inline bool move_times(char* begin, std::string_view message, std::uint64_t nanoseconds, bool is_span) noexcept {
    protobuf_reader at(message);
    while (at.next()) {
        char* const end = begin + (at.raw().data() + at.raw().size() - message.data());
        const bool is_time =
            is_span ? at.field() == otlp::start_time || at.field() == otlp::end_time : at.field() == otlp::event_time;
        if (is_time && at.type() == wire_type::fixed64) add_time(end - 8, nanoseconds);
        if (is_span && at.field() == otlp::events &&
            !move_times(end - at.bytes().size(), at.bytes(), nanoseconds, false))
            return false;
    }
    return !at.failed();
}

// Whether the IDs inside the span are those of its record. Otherwise a device could write into another trace.
inline bool has_own_ids(const trace_data& trace, const span_data& span) noexcept {
    const auto is_number = [](std::string_view bytes, std::uint64_t number) {
        for (std::size_t i = 0; i < 8; ++i)
            if (static_cast<unsigned char>(bytes[i]) != (number >> (56 - 8 * i) & 255U)) return false;
        return true;
    };
    bool has_trace = false;
    bool has_span = false;
    for (protobuf_reader at(span.body.view()); at.next();) {
        const auto bytes = at.bytes();
        if (at.field() == otlp::trace_id)
            has_trace =
                bytes.size() == 16 && is_number(bytes, trace.id.high) && is_number(bytes.substr(8), trace.id.low);
        if (at.field() == otlp::span_id) has_span = bytes.size() == 8 && is_number(bytes, span.id.value);
    }
    return has_trace && has_span;
}

// Converts the device's times to the gateway's.
inline bool date(trace_data& trace, std::uint64_t nanoseconds) noexcept {
    trace.start_unix_nano += nanoseconds;
    for (span_data* span = trace.spans; span; span = span->next)
        if (!move_times(span->body.data(), span->body.view(), nanoseconds, true)) return false;
    return true;
}

} // namespace detail::device_record

/// Reads a record that arrived at `now_unix_nano` (nanoseconds since 1970-01-01 UTC). Times of the device's own clock
/// are converted to time of day. With a clock in the frame, the error is the delay of the link. Without one, the
/// trace is assumed to have just ended, and gets the metadata `device.time` = `arrival`. The metadata `device.id` and
/// `device.firmware` are added. Throws std::bad_alloc.
[[nodiscard]] inline received_trace read_record(const frame& arrived, std::uint64_t now_unix_nano) {
    namespace record = detail::device_record;
    received_trace received;
    for (detail::protobuf_reader at(arrived.payload); at.next();) {
        if (at.field() == record::device) received.device = at.bytes();
        else if (at.field() == record::firmware) received.firmware = at.bytes();
        else if (at.field() == record::dropped) received.dropped = at.number();
    }
    trace_data* const trace = detail::spool_format::decode_record(arrived.payload);
    if (!trace) return received;
    trace_batch owner(trace);
    for (const span_data* span = trace->spans; span; span = span->next)
        if (!record::has_own_ids(*trace, *span)) return received;
    bool is_good = true;
    if (trace->start_unix_nano < record::first_time_of_day) {
        const bool has_clock = arrived.clock != 0;
        const auto then = has_clock ? arrived.clock : trace->start_unix_nano + trace->duration_nano;
        is_good = record::date(*trace, now_unix_nano - then) &&
                  (has_clock || trace->entries.set(entry_kind::metadata, "device.time", "arrival"));
    }
    const auto describe = [trace](std::string_view key, const std::string& value) {
        return value.empty() || trace->entries.set(entry_kind::metadata, key, value);
    };
    if (is_good && describe("device.id", received.device) && describe("device.firmware", received.firmware))
        received.trace = std::move(owner);
    return received;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
