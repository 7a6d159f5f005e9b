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

// How far a tracer trusts what is current on a thread. It only sinks.
enum class trust : std::uint8_t {
    all,
    attached_only, // what was entered inside an attached context, or captured
    captured_only
};

// What an open trace needs of its tracer, whatever the tracer's type, in whichever part of the program it was made
// (parts that are loaded at run time have static objects of their own). It lives as long as the last trace.
class recorder {
public:
    recorder(tracer_identity own, slot_function where, holds_function what) noexcept
        : identity_(own), slot_(where), holds_(what) {}
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
    virtual void report(const error& error) noexcept = 0;

    // Null where every value is recorded as it is.
    [[nodiscard]] const value_rules* rules() const noexcept { return rules_; }

    // Never the same for two tracers, unlike an address: what remembers its tracer may outlive it.
    [[nodiscard]] tracer_identity identity() const noexcept { return identity_; }

    // Of the context policy, as the part of the program sees it that made the tracer.
    [[nodiscard]] slot_function slot() const noexcept { return slot_; }
    [[nodiscard]] holds_function holds() const noexcept { return holds_; }
    // Another number in the child of a fork.
    [[nodiscard]] std::uint32_t process() const noexcept { return process_(); }

    [[nodiscard]] trust trusted() const noexcept { return trusted_.load(memory_order_relaxed); }
    // Something showed that the context cannot tell whose turn it is. `tell_distrust` reports it, once per reason.
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
    // No virtual destructor: where there is no heap there is no `operator delete` that it could call.
    ~recorder() = default;
    virtual void destroy() noexcept = 0;

    const value_rules* rules_ = nullptr;

private:
    static constexpr std::uint32_t bit(error_kind why) noexcept {
        return std::uint32_t{1} << static_cast<unsigned>(why);
    }

    atomic<std::uint32_t> references_{1};
    atomic<trust> trusted_{trust::all};
    atomic<std::uint32_t> reasons_{0}; // bits by fault
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

    atomic<std::uint32_t> open_spans{0}; // and others that hold the trace; at 0 it becomes another one
    recorder* owner = nullptr;
    trace_id id;
    bool has_random_id = false;             // as other processes are told
    std::uint64_t wall_minus_monotonic = 0; // one reading per trace: durations cannot become negative by a clock jump

    atomic<span_data*> finished{nullptr}; // a stack: the last finished is first
    atomic<bool> root_ended{false};
    trace_data* late = nullptr; // with user and session for spans that end after their root; before `root_ended`

    machine::mutex lock;        // guards `data` until the root has ended
    trace_data* data = nullptr; // null once submitted

    // A context may look at `open_spans` long after the trace has ended.
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

// Without memory for it, late spans go without.
inline void copy_identity(const trace_entries& from, trace_entries& to) noexcept {
    for (const std::string_view key : {mlflow_names::trace_user, mlflow_names::trace_session})
        if (const std::string_view value = from.find(entry_kind::metadata, key); value.data())
            static_cast<void>(to.set(entry_kind::metadata, key, value));
}

// Moves what has finished so far into `into`, oldest first, but for what the parent of this process sends.
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
    // Spans that ended after their root, while there was no memory to send them.
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

// A span that ended after its root goes out on its own.
inline void submit_late_spans(open_trace& trace) noexcept {
    if (!trace.finished.load(memory_order_acquire)) return;
    trace_data* const late = pool<trace_data>::instance().take();
    if (!late) return; // tried again with the next one
    late->id = trace.id;
    if (trace.late) copy_identity(trace.late->entries, late->entries);
    collect_finished(trace, *late);
    submit(trace, late);
}

// The end of a span whose body is complete. `end_nano` by the trace's own time line.
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
            const lock_guard guard(trace.lock);
            data = std::exchange(trace.data, nullptr);
        }
        // Whoever might start or end a span of this trace later holds it now.
        const bool has_others = is_of_parent || trace.open_spans.load(memory_order_acquire) > 1;
        if (has_others && (trace.late = pool<trace_data>::instance().take()))
            copy_identity(data->entries, trace.late->entries);
        if (is_of_parent) { // whose root carries the rest
            data->entries.clear();
            if (trace.late) copy_identity(trace.late->entries, data->entries);
        } else {
            data->root = &span;
        }
        data->duration_nano = end_nano > data->start_unix_nano ? end_nano - data->start_unix_nano : 0;
        // Twice: the first time takes the root before any late span can, the second time what came before the flag.
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
