// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/pool.hpp>
#include <mlflow/trace/spans/span_operations.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

template <class Platform>
inline constexpr bool has_random_trace_ids = requires { requires Platform::has_random_trace_ids; };

template <class Platform>
std::uint64_t wall_minus_monotonic(std::uint64_t monotonic) noexcept {
    if constexpr (requires { requires std::is_same_v<typename Platform::owner_of_clocks, Platform>; })
        return Platform::wall_minus_monotonic(monotonic);
    else return Platform::wall_nano() - monotonic;
}

template <class Platform>
void open_span(open_trace& trace, span_data& span, span_id parent, std::string_view name,
               std::uint64_t start_nano) noexcept {
    span.trace = &trace;
    span.slot = trace.owner->slot();
    span.process = trace.owner->process();
    span.id = Platform::new_span_id();
    span.has_parent = parent.valid();
    span.needs_rewrite = span.lost_something = span.has_own_level = false;
    span.level = log_level::debug;
    span.code = status::unset;
    span.chunks = span.attributes = span.events = span.dropped_attributes = span.dropped_events = 0;
    span.body.rules = nullptr;
    next_generation(span);
    write_whole(span, [&](auto& out) { return append_span_start(out, trace.id, span.id, parent, name, start_nano); });
    span.body.rules = trace.owner->rules();
    trace.owner->count_started_span();
}

// Opens a trace with its root span. When memory runs out, the span is counted as lost, and the result is null.
template <class Platform>
span_data* open_root(recorder& owner, const trace_id& id, span_id parent, std::string_view name,
                     bool check_identity_at_end) noexcept {
    auto& traces = pool<open_trace>::instance();
    auto& parts = pool<trace_data>::instance();
    open_trace* const trace = traces.take();
    trace_data* const data = parts.take();
    span_data* const span = pool<span_data>::instance().take();
    if (!trace || !data || !span) {
        traces.give(trace);
        parts.give(data);
        pool<span_data>::instance().give(span);
        owner.count_started_span();
        owner.count_lost_span();
        return nullptr;
    }
    const std::uint64_t monotonic = Platform::monotonic_nano();
    const std::uint64_t difference = wall_minus_monotonic<Platform>(monotonic);
    const std::uint64_t wall = monotonic + difference;
    owner.retain();
    trace->owner = &owner;
    trace->lock = &owner.lock();
    trace->id = data->id = id;
    data->check_identity = check_identity_at_end;
    trace->wall_minus_monotonic = difference;
    data->start_unix_nano = wall;
    trace->data = data;
    trace->open_spans.store(1, memory_order_release); // publishes the members above to earlier holders
    span->is_root = true;
    open_span<Platform>(*trace, *span, parent, name, wall);
    return span;
}

// Opens a child span. The caller holds the trace once more, and passes that reference on.
template <class Platform>
span_data* open_child(open_trace& trace, span_id parent, std::string_view name) noexcept {
    span_data* const span = pool<span_data>::instance().take();
    if (!span) {
        trace.owner->count_started_span();
        trace.owner->count_lost_span();
        release_trace(trace);
        return nullptr;
    }
    span->is_root = false;
    open_span<Platform>(trace, *span, parent, name, Platform::monotonic_nano() + trace.wall_minus_monotonic);
    return span;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
