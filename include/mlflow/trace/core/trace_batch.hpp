// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Finished traces on their way to an exporter. Owns them: what an exporter leaves in the batch is recycled
/// afterwards, and one that wants to keep traces moves them out. Thread-safety: as a container.
class trace_batch {
public:
    class iterator {
    public:
        explicit iterator(const trace_data* at) noexcept : at_(at) {}
        const trace_data& operator*() const noexcept { return *at_; }
        const trace_data* operator->() const noexcept { return at_; }
        iterator& operator++() noexcept {
            at_ = at_->next;
            return *this;
        }
        friend bool operator==(const iterator&, const iterator&) noexcept = default;

    private:
        const trace_data* at_;
    };

    trace_batch() noexcept = default;
    explicit trace_batch(trace_data* single) noexcept { push_back(single); }
    trace_batch(trace_batch&& other) noexcept { append(std::move(other)); }
    trace_batch& operator=(trace_batch&& other) noexcept {
        if (this != &other) {
            clear();
            append(std::move(other));
        }
        return *this;
    }
    ~trace_batch() { clear(); }

    [[nodiscard]] iterator begin() const noexcept { return iterator(first_); }
    [[nodiscard]] iterator end() const noexcept { return iterator(nullptr); }
    [[nodiscard]] bool empty() const noexcept { return !first_; }
    /// How many `trace_data` there are.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t span_count() const noexcept { return span_count_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// As `trace_data::memory`.
    [[nodiscard]] std::size_t memory() const noexcept { return memory_; }

    void push_back(trace_data* owned) noexcept {
        owned->next = nullptr;
        (last_ ? last_->next : first_) = owned;
        last_ = owned;
        ++size_;
        span_count_ += owned->span_count;
        bytes_ += owned->bytes;
        memory_ += owned->memory();
    }
    /// The first trace, now the caller's, or null. It goes into a batch again, and is never deleted: it belongs to a
    /// pool.
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
    /// Moves all traces of the other batch behind the own ones.
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

// Of what waits for delivery.
template <class Function>
void for_each_pool(Function&& function) noexcept {
    function(pool<span_data>::instance());
    function(pool<trace_data>::instance());
}

// What the pools keep goes with whoever needed it. On a freestanding target they keep it.
struct pools_at_the_end {
#if MLFLOW_TRACE_HOSTED
    pools_at_the_end() = default;
    pools_at_the_end(const pools_at_the_end&) = delete;
    pools_at_the_end& operator=(const pools_at_the_end&) = delete;
    ~pools_at_the_end() {
        for_each_pool([](auto& each) { each.shrink_to(0); });
    }
#endif
};

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
