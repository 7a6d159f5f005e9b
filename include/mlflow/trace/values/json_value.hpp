// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/text/json_number.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/values/value_content.hpp>
#include <mlflow/trace/values/value_kinds.hpp>
#include <mlflow/trace/values/value_text.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

template <class Buffer, class T>
bool append_json(Buffer& out, const T& value);
template <class Buffer>
class json_object;

/// How a value of your own type is recorded. Specialise it with
/// `template <class Buffer> static bool append(Buffer& out, const T& value)`, which writes one JSON value by
/// `mt::append_json(out, …)` and `mt::json_object`, and returns false when `out` is full.
template <class T>
struct json_encoder;

namespace detail {

template <class Buffer>
bool append_json_text(Buffer& out, std::string_view text) {
    if constexpr (ruled<Buffer>)
        if (out.rules) return append_json_string(out, ruled_text(out.rules, out.key, text).view());
    return append_json_string(out, text);
}

// Also writes true, false and null.
template <class Buffer, class T>
bool append_json_number(Buffer& out, T value) noexcept {
    if constexpr (std::is_same_v<T, bool>) return append_json_bool(out, value);
    else if constexpr (std::is_same_v<T, std::nullptr_t>) return append_json_null(out);
    else if constexpr (std::is_floating_point_v<T>) return append_json_double(out, static_cast<double>(value));
    else if constexpr (std::is_signed_v<T>) return append_json_int(out, value);
    // MLflow stores a number above the largest signed integer, but then cannot read the trace. Such a number is
    // written as text.
    else if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return append_json_uint(out, value);
    else return out.push_back('"') && append_json_uint(out, value) && out.push_back('"');
}

// Calls `write`, which writes a number, true, false or null, and applies the redactor to it.
template <class Buffer, class Write>
bool append_json_scalar(Buffer& out, Write&& write) {
    const std::size_t before = out.size();
    if (!write()) return false;
    if constexpr (ruled<Buffer>) {
        if (!out.rules || !out.rules->redact) return true;
        redaction answer = out.rules->ask(out.key, suffix_from(out.view(), before));
        if (answer.is_kept()) return true;
        out.truncate(before);
        return append_json_string(out, std::move(answer).text());
    }
    return true;
}

// Calls `write(separator)`, which writes the elements, and sets `separator` to a comma after the first.
template <class Buffer, class WriteElements>
bool append_json_container(Buffer& out, char opening, char closing, WriteElements&& write) {
    const nesting<Buffer> level(out);
    if (level.is_too_deep()) return append_json_string(out, level.marker);
    char separator = opening;
    return write(separator) && (separator == ',' || out.push_back(opening)) && out.push_back(closing);
}

template <class Buffer, class T>
bool append_json_elements(Buffer& out, const T& value, char& separator) {
    std::conditional_t<copied_range<T>, T, const T&> range = value;
    for (const auto& element : range) {
        if (!out.push_back(separator)) return false;
        if constexpr (range_of_bits<T>) {
            if (!mlflow::trace::append_json(out, static_cast<bool>(element))) return false;
        } else if (!mlflow::trace::append_json(out, element)) return false;
        separator = ',';
    }
    return true;
}

// Writes a member, whose value `write` writes.
template <class Buffer, class Write>
bool append_json_named(Buffer& out, char& separator, std::string_view name, Write&& write) {
    const key_scope<Buffer> named(out, name);
    if (!out.push_back(separator) || !append_json_string(out, name) || !out.push_back(':') || !write()) return false;
    separator = ',';
    return true;
}
template <class Buffer, class T>
bool append_json_member(Buffer& out, char& separator, std::string_view name, const T& value) {
    return detail::append_json_named(out, separator, name, [&] { return mlflow::trace::append_json(out, value); });
}

template <class T>
concept key_like = (kind<T> == value_kind::text && !std::is_pointer_v<T>) || text_like<T> || std::is_enum_v<T> ||
                   (std::is_integral_v<T> && number<T> && !std::is_same_v<T, bool>);

// Maps whose keys can be names of the members of an object. Other maps are written as arrays of pairs.
template <class T>
concept map_like = range_like<T> && requires(const T& value) {
    typename T::mapped_type;
    requires key_like<std::remove_cvref_t<decltype((*value.begin()).first)>>;
};
// Maps in which a key may occur more than once.
template <class T>
concept multimap_like = map_like<T> && requires(const T& value) {
    value.equal_range((*value.begin()).first).second;
} && !requires(const T& value) { value.at((*value.begin()).first); };

// Calls `use` with the key as the name of a member.
template <class Key, class Use>
bool with_name(const Key& key, Use&& use) {
    if constexpr (std::is_enum_v<Key>) {
        return detail::with_content(key, [&](const auto& content) { return with_name(content, use); });
    } else if constexpr (number<Key>) {
        buffer digits;
        return append_count(digits, key) && use(digits.view());
    } else {
        return detail::with_text(key, use);
    }
}

template <class Buffer, class Map>
bool append_json_map(Buffer& out, const Map& map, char& separator) {
    if constexpr (multimap_like<Map>) {
        for (auto at = map.begin(); at != map.end();) {
            const auto equal = map.equal_range((*at).first);
            const auto write_values = [&](char& between) {
                for (auto each = equal.first; each != equal.second; ++each, between = ',')
                    if (!out.push_back(between) || !mlflow::trace::append_json(out, (*each).second)) return false;
                return true;
            };
            const auto write = [&] { return detail::append_json_container(out, '[', ']', write_values); };
            if (!with_name((*at).first,
                           [&](auto name) { return detail::append_json_named(out, separator, name, write); }))
                return false;
            at = equal.second;
        }
    } else {
        for (const auto& [key, mapped] : map) {
            const auto& value = mapped; // clang 14 cannot capture a structured binding
            if (!with_name(key, [&](auto name) { return detail::append_json_member(out, separator, name, value); }))
                return false;
        }
    }
    return true;
}

template <class Buffer, class Tuple, std::size_t... Index>
bool append_json_tuple(Buffer& out, const Tuple& tuple, char& separator, std::index_sequence<Index...>) {
    [[maybe_unused]] const auto write = [&](const auto& element) { // unused for an empty tuple
        if (!out.push_back(separator) || !mlflow::trace::append_json(out, element)) return false;
        separator = ',';
        return true;
    };
    return (write(get<Index>(tuple)) && ...);
}

// Written value by value, because its own dump() has no limit of depth.
template <class Buffer, class T>
bool append_nlohmann(Buffer& out, const T& value) {
    if (value.is_string()) return append_json_text(out, value.template get_ref<const typename T::string_t&>());
    if (value.is_object())
        return detail::append_json_container(out, '{', '}', [&](char& separator) {
            for (auto member = value.begin(); member != value.end(); ++member) {
                if (!detail::append_json_member(out, separator, member.key(), member.value())) return false;
            }
            return true;
        });
    if (value.is_array())
        return detail::append_json_container(
            out, '[', ']', [&](char& separator) { return detail::append_json_elements(out, value, separator); });
    if (value.is_boolean()) return mlflow::trace::append_json(out, value.template get<bool>());
    if (value.is_number_unsigned())
        return mlflow::trace::append_json(out, value.template get<typename T::number_unsigned_t>());
    if (value.is_number_integer())
        return mlflow::trace::append_json(out, value.template get<typename T::number_integer_t>());
    if (value.is_number_float())
        return mlflow::trace::append_json(out, value.template get<typename T::number_float_t>());
    if (value.is_binary()) return append_json_text(out, "[binary]");
    return mlflow::trace::append_json(out, nullptr);
}

} // namespace detail

