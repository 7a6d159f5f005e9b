// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/captured_contents.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/core/span_data.hpp>
#include <mlflow/trace/core/trace_entries.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/memory/pool.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// An entry of a slot: a span, a scope, or an attached context, which hides the entries outside it. It does not point
// to objects of the application. It holds a copy of what it needs of the span; the generation of a scope or an
// attached context shows that it has ended.
struct context_node {
    enum class kind : std::uint8_t { span, scope, attached };

    context_node* next = nullptr;       // the entry outside this one
    context_node* inner = nullptr;      // the entry inside this one
    context_node* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;        // of the pool

    kind what = kind::span;
    bool is_root = false;
    bool is_unmeant = false; // a trace that began without `nested` while another trace of its tracer was current
    bool is_inside_attached = false;
    bool is_bound = true;           // its object is on the stack of the thread, or the slot is not of a thread
    bool everything_is_off = false; // not even new traces are recorded inside it

    atomic<std::uint32_t> generation{0}; // changes when the entry ends
    std::uint32_t entered_as = 0;        // `generation` when the entry was made
    std::uint32_t span_generation = 0;
    std::uint32_t bound_generation = 0;
    context_node* bound = nullptr; // this entry is current at most as long as that one

    atomic<context_slot*> slot{nullptr}; // the entry's own; threads that use another slot may read it
    tracer_identity owner = 0;           // the tracer
    open_trace* trace = nullptr;
    const span_data* span = nullptr;
    span_id id;
    captured_contents* contents = nullptr; // of an attached context
    recorder* of = nullptr;                // held; of a scope, and of a trace that is not recorded
    trace_entries entries;                 // of a scope

    // Entries that are bound to this one may read `generation` long after it has ended.
    static constexpr bool is_looked_at = true;
    static constexpr bool has_blocks = true;

    bool recycle() noexcept {
        if (recorder* const held = std::exchange(of, nullptr)) held->release();
        if (what == kind::span) return true;
        captured_contents::release(std::exchange(contents, nullptr));
        if (entries.capacity() > machine::kept_block) entries.release();
        entries.clear();
        return true;
    }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(context_node) + entries.capacity(); }
    void strip() noexcept { entries.release(); }
};

inline bool has_ended(const context_node& node) noexcept {
    if (node.what == context_node::kind::span)
        return node.span->generation.load(memory_order_acquire) != node.span_generation;
    return node.generation.load(memory_order_acquire) != node.entered_as;
}

inline bool is_live(const context_node& node) noexcept {
    if (has_ended(node)) return false;
    const context_node* const bound = node.bound;
    return !bound || (bound->generation.load(memory_order_acquire) == node.bound_generation && is_live(*bound));
}

