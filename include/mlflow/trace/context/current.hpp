// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/slot.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#include <cstdint>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Whether an entry of the slot is valid for a tracer with this trust.
inline bool counts(const context_slot& slot, bool is_inside_attached, trust trusted) noexcept {
    if (slot.is_of_task) return !slot.is_mixed;
    return trusted == trust::all || (trusted == trust::attached_only && is_inside_attached);
}

// Records that it is no longer known which trace the slot's entries belong to.
__attribute__((noinline)) inline void lose_track(recorder& owner, context_slot& slot, error_kind why) noexcept {
    if (slot.is_of_task) {
        slot.is_mixed = true;
        owner.distrust(trust::all, why);
    } else {
        owner.distrust(attached_in(slot) ? trust::captured_only : trust::attached_only, why);
    }
}

// Looks for a trace that began, without `nested`, while another trace of its tracer was current. Both are interleaved
// if both are still open when something else is recorded. If the first one has ended, the second one has replaced it.
__attribute__((noinline)) inline void look_for_mixture(context_slot& slot, tracer_identity owner,
                                                       trust& trusted) noexcept {
    slot.may_be_mixed = false;
    recorder* mixed = nullptr;
    for (context_node* node = slot.innermost; node; node = node->next) {
        if (!node->is_unmeant || !is_live(*node)) continue;
        node->is_unmeant = false;
        for (const context_node* around = node->next; around && !mixed; around = around->next)
            if (around->what == context_node::kind::span && around->owner == node->owner &&
                around->bound == node->bound && !around->everything_is_off && is_live(*around))
                mixed = node->of;
    }
    if (!mixed) return;
    mixed->retain(); // an error handler may release all other references
    lose_track(*mixed, slot, error_kind::interleaved);
    if (mixed->identity() == owner && trusted < mixed->trusted()) trusted = mixed->trusted();
    mixed->tell_distrust();
    mixed->release();
}

// What is current in a slot, for one tracer or for any. Holds the trace, so that it is not recycled when its spans
// end on other threads.
class held_context {
public:
    held_context() noexcept = default;
    explicit held_context(context_slot* slot, tracer_identity owner = any_owner,
                          trust trusted = trust::all) noexcept {
        if (!slot || (!slot->innermost && slot->unattached == 0)) return;
        if (slot->may_be_mixed) [[unlikely]]
            look_for_mixture(*slot, owner, trusted);
        if (!take_innermost(*slot, owner, trusted)) find(*slot, owner, trusted);
    }
    held_context(held_context&& other) noexcept
        : trace_(std::exchange(other.trace_, nullptr)), owner_(other.owner_), span_(other.span_),
          exists_(std::exchange(other.exists_, false)), everything_is_off_(other.everything_is_off_),
          is_displaced_(other.is_displaced_) {}
    held_context& operator=(held_context&& other) = delete;
    ~held_context() {
        if (trace_) release_trace(*trace_);
    }

    // Null when nothing is current, or when the current span is not recorded.
    [[nodiscard]] open_trace* trace() const noexcept { return trace_; }
    // Returns the trace and transfers the reference to the caller.
    [[nodiscard]] open_trace* take() noexcept { return std::exchange(trace_, nullptr); }
    [[nodiscard]] span_id span() const noexcept { return span_; }
    [[nodiscard]] tracer_identity owner() const noexcept { return owner_; }
    [[nodiscard]] bool is_hidden() const noexcept { return exists_ && !trace_; }
    [[nodiscard]] bool everything_is_off() const noexcept { return exists_ && everything_is_off_; }
    // Whether a context is attached that cannot be current, because its object is not on the stack.
    [[nodiscard]] bool is_displaced() const noexcept { return is_displaced_; }
    explicit operator bool() const noexcept { return exists_; }

private:
    // Does the work of `find` in the common case: the innermost entry is an open span of this tracer, and nothing is
    // in doubt.
    bool take_innermost(const context_slot& slot, tracer_identity owner, trust trusted) noexcept {
        const context_node* const node = slot.innermost;
        if (!node || node->what != context_node::kind::span || node->owner != owner || !node->trace || node->bound ||
            node->everything_is_off || slot.unattached != 0 || slot.is_mixed || trusted != trust::all)
            return false;
        if (!hold(*node->trace, node->span, node->span_generation)) return false;
        if (node->trace->owner->trusted() != trust::all) [[unlikely]] {
            release_trace(*node->trace);
            return false;
        }
        exists_ = true;
        trace_ = node->trace;
        owner_ = owner;
        span_ = node->id;
        return true;
    }

    __attribute__((noinline)) void find(context_slot& slot, tracer_identity owner, trust trusted) noexcept {
        while (true) {
            place found;
            walk(slot, [&](const context_node& node) { return look(slot, node, owner, trusted, found); });
            is_displaced_ = found.is_displaced || slot.unattached != 0;
            if (!found.exists || slot.unattached != 0) return;
            if (found.trace) {
                if (!hold(*found.trace, found.span, found.span_generation)) continue; // the span has just ended
                const trust left = found.trace->owner->trusted();
                if (found.is_entered && !counts(slot, found.is_inside_attached, left)) {
                    release_trace(*found.trace);
                    trusted = left;
                    continue;
                }
            }
            exists_ = true;
            trace_ = found.trace;
            owner_ = found.owner;
            span_ = found.id;
            everything_is_off_ = found.everything_is_off;
            return;
        }
    }

