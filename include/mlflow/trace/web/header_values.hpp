// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/text/outer_space.hpp>

#include <concepts>
#include <cstddef>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A text, recognised by its members, because Boost's string views do not convert to the standard one.
template <class T>
concept header_text = std::is_convertible_v<const T&, std::string_view> || requires(const T& text) {
    { text.data() } -> std::convertible_to<const char*>;
    text.size();
};

template <header_text T>
constexpr std::string_view view_of(const T& text) noexcept {
    if constexpr (std::is_pointer_v<T>) return text ? std::string_view(text) : std::string_view{};
    else if constexpr (std::is_convertible_v<const T&, std::string_view>) return text;
    else return {text.data(), text.size()};
}

template <class Field>
concept beast_field = requires(const Field& field) {
    field.name_string();
    field.value();
};
template <class Field>
concept named_field = requires(const Field& field) {
    field.name;
    field.value;
};

template <class Headers>
concept header_lookup = requires(const Headers& headers) { headers(std::string_view{}); };

// Calls `visit` with what a look-up returned: nothing, a text, or several texts.
template <class Found, class Visit>
void visit_found(const Found& found, Visit&& visit) {
    if constexpr (std::is_pointer_v<Found> || header_text<Found>) {
        if (const auto text = view_of(found); text.data()) visit(text);
    } else if constexpr (requires { found.has_value(); }) {
        if (found.has_value()) visit(view_of(*found));
    } else {
        for (const auto& text : found) visit(view_of(text));
    }
}

// Calls `visit(std::string_view)` for each value of the header with this name.
template <class Headers, class Visit>
void for_each_header_value(const Headers& headers, std::string_view name, Visit&& visit) {
    if constexpr (header_lookup<Headers>) {
        visit_found(headers(name), visit);
    } else {
        for (const auto& field : headers) {
            using field_type = std::remove_cvref_t<decltype(field)>;
            if constexpr (beast_field<field_type>) {
                if (same_name(view_of(field.name_string()), name)) visit(view_of(field.value()));
            } else if constexpr (named_field<field_type>) {
                if (same_name(view_of(field.name), name)) visit(view_of(field.value));
            } else {
                if (same_name(view_of(field.first), name)) visit(view_of(field.second));
            }
        }
    }
}

// RFC 9110, 5.5: a value must not contain CR, LF or NUL. Other control characters are rejected too.
constexpr error check_field_value(std::string_view name, std::string_view text) noexcept {
    for (std::size_t i = 0; i < text.size(); ++i)
        if (!is_field_value(text.substr(i, 1))) return {error_kind::control_character, name, i};
    return {};
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
