// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/machine.hpp>
#include <mlflow/trace/detail/pool.hpp>

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// What an open trace needs of its tracer, whatever the tracer's type. It lives as long as the last trace.
class recorder {
public:
    recorder() = default;
    recorder(const recorder&) = delete;
    recorder& operator=(const recorder&) = delete;

    // Takes over a finished part of a trace.
    virtual void submit(trace_data* finished) noexcept = 0;
    virtual void count_started_span() noexcept = 0;
    virtual void count_lost_span() noexcept = 0;
    // It was open when this process was forked, and goes where it ends in the parent.
    virtual void count_span_of_parent() noexcept = 0;
    [[nodiscard]] virtual bool schema_has(std::string_view name) const noexcept = 0;
    // Where the trace can be looked at, or empty.
    [[nodiscard]] virtual owned_text trace_url(const trace_id& id) const = 0;
    virtual void report(const check_error& error) noexcept = 0;

    // Null where every value is recorded as it is.
    [[nodiscard]] const value_rules* rules() const noexcept { return rules_; }

    // Never the same for two tracers, unlike an address: what remembers its tracer may outlive it.
    [[nodiscard]] tracer_identity identity() const noexcept { return identity_; }

    void retain() noexcept { references_.fetch_add(1, std::memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
    }

protected:
    // No virtual destructor: where there is no heap there is no `operator delete` that it could call.
    ~recorder() = default;
    virtual void destroy() noexcept = 0;

    const value_rules* rules_ = nullptr;

private:
    static tracer_identity next_identity() noexcept {
        static constinit std::atomic<tracer_identity> last{0};
        return last.fetch_add(1, std::memory_order_relaxed) + 1;
    }

    std::atomic<std::uint32_t> references_{1};
    const tracer_identity identity_ = next_identity();
};

// An open trace, shared by its open spans, which may be on several threads.
struct trace_state {
    trace_state* next = nullptr;       // of the pool
    trace_state* next_chain = nullptr; // of the pool

    std::atomic<std::uint32_t> open_spans{0}; // and others that hold the trace; at 0 it becomes another one
    recorder* owner = nullptr;
    trace_id id;
    std::uint64_t wall_minus_monotonic = 0; // one reading per trace: durations cannot become negative by a clock jump

    std::atomic<span_data*> finished{nullptr}; // a stack: the last finished is first
    std::atomic<bool> root_ended{false};

    machine::mutex lock;        // guards `data` until the root has ended
    trace_data* data = nullptr; // null once submitted

