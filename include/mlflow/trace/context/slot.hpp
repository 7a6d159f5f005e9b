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

// What was entered in a slot: a span, a scope, or an attached context, beyond which nothing outside is seen. It
// points at no object of the application: what it says about a span is a copy, and a scope or an attached context
// tells by the generation that it has ended.
struct context_node {
    enum class kind : std::uint8_t { span, scope, attached };

    context_node* next = nullptr;       // what was entered before it
    context_node* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;        // of the pool

    kind what = kind::span;
    bool is_root = false;
    bool is_unmeant = false; // a trace that began while another of its tracer was current, without `nested`
    bool is_inside_attached = false;
    bool is_bound = true;           // its object lives on the stack of the thread, or the slot is not a thread's
    bool everything_is_off = false; // also traces of their own are not recorded inside it

    atomic<std::uint32_t> generation{0}; // another number once it has ended; what it was on entry:
    std::uint32_t entered_as = 0;
    std::uint32_t span_generation = 0;
    std::uint32_t bound_generation = 0;
    context_node* bound = nullptr; // it is current for as long as that one, at most

    tracer_identity owner = 0; // which tracer's
    open_trace* trace = nullptr;
    const span_data* span = nullptr;
    span_id id;
    captured_contents* contents = nullptr; // of an attached context
    recorder* of = nullptr;                // held, of a scope and of a trace that is not recorded
    trace_entries entries;                 // of a scope

