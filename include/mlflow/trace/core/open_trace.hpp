// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

using tracer_identity = std::size_t; // as wide as the atomics that every target has
inline constexpr tracer_identity any_owner = 0;

// How far a tracer trusts the current spans of a context. Trust only decreases.
enum class trust : std::uint8_t {
    all,
    attached_only, // spans entered inside an attached context, and captured spans
    captured_only
};

// What an open trace needs of its tracer, independent of the tracer's type and of the part of the program that made
// it (parts that are loaded at run time have their own static objects). It lives until the last trace ends.
class recorder {
public:
    recorder(tracer_identity own, slot_function where, holds_function what) noexcept
        : identity_(own), slot_(where), holds_(what) {}
    recorder(const recorder&) = delete;
    recorder& operator=(const recorder&) = delete;

    // Takes over an ended trace, or an ended part of one.
    virtual void submit(trace_data* finished) noexcept = 0;
    virtual void count_started_span() noexcept = 0;
    virtual void count_lost_span() noexcept = 0;
    // Counts a span that was open when this process was forked. The parent process delivers it.
    virtual void count_span_of_parent() noexcept = 0;
    [[nodiscard]] virtual bool schema_has(std::string_view name) const noexcept = 0;
    // The URL of the trace's page, or empty.
    [[nodiscard]] virtual owned_text trace_url(const trace_id& id) const = 0;
    virtual void report(const error& error) noexcept = 0;

    // Null when every value is recorded unchanged.
    [[nodiscard]] const value_rules* rules() const noexcept { return rules_; }

    // Unlike an address, the identity of a tracer is never used again by another tracer. Objects that refer to a
    // tracer may outlive it.
    [[nodiscard]] tracer_identity identity() const noexcept { return identity_; }

    // The functions of the context policy, as instantiated in the part of the program that made the tracer.
    [[nodiscard]] slot_function slot() const noexcept { return slot_; }
    [[nodiscard]] holds_function holds() const noexcept { return holds_; }
    // Differs in the child of a fork.
    [[nodiscard]] std::uint32_t process() const noexcept { return process_(); }
    // The lock of a trace that this thread opens.
    [[nodiscard]] machine::static_mutex& lock() noexcept { return locks_.of_this_thread(); }

    [[nodiscard]] trust trusted() const noexcept { return trusted_.load(memory_order_relaxed); }
    // Called when the context turns out to hold spans of unrelated traces. `tell_distrust` reports it, once per
    // reason.
    __attribute__((noinline)) void distrust(trust left, error_kind why) noexcept {
        trust before = trusted();
        while (before < left && !trusted_.compare_exchange_weak(before, left, memory_order_relaxed)) {
        }
        if ((reasons_.load(memory_order_relaxed) & bit(why)) == 0) reasons_.fetch_or(bit(why), memory_order_relaxed);
    }
    [[nodiscard]] bool is_distrusted() const noexcept { return reasons_.load(memory_order_relaxed) != 0; }
    __attribute__((noinline)) void tell_distrust() noexcept {
        for (const error_kind why : {error_kind::interleaved, error_kind::not_on_stack})
            if ((reasons_.load(memory_order_relaxed) & bit(why)) != 0 &&
                (reported_.fetch_or(bit(why), memory_order_relaxed) & bit(why)) == 0)
                report({why, "the current trace"});
    }

    void retain() noexcept { references_.fetch_add(1, memory_order_relaxed); }
    void release() noexcept {
        if (references_.fetch_sub(1, memory_order_acq_rel) == 1) destroy();
    }

protected:
    // The destructor is not virtual: a target without a heap has no `operator delete`.
    ~recorder() = default;
    virtual void destroy() noexcept = 0;

    const value_rules* rules_ = nullptr;

private:
    static constexpr std::uint32_t bit(error_kind why) noexcept {
        return std::uint32_t{1} << static_cast<unsigned>(why);
    }

    machine::shared_locks& locks_ = machine::shared_locks::here();
    atomic<std::uint32_t> references_{1};
    atomic<trust> trusted_{trust::all};
    atomic<std::uint32_t> reasons_{0}; // one bit per error_kind
    atomic<std::uint32_t> reported_{0};
    const tracer_identity identity_;
    const slot_function slot_;
    const holds_function holds_;
    [[no_unique_address]] const machine::process_number process_{};
};

// An open trace, shared by its open spans, which may be on several threads.
struct open_trace {
    open_trace* next = nullptr;       // of the pool
    open_trace* next_chain = nullptr; // of the pool

    atomic<std::uint32_t> open_spans{0}; // counts other holders too; at 0 the object is recycled
    recorder* owner = nullptr;
    trace_id id;
    bool has_random_id = false;             // sent to other processes
    std::uint64_t wall_minus_monotonic = 0; // read once per trace, so that a clock jump makes no duration negative

