// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/span_data.hpp>
#include <mlflow/trace/core/trace_entries.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What `retry` and `spool` know of a trace that the receiver has not accepted.
struct delivery_marks {
    bool is_rejected_alone = false; ///< when it was last sent alone
    bool is_slow = false;           ///< the latest request with it was blocked, or got no response in time
    bool may_be_stored = false;     ///< a request with it got no response
    bool is_split = false;          ///< its other spans are sent apart
    std::uint8_t rejections = 0;    ///< how often it was rejected alone, and another trace accepted right after it
    std::uint8_t slow_rounds = 0;   ///< how often it was slow, and another trace accepted right after it
    std::uint64_t failed_after = 0; ///< how much had been accepted when it was first rejected alone, or slow
    std::int64_t blocked_since = 0; ///< when it was first blocked alone, by a steady clock; 0 if it was not
};

/// The part of a trace that is exported at once: all spans that had ended when the root span ended. Spans that end
/// after the root span are exported in a `trace_data` of their own, with the same `id` and a null `root`.
struct trace_data {
    trace_data* next = nullptr;       ///< the next trace of the same batch
    trace_data* next_chain = nullptr; ///< of the pool
    std::size_t chain_bytes = 0;      ///< of the pool

    trace_id id;                           ///< the ID of the trace
    span_data* spans = nullptr;            ///< linked by `span_data::next` in the order in which they ended
    const span_data* root = nullptr;       ///< the root span among `spans`; null if they ended after it
    trace_entries entries;                 ///< metadata, tags and so on; only user and session where `root` is null
    std::uint64_t start_unix_nano = 0;     ///< start of the root span, nanoseconds since 1970
    std::uint64_t duration_nano = 0;       ///< duration of the root span in nanoseconds
    std::size_t span_count = 0;            ///< the number of `spans`
    std::size_t bytes = 0;                 ///< size of all span bodies
    std::size_t capacity = 0;              ///< size of the blocks that hold them
    detail::packed_block* block = nullptr; ///< of a packed copy, as in `span_data`
    bool check_identity = false;           ///< required metadata is checked when the trace ends
    bool is_session_late = false;          ///< the session was unknown when a sampler that samples by session ran
    delivery_marks marks;                  ///< for `retry` and `spool`

    /// The metadata value of this key; a view whose `data()` is null when there is none.
    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept {
        return entries.find(entry_kind::metadata, key);
    }

    /// The memory in bytes that the trace takes, with its spans and the overhead of the allocator.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_for(span_count, capacity, entries.capacity()); }
    /// The memory of a trace with spans, span bodies and entries of these sizes in bytes.
    [[nodiscard]] static constexpr std::size_t memory_for(std::size_t span_count, std::size_t bodies,
                                                          std::size_t entries) noexcept {
        constexpr std::size_t blocks = 2 * detail::machine::block_cost; // one for the object, one for its content
        return sizeof(trace_data) + blocks + entries + span_count * (sizeof(span_data) + blocks) + bodies;
    }

    /// For the pool: objects may be freed.
    static constexpr bool is_looked_at = false;
    /// For the pool: objects have blocks of memory.
    static constexpr bool has_blocks = true;

    /// For the pool: recycles the spans. False for a packed copy.
    bool recycle() noexcept {
        detail::pool<span_data>::instance().give(std::exchange(spans, nullptr));
        if (block) return false;
        root = nullptr;
        if (entries.capacity() > detail::machine::kept_block) entries.release();
        entries.clear();
        span_count = bytes = capacity = 0;
        is_session_late = false;
        marks = {};
        return true;
    }
    /// For the pool: releases the blocks of a packed copy.
    void leave() noexcept {
        entries.release();
        block->release();
    }
    /// For the pool: the size of the object with its block.
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(trace_data) + entries.capacity(); }
    /// For the pool: frees the block.
    void strip() noexcept { entries.release(); }
};

/// Whether this trace continues one of another process, which describes it.
[[nodiscard]] inline bool is_continued(const trace_data& trace) noexcept {
    return trace.root && trace.root->has_parent;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
