// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/metadata/identity.hpp>

#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// In a schema: every trace says this value, or says that there is none.
template <class Key>
struct required {
    static_assert(metadata_key<Key>, "required: give it a key, such as mt::user or a type made of mt::key");
    using key = Key;
    static constexpr bool is_required = true;
};

/// In a schema: a trace may carry this value.
template <class Key>
struct optional {
    static_assert(metadata_key<Key>, "optional: give it a key, such as mt::user or a type made of mt::key");
    using key = Key;
    static constexpr bool is_required = false;
};

/// In a schema: a value that is known only inside the call. A trace that ends without it, and without saying that
/// there is none, is recorded and reported.
template <class Key>
struct late {
    static_assert(metadata_key<Key>, "late: give it a key, such as mt::user or a type made of mt::key");
    using key = Key;
    static constexpr bool is_required = false;
    static constexpr bool is_late = true;
};

/// In a schema, around one of these: the value also goes to other processes, where a `propagator` is used:
/// `mt::propagated<mt::required<mt::user>>`.
template <class Entry>
struct propagated : Entry {
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

/// The metadata that a trace may and must carry. A key that is not listed does not compile; a required key that is
/// left out at the start of a trace does not compile either. `client_request_id` and tags are not metadata, and
/// always allowed.
template <class... Entries>
struct schema {
    static_assert(
        (detail::schema_entry<Entries> && ...),
        "list the keys as mt::required<key>, mt::late<key> or mt::optional<key>: mt::schema<mt::required<mt::user>>");
    static_assert(detail::names_are_distinct<Entries...>(), "a key is listed twice in the schema");

    template <class Key>
    static constexpr bool has = (std::is_same_v<typename Entries::key, Key> || ...);

    /// May a key that is known at run time only be set by its name? Only in an open schema.
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

    /// The same for each late key.
    template <class Visitor>
    static constexpr void for_each_late([[maybe_unused]] Visitor&& visit) {
        (
            [&] {
                if constexpr (detail::is_late<Entries>) visit.template operator()<typename Entries::key>();
            }(),
            ...);
    }

    /// The same for each key that goes to other processes.
    template <class Visitor>
    static constexpr void for_each_propagated([[maybe_unused]] Visitor&& visit) {
        (
            [&] {
                if constexpr (detail::is_propagated<Entries>) visit.template operator()<typename Entries::key>();
            }(),
            ...);
    }

    static constexpr bool has_name([[maybe_unused]] std::string_view name) noexcept {
        return ((Entries::key::name == name) || ...);
    }
};

/// Any key, none required; also keys known at run time only, by `metadata(name, value)`.
struct open_schema {
    template <class Key>
    static constexpr bool has = true;
    static constexpr bool is_open = true;
    template <class Visitor>
    static constexpr void for_each_required(Visitor&&) {}
    template <class Visitor>
    static constexpr void for_each_late(Visitor&&) {}
    template <class Visitor>
    static constexpr void for_each_propagated(Visitor&&) {}
    static constexpr bool has_name(std::string_view) noexcept { return true; }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
