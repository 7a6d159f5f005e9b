// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/metadata/schema.hpp>
#include <mlflow/trace/metadata/tag.hpp>
#include <mlflow/trace/spans/span.hpp>

#include <concepts>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The caller has checked the value. These functions only enforce that metadata is written once.
inline error set_entry(open_trace& trace, entry_kind kind, std::string_view key, std::string_view value) noexcept {
    const lock_guard guard(*trace.lock);
    if (!trace.data) return {error_kind::no_open_trace, key};
    if (kind == entry_kind::metadata || kind == entry_kind::client_request_id) {
        if (const auto old = trace.data->entries.find(kind, key); old.data())
            return old == value ? error{} : error{error_kind::already_set, key};
    }
    // The statement that there is no value is written once, too.
    const auto opposite = kind == entry_kind::absent ? entry_kind::metadata : entry_kind::absent;
    if ((kind == entry_kind::absent || kind == entry_kind::metadata) &&
        trace.data->entries.find(opposite, key).data())
        return {error_kind::already_set, key};
    if (!trace.data->entries.set(kind, key, value)) return {error_kind::out_of_memory, key};
    return {};
}

// Adds an entry unless the trace already has one for this key.
inline error add_entry(open_trace& trace, const trace_entry& entry) noexcept {
    const lock_guard guard(*trace.lock);
    if (!trace.data) return {};
    trace_entries& known = trace.data->entries;
    const bool is_known = known.find(entry.kind, entry.key).data() ||
                          known.find(entry_kind::absent, entry.key).data() ||
                          (entry.kind == entry_kind::absent && known.find(entry_kind::metadata, entry.key).data());
    if (is_known || known.set(entry.kind, entry.key, entry.value)) return {};
    return {error_kind::out_of_memory, entry.key};
}

// Adds the entries of the scopes around the start of a trace. Entries of the trace itself take precedence, and an
// inner scope takes precedence over an outer one.
inline void apply_scopes(context_slot& slot, open_trace& trace) noexcept {
    bool is_complete = true;
    for_each_scope(slot, trace.owner->identity(), trace.owner->trusted(), [&](const trace_entries& entries) {
        for (const trace_entry entry : entries)
            is_complete = add_entry(trace, entry).kind() == error_kind::none && is_complete;
    });
    if (!is_complete) trace.owner->report({error_kind::out_of_memory, "scope"}); // outside the trace's lock
}

template <class T>
struct unwrapped {
    using type = T;
};
template <class Key>
struct unwrapped<absent<Key>> {
    using type = Key;
};
template <class Key>
struct unwrapped<maybe<Key>> {
    using type = Key;
};

// A value that is added to the existing ones, such as `linked_prompt`.
template <class T>
concept added_value = requires(const T& value, trace_entries& entries) {
    { value.add_to(entries) } noexcept -> std::same_as<error>;
};

template <class T>
inline constexpr bool is_absent = false;
template <class Key>
inline constexpr bool is_absent<absent<Key>> = true;
template <class T>
inline constexpr bool is_maybe = false;
template <class Key>
inline constexpr bool is_maybe<maybe<Key>> = true;

// Calls `set(kind, key, text)` for a value that describes a trace as a whole.
template <class T, class Set>
error set_value(const T& value, Set&& set) noexcept {
    if constexpr (is_absent<T>) {
        return set(entry_kind::absent, unwrapped<T>::type::name, std::string_view{});
    } else if constexpr (is_maybe<T>) {
        if (const auto* const given = value.get()) return set_value(*given, set);
        return set_value(absent<typename unwrapped<T>::type>{}, set);
    } else if constexpr (std::is_same_v<T, tag>) {
        const error refused = value.check();
        return refused.kind() == error_kind::none ? set(entry_kind::tag, value.key, value.value) : refused;
    } else {
        constexpr bool is_request_id = std::is_same_v<typename unwrapped<T>::type, client_request_id>;
        return set(is_request_id ? entry_kind::client_request_id : entry_kind::metadata, T::name, value.view());
    }
}

// Sets one value. Returns false, and reports the error, when the value is rejected.
template <class T>
bool apply(open_trace& trace, const T& value) noexcept {
    const error refused = [&] {
        if constexpr (added_value<T>) {
            const lock_guard guard(*trace.lock);
            return trace.data ? value.add_to(trace.data->entries) : error{error_kind::no_open_trace, T::tag_key};
        } else {
            return set_value(value, [&](entry_kind kind, std::string_view key, std::string_view text) {
                return set_entry(trace, kind, key, text);
            });
        }
    }();
    if (refused.kind() != error_kind::none) trace.owner->report(refused);
    return refused.kind() == error_kind::none;
}

// Adds the entries that the caller sent for a continued trace.
inline void apply_incoming(open_trace& trace, const trace_entries& entries) noexcept {
    for (const trace_entry entry : entries)
        if (const error refused = add_entry(trace, entry); refused.kind() != error_kind::none)
            trace.owner->report(refused);
}
// Sets one more value on a continued trace. A value that differs from the caller's is rejected; the statement that
// there is no value is ignored if the caller sent one.
template <class T>
void apply_continued(open_trace& trace, const T& value) noexcept {
    if constexpr (added_value<T>) {
        apply(trace, value);
    } else {
        const error refused = set_value(value, [&](entry_kind kind, std::string_view key, std::string_view text) {
            return kind == entry_kind::absent ? add_entry(trace, {kind, key, text})
                                              : set_entry(trace, kind, key, text);
        });
        if (refused.kind() != error_kind::none) trace.owner->report(refused);
    }
}

