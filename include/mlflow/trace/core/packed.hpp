// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_batch.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Copies the members of a trace other than its entries and spans, or of a span other than its body.
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

// The memory that a packed copy takes. Measured: an exporter's decorator may have added to the spans.
inline std::size_t packed_memory(const trace_data& trace) noexcept {
    std::size_t spans = 0;
    std::size_t bodies = 0;
    for (const span_data* span = trace.spans; span; span = span->next) {
        ++spans;
        bodies += span->body.size();
    }
    return trace_data::memory_for(spans, bodies, trace.entries.bytes());
}
inline bool is_worth_packing(const trace_data& trace) noexcept {
    return 2 * trace.memory() >= 3 * packed_memory(trace);
}

// Copies ended traces into one block of memory, which is freed with the last copy. The copies do not come from the
// pools, whose objects return to the recording threads.
class packing {
public:
    // `memory` is the sum of `packed_memory`. When memory runs out, nothing is packed.
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

    // Returns null when nothing is packed.
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
            copy->bytes += from->body.size();
            if (from == trace.root) copy->root = to;
        }
        copy->span_count = trace.span_count;
        copy->capacity = copy->bytes;
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

// Returns a copy in a block of its own, or null.
inline trace_data* packed(const trace_data& trace) noexcept { return packing(packed_memory(trace)).copy(trace); }

// Replaces traces that occupy far more memory than their content needs by packed copies.
inline void pack(trace_batch& traces) noexcept {
    std::size_t memory = 0;
    for (const trace_data& trace : traces) memory += is_worth_packing(trace) ? packed_memory(trace) : 0;
    if (memory == 0) return;
    packing into(memory);
    trace_batch result;
    trace_batch originals;
    span_data* spans = nullptr; // of the originals, returned to the pool at once
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
