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

/// What is exported at once of a trace: all spans that had finished when its root ended. A span that ends after its
/// root comes in a `trace_data` of its own, with the same `id` and `root` null.
struct trace_data {
    trace_data* next = nullptr;       ///< the next trace of the same batch
    trace_data* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;      // of the pool

    trace_id id;
    span_data* spans = nullptr;      ///< linked by `span_data::next` in the order in which they ended
    const span_data* root = nullptr; ///< the one of `spans` that is the root; null for spans that ended after it
    trace_entries entries;           ///< user and session alone where `root` is null
    std::uint64_t start_unix_nano = 0;
    std::uint64_t duration_nano = 0;
    std::size_t span_count = 0;
    std::size_t bytes = 0;                 ///< of all span bodies
    std::size_t capacity = 0;              ///< of the blocks that they are in
    detail::packed_block* block = nullptr; // as in `span_data`
    bool check_identity = false;  ///< nobody has said yet that required metadata is given, or absent on purpose
    bool is_session_late = false; ///< the sampler keeps sessions whole, and was asked before this one was known

    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept {
        return entries.find(entry_kind::metadata, key);
    }

    /// The memory that it takes, with its spans and what the allocator adds.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_for(span_count, capacity, entries.capacity()); }
    [[nodiscard]] static constexpr std::size_t memory_for(std::size_t span_count, std::size_t bodies,
                                                          std::size_t entries) noexcept {
        constexpr std::size_t blocks = 2 * detail::machine::block_cost; // the object and its content
        return sizeof(trace_data) + blocks + entries + span_count * (sizeof(span_data) + blocks) + bodies;
    }

    static constexpr bool is_looked_at = false;
    static constexpr bool has_blocks = true;

    bool recycle() noexcept {
        detail::pool<span_data>::instance().give(std::exchange(spans, nullptr));
        if (block) return false;
        root = nullptr;
        if (entries.capacity() > detail::machine::kept_block) entries.release();
        entries.clear();
        span_count = bytes = capacity = 0;
        is_session_late = false;
        return true;
    }
    void leave() noexcept { block->release(); }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(trace_data) + entries.capacity(); }
    void strip() noexcept { entries.release(); }
};

/// Does the trace go on here from another process, which describes it?
[[nodiscard]] inline bool is_continued(const trace_data& trace) noexcept {
    return trace.root && trace.root->has_parent;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
