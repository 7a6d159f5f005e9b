// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/metadata/identity.hpp>

#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// In a schema: every trace must have this key, or state that there is no value.
template <class Key>
struct required {
    static_assert(metadata_key<Key>, "required<T>: T must be a key, such as mt::user or an mt::key");
    /// The key.
    using key = Key;
    /// Whether a trace must have the key when it starts.
    static constexpr bool is_required = true;
};

/// In a schema: a trace may have this key.
template <class Key>
struct optional {
    static_assert(metadata_key<Key>, "optional<T>: T must be a key, such as mt::user or an mt::key");
    /// The key.
    using key = Key;
    /// Whether a trace must have the key when it starts.
    static constexpr bool is_required = false;
};

/// In a schema: a key whose value becomes known after the trace has started. A trace that ends without the value, and
/// without the statement that there is none, is recorded, and the missing value is reported.
template <class Key>
struct late {
    static_assert(metadata_key<Key>, "late<T>: T must be a key, such as mt::user or an mt::key");
    /// The key.
    using key = Key;
    /// Whether a trace must have the key when it starts.
    static constexpr bool is_required = false;
    /// Whether a trace must have the key when it ends.
    static constexpr bool is_late = true;
};

/// In a schema, around one of these entries: a `propagator` also sends the value to other processes. Example:
/// `mt::propagated<mt::required<mt::user>>`.
template <class Entry>
struct propagated : Entry {
    /// Whether a `propagator` sends the value.
    static constexpr bool is_propagated = true;
};

namespace detail {

template <class Entry>
inline constexpr bool is_propagated = requires { Entry::is_propagated; };

template <class Entry>
inline constexpr bool is_late = requires { Entry::is_late; };

template <class Entry>
concept schema_entry = requires {
    typename Entry::key;
    { Entry::is_required } -> std::convertible_to<bool>;
};

template <class... Entries>
constexpr bool names_are_distinct() noexcept {
    const std::string_view names[] = {"", Entries::key::name...};
    for (std::size_t i = 1; i <= sizeof...(Entries); ++i)
        for (std::size_t k = 1; k < i; ++k)
            if (names[i] == names[k]) return false;
    return true;
}

} // namespace detail

/// The metadata keys that a trace must and may have. Using a key that is not listed does not compile, nor does
/// starting a trace without a required key. `client_request_id` and tags are not metadata; they are always allowed.
template <class... Entries>
struct schema {
    static_assert((detail::schema_entry<Entries> && ...),
                  "each argument of mt::schema must be mt::required<key>, mt::late<key> or mt::optional<key>, as in "
                  "mt::schema<mt::required<mt::user>>");
    static_assert(detail::names_are_distinct<Entries...>(), "a key is listed twice in the schema");

    /// Whether `Key` is listed.
    template <class Key>
    static constexpr bool has = (std::is_same_v<typename Entries::key, Key> || ...);

    /// Whether metadata may be set by a key name that is only known at run time. Only an open schema allows it.
    static constexpr bool is_open = false;

    /// Calls `visit.template operator()<Key>()` for each required key.
    template <class Visitor>
    static constexpr void for_each_required(Visitor&& visit) {
        (
            [&] {
                if constexpr (Entries::is_required) visit.template operator()<typename Entries::key>();
            }(),
            ...);
    }

    /// Calls `visit` in the same way for each late key.
    template <class Visitor>
    static constexpr void for_each_late([[maybe_unused]] Visitor&& visit) {
        (
            [&] {
                if constexpr (detail::is_late<Entries>) visit.template operator()<typename Entries::key>();
            }(),
            ...);
    }

    /// Calls `visit` in the same way for each key that is propagated to other processes.
    template <class Visitor>
    static constexpr void for_each_propagated([[maybe_unused]] Visitor&& visit) {
        (
            [&] {
                if constexpr (detail::is_propagated<Entries>) visit.template operator()<typename Entries::key>();
            }(),
            ...);
    }

    /// Whether a key of this name is listed.
    static constexpr bool has_name([[maybe_unused]] std::string_view name) noexcept {
        return ((Entries::key::name == name) || ...);
    }
};

/// The schema that allows any key and requires none. Keys that are only known at run time are set by
/// `metadata(name, value)`.
struct open_schema {
    /// Every key is allowed.
    template <class Key>
    static constexpr bool has = true;
    /// Metadata may be set by a key name that is only known at run time.
    static constexpr bool is_open = true;
    /// No key is required.
    template <class Visitor>
    static constexpr void for_each_required(Visitor&&) {}
    /// No key is late.
    template <class Visitor>
    static constexpr void for_each_late(Visitor&&) {}
    /// No key is propagated.
    template <class Visitor>
    static constexpr void for_each_propagated(Visitor&&) {}
    /// Every name is allowed.
    static constexpr bool has_name(std::string_view) noexcept { return true; }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