/// Writes a value as JSON. docs/values.md lists which types are accepted, and what is recorded of them. Returns false
/// when the buffer is full. Throws what code of the value's type throws.
template <class Buffer, class T>
bool append_json(Buffer& out, const T& value) {
    using namespace detail;
    constexpr value_kind what = kind<T>;
    if constexpr (what == value_kind::encoded) {
        return json_encoder<T>::append(out, value);
    } else if constexpr (what == value_kind::nlohmann) {
        return append_nlohmann(out, value);
    } else if constexpr (what == value_kind::number) {
        return detail::append_json_scalar(out, [&] { return append_json_number(out, value); });
    } else if constexpr (what == value_kind::text) {
        if (detail::is_null(value)) return mlflow::trace::append_json(out, nullptr);
        return detail::with_text(value, [&](std::string_view text) { return append_json_text(out, text); });
    } else if constexpr (what == value_kind::content) {
        return detail::with_content(value,
                                    [&](const auto& content) { return mlflow::trace::append_json(out, content); });
    } else if constexpr (map_like<T>) {
        return detail::append_json_container(
            out, '{', '}', [&](char& separator) { return detail::append_json_map(out, value, separator); });
    } else if constexpr (what == value_kind::range) {
        return detail::append_json_container(
            out, '[', ']', [&](char& separator) { return detail::append_json_elements(out, value, separator); });
    } else if constexpr (what == value_kind::tuple) {
        constexpr auto indexes = std::make_index_sequence<std::tuple_size_v<T>>();
        return detail::append_json_container(out, '[', ']', [&](char& separator) {
            return detail::append_json_tuple(out, value, separator, indexes);
        });
    } else if constexpr (what == value_kind::error_code) {
        return json_object(out)
            .member("category", value.category().name())
            .member("value", value.value())
            .member("message", value.message())
            .close();
    } else if constexpr (what == value_kind::place) {
        return json_object(out)
            .member("file", value.file_name())
            .member("line", value.line())
            .member("column", value.column())
            .member("function", value.function_name())
            .close();
    } else {
        reject<T>();
        return false;
    }
}

/// Writes a JSON object member by member: `json_object object(out); object.member("name", x); object.close();`
template <class Buffer>
class json_object {
public:
    /// Begins an object in `out`.
    explicit json_object(Buffer& out) noexcept : out_(out), level_(out) {}

    /// Writes a member, unless an earlier one did not fit.
    template <class T>
    json_object& member(std::string_view name, const T& value) {
        good_ = good_ && (level_.is_too_deep() || detail::append_json_member(out_, separator_, name, value));
        return *this;
    }
    /// Ends the object. Returns false when something did not fit.
    [[nodiscard]] bool close() noexcept {
        using detail::append_json_string; // a buffer may have its own
        if (level_.is_too_deep()) return good_ && append_json_string(out_, level_.marker);
        return good_ && (separator_ == ',' || out_.push_back('{')) && out_.push_back('}');
    }

private:
    Buffer& out_;
    detail::nesting<Buffer> level_;
    char separator_ = '{';
    bool good_ = true;
};

namespace detail {
template <class T>
struct as_json {
    const T& value;
};
template <class T>
inline constexpr bool is_inert<as_json<T>> = is_inert<T>;
} // namespace detail

template <class E>
struct json_encoder<detail::failed_value<E>> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::failed_value<E>& failed) {
        return json_object(out).member("error", failed.error).close();
    }
};

template <class T>
struct json_encoder<detail::as_json<T>> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::as_json<T>& wrapped) {
        return mlflow::trace::append_json(out, wrapped.value);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