    struct place {
        bool exists = false;
        bool is_entered = false; // not captured
        bool is_inside_attached = false;
        bool is_displaced = false;
        bool everything_is_off = false;
        open_trace* trace = nullptr;
        const span_data* span = nullptr; // null for a captured one
        std::uint32_t span_generation = 0;
        tracer_identity owner = any_owner;
        span_id id;
    };

    // Returns true when no entry further out is to be looked at.
    static bool look(const context_slot& slot, const context_node& node, tracer_identity owner, trust trusted,
                     place& found) noexcept {
        if (node.what == context_node::kind::scope) return false;
        if (node.what == context_node::kind::attached) {
            found.is_displaced = !node.is_bound;
            const auto* span = node.contents ? node.contents->spans : nullptr;
            while (span && owner != any_owner && span->owner != owner) span = span->outer;
            if (span && node.is_bound)
                found = {true,        false,   true, false,       span->everything_is_off,
                         span->trace, nullptr, 0,    span->owner, span->id};
            return true;
        }
        if (owner != any_owner && node.owner != owner) return false;
        const place here{true,       true,      node.is_inside_attached, false,      node.everything_is_off,
                         node.trace, node.span, node.span_generation,    node.owner, node.id};
        // In doubt, an instruction not to record still applies.
        if (!node.everything_is_off && !counts(slot, node.is_inside_attached, trusted)) return false;
        found = here;
        return true;
    }

    // The count of a trace is not 0 while one of its spans is open. If the span is still open after the increment,
    // the incremented count was that of the span's trace. A captured trace is held by its contents.
    static bool hold(open_trace& trace, const span_data* span, std::uint32_t span_generation) noexcept {
        auto& holders = trace.open_spans;
        std::uint32_t count = holders.load(memory_order_relaxed);
        do
            if (count == 0) return false;
        while (!holders.compare_exchange_weak(count, count + 1, memory_order_acq_rel, memory_order_relaxed));
        if (!span || span->generation.load(memory_order_acquire) == span_generation) return true;
        release_trace(trace);
        return false;
    }

    open_trace* trace_ = nullptr;
    tracer_identity owner_ = any_owner;
    span_id span_;
    bool exists_ = false;
    bool everything_is_off_ = false;
    bool is_displaced_ = false;
};

// Whether a new trace would be inside a span of this tracer, within the same attached context.
__attribute__((noinline)) inline bool is_in_trace(context_slot& slot, tracer_identity owner) noexcept {
    if (!slot.innermost) return false;
    bool found = false;
    walk(slot, [&](const context_node& node) {
        found = node.what == context_node::kind::span && node.owner == owner && !node.everything_is_off;
        return found;
    });
    return found;
}

// Whether a trace of the same tracer that started after this root span is still open in the slot.
inline bool in_turn(context_slot& slot, const context_node& root) noexcept {
    for (const context_node* node = slot.innermost; node != &root; node = node->next)
        if (node->what == context_node::kind::span && node->is_root && node->owner == root.owner &&
            node->bound == root.bound && is_live(*node))
            return true;
    return false;
}

// Whether recording is switched off for this tracer in the slot.
__attribute__((noinline)) inline bool look_for_off(context_slot& slot, tracer_identity owner) noexcept {
    bool found = false;
    walk(slot, [&](const context_node& node) {
        if (node.what == context_node::kind::attached) {
            for (const auto* span = node.contents ? node.contents->spans : nullptr; span; span = span->outer)
                found = found || (span->everything_is_off && span->owner == owner);
        } else {
            found = node.everything_is_off && node.owner == owner;
        }
        return found;
    });
    if (!slot.innermost) slot.may_be_off = false;
    return found;
}
inline bool is_off(context_slot& slot, tracer_identity owner) noexcept {
    return slot.may_be_off && look_for_off(slot, owner);
}

// Calls `visit(entries)` for each scope of this tracer, innermost first.
template <class Visit>
void for_each_scope(context_slot& slot, tracer_identity owner, trust trusted, Visit&& visit) noexcept {
    if (!slot.innermost || slot.unattached != 0) return;
    if (slot.innermost->what == context_node::kind::span && !slot.innermost->next) return;
    walk(slot, [&](context_node& node) {
        if (node.what == context_node::kind::attached && node.contents && node.is_bound) {
            for (const auto* scope = node.contents->scopes; scope; scope = scope->outer)
                if (scope->owner == owner) visit(scope->entries);
        } else if (node.what == context_node::kind::scope && node.owner == owner) {
            if (counts(slot, node.is_inside_attached, trusted)) visit(node.entries);
        }
        return false;
    });
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