// Sets all values, even after one was rejected.
template <class... T>
bool apply_all(open_trace& trace, const T&... values) noexcept {
    return (static_cast<int>(apply(trace, values)) & ... & 1) != 0;
}

// Adds the value to the entries of a scope.
template <class T>
bool apply(trace_entries& entries, recorder& owner, const T& value) noexcept {
    const error refused = set_value(value, [&](entry_kind kind, std::string_view key, std::string_view text) {
        return entries.set(kind, key, text) ? error{} : error{error_kind::out_of_memory, key};
    });
    if (refused.kind() != error_kind::none) owner.report(refused);
    return refused.kind() == error_kind::none;
}

template <class Schema, class T>
concept allowed_in_trace =
    std::is_same_v<T, tag> || added_value<T> || std::is_same_v<typename unwrapped<T>::type, client_request_id> ||
    (metadata_key<typename unwrapped<T>::type> && Schema::template has<typename unwrapped<T>::type>);

template <class T>
concept checked_value = std::is_same_v<T, tag> || added_value<T> || metadata_key<typename unwrapped<T>::type>;

// A compiler shows these texts first, so they name the remedy.
template <class Schema, class T>
constexpr void require_allowed() noexcept {
    using value = typename unwrapped<T>::type;
    static_assert(checked_value<T>,
                  "a trace accepts checked values: mt::user, mt::session, mt::client_request_id, mt::tag or an "
                  "mt::key; convert a text with mt::user::parse(text), and pass *result if it succeeded");
    if constexpr (metadata_key<value> && !std::is_same_v<value, client_request_id>)
        static_assert(Schema::template has<value>,
                      "this key is not in the tracer's schema: add mt::optional<key> to mt::schema<...>");
}

template <class Schema, class T>
constexpr void require_allowed_in_scope() noexcept {
    static_assert(!added_value<T>, "a scope applies to many traces, but a linked prompt belongs to one: pass it to "
                                   "start_trace, trace.set or update_current_trace");
    require_allowed<Schema, T>();
}

} // namespace detail

/// A trace that is open: its root span, and the values that describe it as a whole. Metadata is written once, while
/// the trace is open: setting the same value again has no effect, and another value is rejected and reported. Tags
/// may be set again.
template <class Schema, class Context, class Platform>
class basic_trace : public basic_span<Context, Platform> {
    using span = basic_span<Context, Platform>;

public:
    /// A trace that records nothing.
    basic_trace() noexcept = default;

    /// Sets checked values: keys of the schema, a client request ID, tags. Returns false when one was rejected.
    template <class... Values>
    bool set(const Values&... values) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        if constexpr ((detail::allowed_in_trace<Schema, Values> && ...)) {
            if (!this->span_) return false;
            if constexpr (sizeof...(Values) == 1) return detail::apply_all(*this->span_->trace, values...);
            const detail::span_watch watch(*this->span_); // an error handler may end the trace
            const auto apply_next = [&](const auto& value) {
                return watch.span() != nullptr && detail::apply(*watch.span()->trace, value);
            };
            return (static_cast<int>(apply_next(values)) & ... & 1) != 0;
        }
        return false;
    }

    /// Sets the texts that MLflow's list of traces shows for the request and the response, in place of the root
    /// span's inputs and outputs. They are truncated to 1000 characters, as by MLflow.
    void previews(std::string_view request, std::string_view response) noexcept {
        if (!this->span_) return;
        const detail::span_watch watch(*this->span_); // a redactor may end the trace
        const auto set = [&watch](entry_kind kind, std::string_view key, std::string_view text) {
            if (text.empty() || !watch.span()) return;
            const detail::ruled_text shown(watch.span()->body.rules, key, text);
            if (!watch.span()) return watch.report({error_kind::span_ended, key});
            auto refused =
                detail::set_entry(*watch.span()->trace, kind, {}, detail::first_code_points(shown.view(), 1000));
            if (refused.kind() != error_kind::none) watch.report({refused.kind(), key});
        };
        set(entry_kind::request_preview, "request_preview", request);
        set(entry_kind::response_preview, "response_preview", response);
    }

    /// Sets a metadata key that is only known at run time; for an open schema. Returns false when it was rejected.
    bool metadata(std::string_view key, std::string_view value) noexcept
        requires Schema::is_open
    {
        if (!this->span_) return false;
        auto& trace = *this->span_->trace;
        auto refused = detail::check_metadata(key, value);
        if (refused.kind() == error_kind::none) refused = detail::set_entry(trace, entry_kind::metadata, key, value);
        if (refused.kind() == error_kind::none) return true;
        trace.owner->report(refused);
        return false;
    }

private:
    template <class, class, class, class, class>
    friend class tracer;
    explicit basic_trace(span_data* root) noexcept : span(root) {}
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