    void recycle() noexcept {
        owner = nullptr;
        data = nullptr;
        finished.store(nullptr, std::memory_order_relaxed);
        root_ended.store(false, std::memory_order_relaxed);
    }
};

// Moves what has finished so far into `into`, oldest first, but for what the parent of this process sends.
inline void collect_finished(trace_state& trace, trace_data& into) noexcept {
    span_data* newest_first = trace.finished.exchange(nullptr, std::memory_order_acq_rel);
    while (newest_first) {
        span_data* const span = newest_first;
        newest_first = std::exchange(span->next, nullptr);
        if (span->process != machine::process()) {
            trace.owner->count_span_of_parent();
            pool<span_data>::instance().give(span);
            continue;
        }
        span->next = into.spans;
        into.spans = span;
        ++into.span_count;
        into.bytes += span->body.size();
    }
}

inline void release_trace(trace_state& trace) noexcept {
    if (trace.open_spans.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    recorder* const owner = trace.owner;
    // Spans that ended after their root, while there was no memory to send them.
    span_data* const unsent = trace.finished.exchange(nullptr, std::memory_order_acquire);
    for (const span_data* span = unsent; span; span = span->next) owner->count_lost_span();
    if (unsent) pool<span_data>::instance().give(unsent);
    pool<trace_state>::instance().give(&trace);
    owner->release();
}

// What is current in a slot. Keeps the trace from being recycled, whatever ends on other threads meanwhile.
class held_context {
public:
    held_context() noexcept = default;
    explicit held_context(context_slot* slot, tracer_identity owner = any_owner) noexcept {
        if (!slot) return;
        while (const context_node* const node = current_node(*slot, owner)) {
            if (node->trace && !hold(*node)) continue; // it has just ended
            exists_ = true;
            trace_ = node->trace;
            owner_ = node->owner;
            span_ = node->id;
            everything_is_off_ = node->everything_is_off;
            return;
        }
    }
    held_context(held_context&& other) noexcept
        : trace_(std::exchange(other.trace_, nullptr)), owner_(other.owner_), span_(other.span_),
          exists_(std::exchange(other.exists_, false)), everything_is_off_(other.everything_is_off_) {}
    held_context& operator=(held_context&& other) = delete;
    ~held_context() {
        if (trace_) release_trace(*trace_);
    }

    // Null when nothing is current, or what is current is not recorded.
    [[nodiscard]] trace_state* trace() const noexcept { return trace_; }
    // The trace, held by the caller from now on.
    [[nodiscard]] trace_state* take() noexcept { return std::exchange(trace_, nullptr); }
    [[nodiscard]] span_id span() const noexcept { return span_; }
    [[nodiscard]] tracer_identity owner() const noexcept { return owner_; }
    [[nodiscard]] bool is_hidden() const noexcept { return exists_ && !trace_; }
    [[nodiscard]] bool everything_is_off() const noexcept { return exists_ && everything_is_off_; }
    explicit operator bool() const noexcept { return exists_; }

private:
    // While its span is open, the count is not 0; and the span being open afterwards means that it still was the
    // span's trace that was counted up.
    static bool hold(const context_node& node) noexcept {
        auto& holders = node.trace->open_spans;
        std::uint32_t count = holders.load(std::memory_order_relaxed);
        do
            if (count == 0) return false;
        while (
            !holders.compare_exchange_weak(count, count + 1, std::memory_order_acq_rel, std::memory_order_relaxed));
        if (is_open(node)) return true;
        release_trace(*node.trace);
        return false;
    }

    trace_state* trace_ = nullptr;
    tracer_identity owner_ = any_owner;
    span_id span_;
    bool exists_ = false;
    bool everything_is_off_ = false;
};

inline void submit(trace_state& trace, trace_data* data) noexcept {
    if (data->spans) trace.owner->submit(data);
    else pool<trace_data>::instance().give(data);
}

// A span that ended after its root goes out on its own.
inline void submit_late_spans(trace_state& trace) noexcept {
    if (!trace.finished.load(std::memory_order_acquire)) return;
    trace_data* const late = pool<trace_data>::instance().take();
    if (!late) return; // tried again with the next one
    late->id = trace.id;
    collect_finished(trace, *late);
    submit(trace, late);
}

// The end of a span whose body is complete. `end_nano` by the trace's own time line.
inline void finish_span(span_data& span, std::uint64_t end_nano) noexcept {
    trace_state& trace = *span.trace;
    const bool is_root = span.is_root;
    const bool is_of_parent = span.process != machine::process();
    next_generation(span);
    span_data* head = trace.finished.load(std::memory_order_relaxed);
    do span.next = head;
    while (!trace.finished.compare_exchange_weak(head, &span, std::memory_order_seq_cst, std::memory_order_relaxed));

    if (is_root) {
        trace_data* data = nullptr;
        {
            const lock_guard guard(trace.lock);
            data = std::exchange(trace.data, nullptr);
        }
        if (is_of_parent) data->entries.clear(); // which the root carries
        else data->root = &span;
        data->duration_nano = end_nano > data->start_unix_nano ? end_nano - data->start_unix_nano : 0;
        // Twice: the first time takes the root before any late span can, the second time what came before the flag.
        collect_finished(trace, *data);
        trace.root_ended.store(true, std::memory_order_seq_cst);
        collect_finished(trace, *data);
        submit(trace, data);
    } else if (trace.root_ended.load(std::memory_order_seq_cst)) {
        submit_late_spans(trace);
    }
    release_trace(trace);
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
