// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/spans/trace.hpp>
#include <mlflow/trace/web/incoming_trace.hpp>

#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The type of `nested`.
struct nested_trace {};
/// Given to `start_trace`: the new trace is meant to start inside the current one, which is current again when the
/// new trace ends. Without it, a second trace in one context is taken as a sign that coroutines or callbacks are
/// interleaved there.
inline constexpr nested_trace nested{};

namespace detail {

template <class T, class Schema>
concept identity_argument =
    std::is_same_v<typename unwrapped<T>::type, client_request_id> ||
    (metadata_key<typename unwrapped<T>::type> && Schema::template has<typename unwrapped<T>::type>);

// The arguments of `start_trace` that do not describe the trace as a whole.
template <class T>
inline constexpr bool describes_root =
    std::is_same_v<T, span_type> || std::is_same_v<T, remote_span> || std::is_same_v<T, nested_trace> ||
    std::is_same_v<T, incoming_trace> || std::is_same_v<T, sample_ratio>;

// The values of these arguments that were given.
struct start_arguments {
    span_type type = span_type::unknown;
    const remote_span* caller = nullptr;
    const incoming_trace* incoming = nullptr;
    const sample_ratio* ratio = nullptr;
    std::string_view session{}; // a view whose data() is null if the session was given as absent
    bool tells_session = false;

    template <class T>
    void take(const T& value) noexcept {
        if constexpr (std::is_same_v<typename unwrapped<T>::type, mlflow::trace::session>) {
            tells_session = true;
            if constexpr (is_maybe<T>) {
                if (const auto* const known = value.get()) session = known->view();
            } else if constexpr (!is_absent<T>) {
                session = value.view();
            }
        } else if constexpr (std::is_same_v<T, span_type>) type = value;
        else if constexpr (std::is_same_v<T, remote_span>) caller = caller && is_continued() ? caller : &value;
        else if constexpr (std::is_same_v<T, sample_ratio>) ratio = &value;
        else if constexpr (std::is_same_v<T, incoming_trace>) {
            incoming = &value;
            if (value.caller()) caller = value.caller();
        }
    }
    [[nodiscard]] bool is_continued() const noexcept { return incoming && incoming->is_trusted(); }
};

// Looks for a metadata value at the start of a trace: in the continued trace, in the arguments, and then in the
// scopes of the slot.
template <class... Values>
std::string_view find_at_start(context_slot* slot, const recorder& owner, const incoming_trace* incoming,
                               std::string_view key, const Values&... values) noexcept {
    std::string_view found = incoming ? incoming->metadata(key) : std::string_view{};
    bool is_told = found.data() != nullptr;
    const auto look = [&](entry_kind kind, std::string_view name, std::string_view text) {
        const bool is_it = (kind == entry_kind::metadata || kind == entry_kind::absent) && name == key;
        if (is_it && !std::exchange(is_told, true) && kind == entry_kind::metadata) found = text;
        return error{};
    };
    [[maybe_unused]] const auto look_at = [&](const auto& value) {
        using given = std::remove_cvref_t<decltype(value)>;
        if constexpr (!describes_root<given> && !added_value<given>) static_cast<void>(set_value(value, look));
    };
    (look_at(values), ...);
    if (slot && !is_told)
        for_each_scope(*slot, owner.identity(), owner.trusted(), [&](const trace_entries& entries) {
            for (const trace_entry entry : entries) look(entry.kind, entry.key, entry.value);
        });
    return found;
}

// The number of arguments for this key, including the statement that there is no value.
template <class Key, class... Args>
inline constexpr int times_given = (0 + ... + int{std::is_same_v<typename unwrapped<Args>::type, Key>});

template <class Schema, class... Args>
constexpr void require_start_arguments() noexcept {
    static_assert(((describes_root<Args> || checked_value<Args>) && ...),
                  "start_trace accepts checked values: convert a text with its key's parse(text), such as "
                  "mt::user::parse, and pass *result if it succeeded");
    if constexpr (!Schema::is_open) {
        Schema::for_each_required([]<class Key>() {
            if constexpr (std::is_same_v<Key, user>)
                static_assert(times_given<Key, Args...> != 0,
                              "this schema requires a user: pass an mt::user, or mt::anonymous");
            else if constexpr (std::is_same_v<Key, session>)
                static_assert(times_given<Key, Args...> != 0,
                              "this schema requires a session: pass an mt::session, or mt::no_session");
            else
                static_assert(times_given<Key, Args...> != 0,
                              "this schema requires a key that was not passed: pass a value, or mt::absent<key>{}");
        });
    }
    static_assert(((std::is_same_v<Args, tag> || added_value<Args> || describes_root<Args> ||
                    times_given<typename unwrapped<Args>::type, Args...> == 1) &&
                   ...),
                  "the same key is passed twice to start_trace");
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