    atomic<span_data*> finished{nullptr}; // a stack, the latest first
    atomic<bool> root_ended{false};
    trace_data* late = nullptr; // the identity for spans that end after the root span; set before `root_ended`

    machine::static_mutex* lock = nullptr; // guards `data` until the root span ends
    trace_data* data = nullptr;            // null once submitted

    // A context may read `open_spans` long after the trace has ended.
    static constexpr bool is_looked_at = true;
    static constexpr bool has_blocks = false;

    bool recycle() noexcept {
        owner = nullptr;
        data = nullptr;
        finished.store(nullptr, memory_order_relaxed);
        root_ended.store(false, memory_order_relaxed);
        pool<trace_data>::instance().give(std::exchange(late, nullptr));
        return true;
    }
};

// When memory runs out, spans that end after the root span have no identity.
inline void copy_identity(const trace_entries& from, trace_entries& to) noexcept {
    for (const std::string_view key : {mlflow_names::trace_user, mlflow_names::trace_session})
        if (const std::string_view value = from.find(entry_kind::metadata, key); value.data())
            static_cast<void>(to.set(entry_kind::metadata, key, value));
}

// Moves the spans that have ended so far into `into`, oldest first. Spans of the parent process are discarded,
// because the parent delivers them.
inline void collect_finished(open_trace& trace, trace_data& into) noexcept {
    span_data* newest_first = trace.finished.exchange(nullptr, memory_order_acq_rel);
    while (newest_first) {
        span_data* const span = newest_first;
        newest_first = std::exchange(span->next, nullptr);
        if (span->process != trace.owner->process()) {
            trace.owner->count_span_of_parent();
            pool<span_data>::instance().give(span);
            continue;
        }
        span->next = into.spans;
        into.spans = span;
        ++into.span_count;
        into.bytes += span->body.size();
        into.capacity += span->body.capacity();
    }
}

inline void release_trace(open_trace& trace) noexcept {
    if (trace.open_spans.fetch_sub(1, memory_order_acq_rel) != 1) return;
    recorder* const owner = trace.owner;
    // These spans ended after the root span, and could not be submitted for lack of memory.
    span_data* const unsent = trace.finished.exchange(nullptr, memory_order_acquire);
    for (const span_data* span = unsent; span; span = span->next) owner->count_lost_span();
    if (unsent) pool<span_data>::instance().give(unsent);
    pool<open_trace>::instance().give_back(&trace);
    owner->release();
}

inline void submit(open_trace& trace, trace_data* data) noexcept {
    if (data->spans) trace.owner->submit(data);
    else pool<trace_data>::instance().give(data);
}

// Submits spans that ended after the root span, as a part of their own.
inline void submit_late_spans(open_trace& trace) noexcept {
    if (!trace.finished.load(memory_order_acquire)) return;
    trace_data* const late = pool<trace_data>::instance().take();
    if (!late) return; // the next late span tries again
    late->id = trace.id;
    if (trace.late) copy_identity(trace.late->entries, late->entries);
    collect_finished(trace, *late);
    submit(trace, late);
}

// Ends a span whose body is complete. `end_nano` is on the trace's own time line.
inline void finish_span(span_data& span, std::uint64_t end_nano) noexcept {
    open_trace& trace = *span.trace;
    const bool is_root = span.is_root;
    const bool is_of_parent = span.process != trace.owner->process();
    next_generation(span);
    span_data* head = trace.finished.load(memory_order_relaxed);
    do span.next = head;
    while (!trace.finished.compare_exchange_weak(head, &span, memory_order_seq_cst, memory_order_relaxed));

    if (is_root) {
        trace_data* data = nullptr;
        {
            const lock_guard guard(*trace.lock);
            data = std::exchange(trace.data, nullptr);
        }
        // Every span or context that can still add spans to this trace holds the trace at this point.
        const bool has_others = is_of_parent || trace.open_spans.load(memory_order_acquire) > 1;
        if (has_others && (trace.late = pool<trace_data>::instance().take()))
            copy_identity(data->entries, trace.late->entries);
        if (is_of_parent) { // the parent process delivers the trace's other entries with the root span
            data->entries.clear();
            if (trace.late) copy_identity(trace.late->entries, data->entries);
        } else {
            data->root = &span;
        }
        data->duration_nano = end_nano > data->start_unix_nano ? end_nano - data->start_unix_nano : 0;
        // The first call takes the root span before a concurrent late span can. The second call takes spans that
        // ended before the flag was set.
        collect_finished(trace, *data);
        trace.root_ended.store(true, memory_order_seq_cst);
        collect_finished(trace, *data);
        submit(trace, data);
    } else if (trace.root_ended.load(memory_order_seq_cst)) {
        submit_late_spans(trace);
    }
    release_trace(trace);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