    // What is bound to it may look at `generation` long after it has ended.
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

// Ends a scope or an attached context, on any thread. False when that has happened before.
inline bool end_node(context_node& node, std::uint32_t entered_as) noexcept {
    return node.generation.compare_exchange_strong(entered_as, entered_as + 1, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

} // namespace detail

/// What a context policy stores per thread, task or coroutine: what is current there. Used by one thread at a time,
/// but for the ends of what was entered in it. One that goes away is given back by `release`.
struct context_slot {
    detail::context_node* innermost = nullptr;
    std::uint32_t unattached = 0; ///< attached contexts for which there was no memory: nothing outside them counts
    bool may_be_mixed = false;    ///< a trace began here while another was current, and was not said to be meant
    bool may_be_off = false;      ///< something here may keep everything from being recorded
    bool is_of_task = false;      ///< what is current here belongs to one task, whichever thread runs it
    bool is_mixed = false; ///< of a task in which several things take turns all the same: nothing entered counts

    /// Nothing is current any more. Spans that are open go on.
    void release() noexcept;
};

namespace detail {

using nodes = pool<context_node>;

// Collects what leaves a slot, to be recycled when nobody looks at the slot any more: what a context has held alive
// may run code of the application as it goes.
class left_nodes {
public:
    left_nodes() = default;
    left_nodes(const left_nodes&) = delete;
    left_nodes& operator=(const left_nodes&) = delete;
    ~left_nodes() {
        while (first_) nodes::instance().give_back(std::exchange(first_, first_->next));
    }

    // Takes out the node at this link.
    void take(context_node*& link) noexcept {
        context_node* const node = link;
        link = node->next;
        if (node->what == context_node::kind::span)
            node->generation.store(node->generation.load(memory_order_relaxed) + 1, memory_order_release);
        else end_node(*node, node->entered_as);
        node->next = std::exchange(first_, node);
    }

private:
    context_node* first_ = nullptr;
};

// Hands what is current to `visit`, the innermost first, until it returns true. What has ended is taken out on the
// way.
template <class Visit>
void walk(context_slot& slot, Visit&& visit) {
    left_nodes left;
    context_node** link = &slot.innermost;
    while (context_node* const node = *link) {
        if (!is_live(*node)) {
            left.take(*link);
            continue;
        }
        if (visit(*node) || node->what == context_node::kind::attached) return;
        link = &node->next;
    }
}

inline void bind(context_node& node, context_node* bound) noexcept {
    node.bound = bound;
    node.bound_generation = bound ? bound->generation.load(memory_order_relaxed) : 0;
}

// The attached context that is in force, or null.
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

// Becomes the innermost. Null without memory.
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
    // An attached context is taken back whatever becomes of the one that it was attached in.
    bind(*node, what == context_node::kind::attached ? nullptr : attached);
    node->next = std::exchange(slot.innermost, node);
    return node;
}

inline context_node* enter_span(context_slot& slot, open_trace* trace, tracer_identity owner,
                                const span_data& span) noexcept {
    context_node* const node = enter(slot, context_node::kind::span, owner);
    if (!node) return nullptr;
    node->trace = trace;
    node->id = span.id;
    node->span = &span;
    node->span_generation = span.generation.load(memory_order_relaxed);
    return node;
}

// Takes the span out of the slot at this link, without the detour of `left_nodes`: it holds nothing alive.
inline void leave_span(context_node*& link) noexcept {
    context_node* const node = link;
    link = node->next;
    node->generation.store(node->generation.load(memory_order_relaxed) + 1, memory_order_release);
    nodes::instance().give_back(node);
}

inline context_node** find_span(context_slot& slot, const span_data& span) noexcept {
    const std::uint32_t generation = span.generation.load(memory_order_relaxed);
    for (context_node** link = &slot.innermost; *link; link = &(*link)->next)
        if ((*link)->what == context_node::kind::span && (*link)->span == &span &&
            (*link)->span_generation == generation)
            return link;
    return nullptr;
}

// Does the attached context bring this trace along?
inline bool carries(const context_node& attached, const open_trace* trace) noexcept {
    const auto* span = attached.contents ? attached.contents->spans : nullptr;
    while (span && span->trace != trace) span = span->outer;
    return span != nullptr;
}

// What is current by an object that has left the stack stays so for as long as that of its trace in which it stands:
// a span, or the attached context that carries it or in which the trace began. False where there is none.
inline bool unbind(context_node*& link) noexcept {
    context_node& node = *link;
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

// Where a scope or an attached context stands, told apart from what stands there later.
class entered_node {
public:
    entered_node() = default;
    // `where` gives the slot of whoever calls it.
    entered_node(slot_function where, context_slot* slot, context_node* node) noexcept
        : where_(where), slot_(slot), node_(node), entered_as_(node ? node->entered_as : 0) {}
    entered_node(const entered_node&) = delete;
    entered_node& operator=(const entered_node&) = delete;
    // Ends it. It is taken out of the slot at once if that is the one here, and else by who uses that slot next.
    ~entered_node() {
        if (!node_ || !end_node(*node_, entered_as_) || !is_here()) return;
        left_nodes left;
        for (context_node** link = &slot_->innermost; *link; link = &(*link)->next) {
            if (*link != node_) continue;
            left.take(*link);
            break;
        }
        // What was entered inside an attached context goes with it.
        for (context_node** link = &slot_->innermost; *link;)
            if (is_live(**link)) link = &(*link)->next;
            else left.take(*link);
    }

    // Null once it has ended, by whoever runs while it is made.
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

// Does what is current stay with a coroutine that is resumed elsewhere, or is nothing current anyway?
template <class Context>
inline constexpr bool follows_coroutines = !is_ambient<Context>;
template <class Context>
    requires requires { requires Context::is_per_task; }
inline constexpr bool follows_coroutines<Context> = true;

// Where what is off stands, also for a policy that has nothing else ambient.
template <class Context>
context_slot* slot_of() noexcept {
    if constexpr (requires { Context::off_slot(); }) return Context::off_slot();
    else return Context::slot();
}

// May an object at this place be current for as long as it lives?
template <class Context>
bool holds([[maybe_unused]] const void* object) {
    if constexpr (requires { Context::holds(object); }) return Context::holds(object);
    else return true;
}

} // namespace detail

inline void context_slot::release() noexcept {
    detail::left_nodes left;
    while (innermost) left.take(innermost);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
