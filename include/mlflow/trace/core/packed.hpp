// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// What stands beside the entries and spans of a finished trace, and beside the body of a span.
inline void copy_description(trace_data& copy, const trace_data& trace) noexcept {
    copy.id = trace.id;
    copy.start_unix_nano = trace.start_unix_nano;
    copy.duration_nano = trace.duration_nano;
    copy.check_identity = trace.check_identity;
    copy.is_session_late = trace.is_session_late;
}
inline void copy_description(span_data& copy, const span_data& span) noexcept {
    copy.id = span.id;
    copy.is_root = span.is_root;
    copy.has_parent = span.has_parent;
    copy.needs_rewrite = span.needs_rewrite;
    copy.lost_something = span.lost_something;
    copy.code = span.code;
    copy.level = span.level;
    copy.has_own_level = span.has_own_level;
}

// The memory of such a copy.
inline std::size_t packed_memory(const trace_data& trace) noexcept {
    return trace_data::memory_for(trace.span_count, trace.bytes, trace.entries.bytes());
}
inline bool is_worth_packing(const trace_data& trace) noexcept {
    return 2 * trace.memory() >= 3 * packed_memory(trace);
}

// Copies of finished traces, side by side in one block, which goes with the last of them. They do not come from the
// pool, whose objects go back to where they are recorded.
class packing {
public:
    // `memory` as `packed_memory` says. Without memory it packs nothing.
    explicit packing(std::size_t memory) noexcept {
        void* const block = machine::reallocate(nullptr, sizeof(packed_block) + memory);
        if (!block) return;
        block_ = ::new (block) packed_block;
        at_ = reinterpret_cast<unsigned char*>(block_ + 1);
    }
    packing(const packing&) = delete;
    packing& operator=(const packing&) = delete;
    ~packing() {
        if (block_) block_->release();
    }

    // Null where nothing is packed.
    trace_data* copy(const trace_data& trace) noexcept {
        if (!block_) return nullptr;
        auto* const copy = make<trace_data>();
        copy_description(*copy, trace);
        copy->entries.refer_to(trace.entries, bytes(trace.entries.bytes()));
        span_data** next = &copy->spans;
        for (const span_data* from = trace.spans; from; from = from->next) {
            auto* const to = make<span_data>();
            *next = to;
            next = &to->next;
            copy_description(*to, *from);
            to->body.refer_to(from->body.view(), bytes(from->body.size()));
            if (from == trace.root) copy->root = to;
        }
        copy->span_count = trace.span_count;
        copy->bytes = copy->capacity = trace.bytes;
        return copy;
    }

private:
    template <class T>
    T* make() noexcept {
        T* const made = ::new (bytes(sizeof(T))) T;
        made->block = block_;
        block_->retain();
        return made;
    }
    void* bytes(std::size_t count) noexcept {
        return std::exchange(at_, at_ + (count + alignment - 1) / alignment * alignment);
    }

    static constexpr std::size_t alignment = alignof(std::max_align_t);
    static_assert(alignof(trace_data) <= alignment && alignof(span_data) <= alignment);

    packed_block* block_ = nullptr;
    unsigned char* at_ = nullptr;
};

// A copy that shares its block with nobody, or null.
inline trace_data* packed(const trace_data& trace) noexcept { return packing(packed_memory(trace)).copy(trace); }

// Replaces those that hold far more than they say.
inline void pack(trace_batch& traces) noexcept {
    std::size_t memory = 0;
    for (const trace_data& trace : traces) memory += is_worth_packing(trace) ? packed_memory(trace) : 0;
    if (memory == 0) return;
    packing into(memory);
    trace_batch result;
    trace_batch originals;
    span_data* spans = nullptr; // of the originals, which go back at once
    span_data** last = &spans;
    while (trace_data* const trace = traces.pop_front()) {
        trace_data* const copy = is_worth_packing(*trace) ? into.copy(*trace) : nullptr;
        result.push_back(copy ? copy : trace);
        if (!copy) continue;
        *last = std::exchange(trace->spans, nullptr);
        while (*last) last = &(*last)->next;
        originals.push_back(trace);
    }
    pool<span_data>::instance().give(spans);
    traces = std::move(result);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
