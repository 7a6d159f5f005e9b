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
struct context_node;
struct open_trace;
class span_watch;
using slot_function = context_slot* (*)();    // of a context policy: returns the slot of its caller
using holds_function = bool (*)(const void*); // of a context policy: whether an object at this address can be current

// The header of a block of memory that holds several objects.
class packed_block {
public:
    void retain() noexcept { objects_.fetch_add(1, memory_order_relaxed); }
    void release() noexcept {
        if (objects_.fetch_sub(1, memory_order_acq_rel) == 1) machine::release(this);
    }

private:
    alignas(std::max_align_t) atomic<std::size_t> objects_{1}; // one more while the block is being filled
};
} // namespace detail

/// The data of a span. While the span is open its trace writes it; after the span has ended an exporter reads it.
///
/// `body` holds the fields of an OTLP `Span` message in protobuf, without the user and session. These belong to the
/// trace; each exporter adds them to the root span in the form that its receiver reads.
struct span_data {
    span_data* next = nullptr;       ///< the next span of the same `trace_data`
    span_data* next_chain = nullptr; ///< of the pool
    std::size_t chain_bytes = 0;     ///< of the pool

    detail::recording_buffer body; ///< the encoded fields of the span
    span_id id;                    ///< the ID of the span
    bool is_root = false;          ///< the root span of the trace in this process
    bool has_parent = false;       ///< also true for a root span whose parent is in another process
    /// An attribute is a string that could be read as JSON, or JSON text made of values other than the library's own.
    /// MLflow would parse the former and cannot read some of the latter, so its exporter checks them.
    bool needs_rewrite = false;
    bool lost_something = false; ///< an attribute or event is missing: out of memory, or its value could not be made
    status code = status::unset; ///< the status of the span
    log_level level = log_level::debug; ///< the log level of the span
    bool has_own_level = false;         ///< the application has set `level`

    /// For the library, while the span is open: the trace of the span.
    detail::open_trace* trace = nullptr;
    /// The context policy of the part of the program that made the tracer.
    detail::slot_function slot = nullptr;
    /// The entry of the span in that context. The entry may have become another one.
    detail::context_node* entered = nullptr;
    detail::span_watch* watched = nullptr; ///< callers that run code of the application, which may end it
    /// The process in which the span started, as `recorder::process` returns it.
    std::uint32_t process = 0;
    detail::atomic<std::uint32_t> generation{
        0}; ///< odd while open; a context that saw another number refers to an earlier span
    /// Chunks of a stream so far.
    std::uint32_t chunks = 0;
    std::uint32_t attributes = 0;          ///< counted where there is a limit
    std::uint32_t events = 0;              ///< as `attributes`
    std::uint32_t dropped_attributes = 0;  ///< omitted at a limit
    std::uint32_t dropped_events = 0;      ///< omitted at a limit
    std::uint8_t small_uses = 0;           ///< in a row, of a body with a large block
    detail::packed_block* block = nullptr; ///< of a packed copy, which is not from the pool

    /// For the pool. A context may read `generation` long after the span has ended.
    static constexpr bool is_looked_at = true;
    /// For the pool: whether objects have blocks of memory.
    static constexpr bool has_blocks = true;

    /// For the pool: prepares the span for its next use. False for a packed copy.
    bool recycle() noexcept {
        if (block) return false;
        if (body.capacity() > detail::machine::small_block) [[unlikely]]
            settle();
        body.clear();
        return true;
    }
    /// For the pool: releases the blocks of a packed copy.
    void leave() noexcept {
        body.release();
        block->release();
    }
    /// For the pool: the size of the object with its block.
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(span_data) + body.capacity(); }
    /// For the pool: frees the block.
    void strip() noexcept { body.release(); }

private:
    // Releases a large block unless the spans that use it are often large.
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

// Called when the span opens or ends, by the owner of the span only.
inline void next_generation(span_data& span) noexcept {
    span.generation.store(span.generation.load(memory_order_relaxed) + 1, detail::memory_order_release);
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
