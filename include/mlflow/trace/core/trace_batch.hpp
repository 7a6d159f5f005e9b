// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Ended traces that are handed to an exporter. The batch owns them: traces that the exporter leaves in the batch are
/// recycled afterwards; to keep traces, the exporter moves them out. Thread-safety: as a container.
class trace_batch {
public:
    /// A forward iterator over the traces.
    class iterator {
    public:
        /// Made by the batch.
        explicit iterator(const trace_data* at) noexcept : at_(at) {}
        /// The trace.
        const trace_data& operator*() const noexcept { return *at_; }
        /// Access to members of the trace.
        const trace_data* operator->() const noexcept { return at_; }
        /// Goes to the next trace.
        iterator& operator++() noexcept {
            at_ = at_->next;
            return *this;
        }
        friend bool operator==(const iterator&, const iterator&) noexcept = default;

    private:
        const trace_data* at_;
    };

    /// An empty batch.
    trace_batch() noexcept = default;
    /// A batch of one trace, which the batch takes over.
    explicit trace_batch(trace_data* single) noexcept { push_back(single); }
    /// Moves all traces of `other`.
    trace_batch(trace_batch&& other) noexcept { append(std::move(other)); }
    /// Recycles the traces of this batch, and moves those of `other`.
    trace_batch& operator=(trace_batch&& other) noexcept {
        if (this != &other) {
            clear();
            append(std::move(other));
        }
        return *this;
    }
    /// Recycles the traces.
    ~trace_batch() { clear(); }

    /// The first trace.
    [[nodiscard]] iterator begin() const noexcept { return iterator(first_); }
    /// The end of the traces.
    [[nodiscard]] iterator end() const noexcept { return iterator(nullptr); }
    /// The last trace. The batch must not be empty.
    [[nodiscard]] const trace_data& back() const noexcept { return *last_; }
    /// Whether there is no trace.
    [[nodiscard]] bool empty() const noexcept { return !first_; }
    /// The number of `trace_data`.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// The number of spans.
    [[nodiscard]] std::size_t span_count() const noexcept { return span_count_; }
    /// The size of all span bodies in bytes.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// The sum of `trace_data::memory()` in bytes.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_; }

    /// Appends a trace, which the batch takes over.
    void push_back(trace_data* owned) noexcept {
        owned->next = nullptr;
        (last_ ? last_->next : first_) = owned;
        last_ = owned;
        ++size_;
        span_count_ += owned->span_count;
        bytes_ += owned->bytes;
        memory_ += owned->memory();
    }
    /// Removes and returns the first trace, or returns null. The caller owns it and must put it into a batch again;
    /// it must not be deleted, because it belongs to a pool.
    [[nodiscard]] trace_data* pop_front() noexcept {
        trace_data* const first = first_;
        if (!first) return nullptr;
        first_ = std::exchange(first->next, nullptr);
        if (!first_) last_ = nullptr;
        --size_;
        span_count_ -= first->span_count;
        bytes_ -= first->bytes;
        memory_ -= first->memory();
        return first;
    }
    /// Moves all traces of `other` to the end of this batch.
    void append(trace_batch&& other) noexcept {
        if (!other.first_) return;
        (last_ ? last_->next : first_) = other.first_;
        last_ = other.last_;
        size_ += other.size_;
        span_count_ += other.span_count_;
        bytes_ += other.bytes_;
        memory_ += other.memory_;
        other.forget();
    }
    /// Recycles all traces.
    void clear() noexcept {
        detail::pool<trace_data>::instance().give(first_);
        forget();
    }

private:
    void forget() noexcept {
        first_ = last_ = nullptr;
        size_ = span_count_ = bytes_ = memory_ = 0;
    }

    trace_data* first_ = nullptr;
    trace_data* last_ = nullptr;
    std::size_t size_ = 0;
    std::size_t span_count_ = 0;
    std::size_t bytes_ = 0;
    std::size_t memory_ = 0;
};

namespace detail {

// Calls `change` with each trace, which must not change its size.
template <class Change>
void for_each_trace(trace_batch& batch, const Change& change) noexcept {
    for (std::size_t left = batch.size(); left > 0; --left) {
        trace_data* const trace = batch.pop_front();
        change(*trace);
        batch.push_back(trace);
    }
}

// Calls `function` with each pool of delivered objects.
template <class Function>
void for_each_pool(Function&& function) noexcept {
    function(pool<span_data>::instance());
    function(pool<trace_data>::instance());
}

// Empties the pools when the last owner is destroyed. On a freestanding target the pools keep their memory.
struct pools_at_the_end {
    pools_at_the_end() = default;
    pools_at_the_end(const pools_at_the_end&) = delete;
    pools_at_the_end& operator=(const pools_at_the_end&) = delete;
    ~pools_at_the_end() {
        if constexpr (machine::has_heap) for_each_pool([](auto& each) { each.shrink_to(0); });
    }
};

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
