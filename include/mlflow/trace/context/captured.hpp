// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/memory/owner.hpp>

#include <cstdlib>
#include <new>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

struct contents_release {
    void operator()(captured_contents* contents) const noexcept { captured_contents::release(contents); }
};
using owned_contents = owner<captured_contents, contents_release>;

// Copies the innermost span of each tracer, innermost first.
inline void copy_spans(context_slot& slot, captured_contents& into) {
    std::vector<tracer_identity> owners;
    const auto add = [&owners](tracer_identity owner) {
        for (const auto known : owners)
            if (known == owner) return;
        owners.push_back(owner);
    };
    walk(slot, [&](const context_node& node) {
        if (node.what == context_node::kind::span) add(node.owner);
        for (const auto* span = node.contents ? node.contents->spans : nullptr; span; span = span->outer)
            add(span->owner);
        return false;
    });
    for (auto** link = &into.spans; const auto owner : owners) {
        const bool everything_is_off = is_off(slot, owner);
        held_context span(&slot, owner);
        if (!span && !everything_is_off) continue;
        *link = new captured_contents::span_place{nullptr, owner, span.span(), everything_is_off, nullptr};
        (*link)->trace = span.take();
        link = &(*link)->outer;
    }
}

// Copies the entries of the scopes, because a scope may have ended when its entries are needed.
inline void copy_scopes(context_slot& slot, captured_contents& into) {
    auto** link = &into.scopes;
    const auto copy = [&link](tracer_identity owner, const trace_entries& entries) {
        *link = new captured_contents::scope_place{owner, {}, nullptr};
        for (const trace_entry entry : entries)
            if (!(*link)->entries.set(entry.kind, entry.key, entry.value)) throw_bad_alloc();
        link = &(*link)->outer;
    };
    if (slot.unattached != 0) return;
    walk(slot, [&](const context_node& node) {
        if (node.what == context_node::kind::scope) {
            if (counts(slot, node.is_inside_attached, node.of->trusted())) copy(node.owner, node.entries);
        } else if (node.what == context_node::kind::attached && node.is_bound && node.contents) {
            for (const auto* scope = node.contents->scopes; scope; scope = scope->outer)
                copy(scope->owner, scope->entries);
        }
        return false;
    });
}

// Returns null when nothing is current.
inline owned_contents capture(context_slot* slot) {
    if (!slot || !slot->innermost) return nullptr;
    if (slot->may_be_mixed) {
        trust trusted = trust::all; // `copy_spans` asks each tracer
        look_for_mixture(*slot, any_owner, trusted);
    }
    owned_contents captured(new captured_contents);
    copy_spans(*slot, *captured);
    copy_scopes(*slot, *captured);
    return captured;
}

// Makes the contents current in the slot, and hides what was current there. Null when memory runs out.
inline context_node* attach(context_slot& slot, captured_contents* contents, bool is_bound) noexcept {
    context_node* const node = enter(slot, context_node::kind::attached, any_owner);
    if (!node) {
        ++slot.unattached;
        return nullptr;
    }
    node->is_bound = is_bound;
    if (!contents) return node;
    contents->retain();
    node->contents = contents;
    for (const auto* span = contents->spans; span; span = span->outer) {
        slot.may_be_off = slot.may_be_off || span->everything_is_off;
        if (span->trace && !is_bound) lose_track(*span->trace->owner, slot, error_kind::not_on_stack);
    }
    return node;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