// Ends a scope or an attached context, on any thread. Returns false when it has already ended.
inline bool end_node(context_node& node, std::uint32_t entered_as) noexcept {
    return node.generation.compare_exchange_strong(entered_as, entered_as + 1, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

} // namespace detail

/// What a context policy stores for each thread, task or coroutine: the entries that are current there. It is used by
/// one thread at a time, except that entries may end on any thread. The owner of a slot calls `release` before the
/// slot is destroyed.
struct context_slot {
    detail::context_node* innermost = nullptr; ///< the innermost entry
    std::uint32_t unattached = 0; ///< attached contexts without an entry, for lack of memory; they hide everything
    bool may_be_mixed = false;    ///< a trace began here, without `nested`, while another one was current
    bool may_be_off = false;      ///< an entry may switch recording off
    bool is_of_task = false;      ///< the slot belongs to a task, whichever thread runs it
    bool is_mixed = false;        ///< of a task whose traces are interleaved: its entries are ignored

    /// Removes all entries, so that nothing is current. Open spans stay open.
    void release() noexcept;
};

namespace detail {

using nodes = pool<context_node>;

inline void unlink(context_slot& slot, context_node& node) noexcept {
    (node.inner ? node.inner->next : slot.innermost) = node.next;
    if (node.next) node.next->inner = node.inner;
    node.slot.store(nullptr, memory_order_relaxed);
}

// Collects the entries that leave a slot, and recycles them when the slot is no longer in use: destroying what an
// attached context holds may run code of the application.
class left_nodes {
public:
    left_nodes() = default;
    left_nodes(const left_nodes&) = delete;
    left_nodes& operator=(const left_nodes&) = delete;
    ~left_nodes() {
        while (first_) nodes::instance().give_back(std::exchange(first_, first_->next));
    }

    // Takes the entry out of the slot.
    void take(context_slot& slot, context_node& node) noexcept {
        unlink(slot, node);
        if (node.what == context_node::kind::span)
            node.generation.store(node.generation.load(memory_order_relaxed) + 1, memory_order_release);
        else end_node(node, node.entered_as);
        node.next = std::exchange(first_, &node);
    }
    void take_ended(context_slot& slot) noexcept {
        for (context_node* node = slot.innermost; node;)
            if (is_live(*node)) node = node->next;
            else take(slot, *std::exchange(node, node->next));
    }

private:
    context_node* first_ = nullptr;
};

// Calls `visit` for each entry, innermost first, until it returns true or after an attached context. Takes ended
// entries out of the slot on the way.
template <class Visit>
void walk(context_slot& slot, Visit&& visit) {
    left_nodes left;
    context_node* node = slot.innermost;
    while (node) {
        if (!is_live(*node)) {
            left.take(slot, *std::exchange(node, node->next));
            continue;
        }
        if (visit(*node) || node->what == context_node::kind::attached) return;
        node = node->next;
    }
}

inline void bind(context_node& node, context_node* bound) noexcept {
    node.bound = bound;
    node.bound_generation = bound ? bound->generation.load(memory_order_relaxed) : 0;
}

// Returns the attached context that is in force, or null.
__attribute__((noinline)) inline context_node* look_for_attached(context_slot& slot) noexcept {
    context_node* found = nullptr;
    walk(slot, [&found](context_node& node) {
        if (node.what == context_node::kind::attached) found = &node;
        return found || !node.is_inside_attached;
    });
    return found;
}
inline context_node* attached_in(context_slot& slot) noexcept {
    const context_node* const innermost = slot.innermost;
    if (!innermost || (innermost->what != context_node::kind::attached && !innermost->is_inside_attached &&
                       is_live(*innermost))) [[likely]]
        return nullptr;
    return look_for_attached(slot);
}

// Adds the innermost entry. Null when memory runs out.
inline context_node* enter(context_slot& slot, context_node::kind what, tracer_identity owner) noexcept {
    context_node* const attached = attached_in(slot);
    context_node* const node = nodes::instance().take();
    if (!node) return nullptr;
    node->what = what;
    node->owner = owner;
    node->is_root = node->is_unmeant = node->everything_is_off = false;
    node->is_bound = true;
    node->is_inside_attached = attached != nullptr;
    node->entered_as = node->generation.load(memory_order_relaxed);
    // An attached context ends on its own, whatever happens to the context it was attached in.
    bind(*node, what == context_node::kind::attached ? nullptr : attached);
    node->slot.store(&slot, memory_order_relaxed);
    node->inner = nullptr;
    node->next = std::exchange(slot.innermost, node);
    if (node->next) node->next->inner = node;
    return node;
}

inline context_node* enter_span(context_slot& slot, open_trace* trace, tracer_identity owner,
                                span_data& span) noexcept {
    context_node* const node = enter(slot, context_node::kind::span, owner);
    if (!node) return nullptr;
    node->trace = trace;
    node->id = span.id;
    node->span = &span;
    node->span_generation = span.generation.load(memory_order_relaxed);
    span.entered = node;
    return node;
}

// Takes the entry of a span out of the slot. It bypasses `left_nodes`, because a span's entry holds nothing.
inline void leave_span(context_slot& slot, context_node& node) noexcept {
    unlink(slot, node);
    node.generation.store(node.generation.load(memory_order_relaxed) + 1, memory_order_release);
    nodes::instance().give_back(&node);
}

// The entry of a span in this slot, or null.
inline context_node* find_span(context_slot& slot, const span_data& span) noexcept {
    context_node* const node = span.entered;
    if (!node || node->slot.load(memory_order_relaxed) != &slot) return nullptr; // of another slot, or recycled
    const bool is_entry = node->what == context_node::kind::span && node->span == &span &&
                          node->span_generation == span.generation.load(memory_order_relaxed);
    return is_entry ? node : nullptr;
}

// Whether the attached context contains this trace.
inline bool carries(const context_node& attached, const open_trace* trace) noexcept {
    const auto* span = attached.contents ? attached.contents->spans : nullptr;
    while (span && span->trace != trace) span = span->outer;
    return span != nullptr;
}

// Called when the object of a span has left the stack. The span then stays current for as long as an enclosing entry
// of its trace: another span, the attached context that contains the trace, or for a root span the attached context
// in which it began. Returns false when there is none.
inline bool unbind(context_node& node) noexcept {
    for (context_node* around = node.next; around; around = around->next) {
        if (!is_live(*around) || around->what == context_node::kind::scope) continue;
        const bool is_attached = around->what == context_node::kind::attached;
        const bool holds_it = is_attached ? node.is_root || carries(*around, node.trace)
                                          : !node.is_root && node.trace && around->trace == node.trace;
        if (holds_it) {
            bind(node, around);
            node.is_bound = false;
            return true;
        }
        if (is_attached) break;
    }
    return false;
}

// A handle to the entry of a scope or an attached context. The generation distinguishes it from a later entry in the
// same memory.
class entered_node {
public:
    entered_node() = default;
    // `where` returns the slot of its caller.
    entered_node(slot_function where, context_slot* slot, context_node* node) noexcept
        : where_(where), slot_(slot), node_(node), entered_as_(node ? node->entered_as : 0) {}
    entered_node(const entered_node&) = delete;
    entered_node& operator=(const entered_node&) = delete;
    // Ends the entry. It is taken out at once if its slot is the one of this thread, and otherwise by the next user
    // of that slot.
    ~entered_node() {
        if (!node_ || !end_node(*node_, entered_as_) || !is_here()) return;
        left_nodes left;
        if (node_->slot.load(memory_order_relaxed) == slot_) left.take(*slot_, *node_);
        left.take_ended(*slot_); // entries inside an ended attached context have ended with it
    }

    // Null once the entry has ended, which may happen in code that runs while the entry is made.
    [[nodiscard]] context_node* get() const noexcept {
        return node_ && node_->generation.load(memory_order_acquire) == entered_as_ ? node_ : nullptr;
    }
    [[nodiscard]] bool has_no_place() const noexcept { return slot_ && !node_; }
    [[nodiscard]] context_slot* slot() const noexcept { return slot_; }
    [[nodiscard]] bool is_here() const noexcept { return slot_ && where_() == slot_; }

private:
    slot_function where_ = nullptr;
    context_slot* slot_ = nullptr;
    context_node* node_ = nullptr;
    std::uint32_t entered_as_ = 0;
};

template <class Context>
inline constexpr bool is_ambient = true;
template <class Context>
    requires requires { requires !Context::is_ambient; }
inline constexpr bool is_ambient<Context> = false;

// Whether the current span stays with a coroutine that is resumed on another thread. Also true if nothing is ever
// current.
template <class Context>
inline constexpr bool follows_coroutines = !is_ambient<Context>;
template <class Context>
    requires requires { requires Context::is_per_task; }
inline constexpr bool follows_coroutines<Context> = true;

// The slot where recording is switched off, also for a policy in which nothing is current.
template <class Context>
context_slot* slot_of() noexcept {
    if constexpr (requires { Context::off_slot(); }) return Context::off_slot();
    else return Context::slot();
}

// Whether an object at this address can be current for as long as it lives.
template <class Context>
bool holds([[maybe_unused]] const void* object) {
    if constexpr (requires { Context::holds(object); }) return Context::holds(object);
    else return true;
}

} // namespace detail

inline void context_slot::release() noexcept {
    detail::left_nodes left;
    while (innermost) left.take(*this, *innermost);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
