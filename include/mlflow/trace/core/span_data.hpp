// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/span_kinds.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstddef>
#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

struct context_slot;

namespace detail {
struct open_trace;
class span_watch;
using slot_function = context_slot* (*)();    // of a context policy: the slot of whoever calls it
using holds_function = bool (*)(const void*); // and whether an object at this address can be current there

// Where objects lie that go together.
class packed_block {
public:
    void retain() noexcept { objects_.fetch_add(1, memory_order_relaxed); }
    void release() noexcept {
        if (objects_.fetch_sub(1, memory_order_acq_rel) == 1) machine::release(this);
    }

private:
    alignas(std::max_align_t) atomic<std::size_t> objects_{1}; // and who packs
};
} // namespace detail

/// A span: while it is open its recorder writes it, once finished an exporter reads it.
///
/// `body` is the content of an OTLP `Span` message in protobuf, without the identity of the user and session: that
/// belongs to the trace, and each exporter adds it to the root span in the way that its receiver understands.
struct span_data {
    span_data* next = nullptr;       ///< the next span of the same `trace_data`
    span_data* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;     // of the pool

    detail::recording_buffer body;
    span_id id;
    bool is_root = false;    ///< the first span of the trace in this process
    bool has_parent = false; ///< also true for a root whose parent is in another process
    /// Some attribute is a string that could be read as a JSON text, or a JSON text made of values that are not the
    /// library's own. MLflow takes the first for JSON and cannot read some of the second, so its exporter looks
    /// closer.
    bool needs_rewrite = false;
    bool lost_something = false; ///< an attribute or event is missing: no memory, or its value could not be made
    status code = status::unset;
    log_level level = log_level::debug;
    bool has_own_level = false;

    // While the span is open.
    detail::open_trace* trace = nullptr;
    detail::slot_function slot = nullptr;
    detail::span_watch* watched = nullptr; // by who runs code of the application, which may end the span
    std::uint32_t process = 0;
    detail::atomic<std::uint32_t> generation{
        0}; // odd while open; a context that saw another number looks at a stranger
    std::uint32_t chunks = 0;
    std::uint32_t attributes = 0; // counted where there is a limit
    std::uint32_t events = 0;
    std::uint32_t dropped_attributes = 0;
    std::uint32_t dropped_events = 0;
    std::uint8_t small_uses = 0;           // of a large block, one after the other
    detail::packed_block* block = nullptr; // of a copy that was never in the pool

    // A context may look at `generation` long after the span has ended.
    static constexpr bool is_looked_at = true;
    static constexpr bool has_blocks = true;

    bool recycle() noexcept {
        if (block) return false;
        if (body.capacity() > detail::machine::small_block) [[unlikely]]
            settle();
        body.clear();
        return true;
    }
    void leave() noexcept { block->release(); }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(span_data) + body.capacity(); }
    void strip() noexcept { body.release(); }

private:
    // Keeps a large block only where many of its spans are large.
    __attribute__((noinline)) void settle() noexcept {
        constexpr std::uint8_t most_small_uses = 16;
        const bool is_used = body.size() >= body.capacity() / 8;
        small_uses = is_used ? std::uint8_t{0} : static_cast<std::uint8_t>(small_uses + 1);
        if (body.capacity() <= detail::machine::kept_block && small_uses < most_small_uses) return;
        body.release();
        small_uses = 0;
    }
};

namespace detail {

// The span opens, or ends. Its owner alone does that.
inline void next_generation(span_data& span) noexcept {
    span.generation.store(span.generation.load(memory_order_relaxed) + 1, detail::memory_order_release);
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
