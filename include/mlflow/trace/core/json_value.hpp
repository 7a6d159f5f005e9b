// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/recording_rules.hpp>
#include <mlflow/trace/detail/json_number.hpp>
#include <mlflow/trace/detail/json_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

template <class Buffer, class T>
bool append_json(Buffer& out, const T& value);

/// How a value of your own is recorded: specialise it with
/// `template <class Buffer> static bool append(Buffer& out, const T& value)`, which writes one JSON value by
/// `mt::append_json(out, …)` and `mt::json_object`, and returns false when `out` is full.
template <class T>
struct json_encoder;

namespace detail {

template <class T>
concept text_like = std::is_convertible_v<const T&, std::string_view> && !std::is_same_v<T, std::nullptr_t>;

template <class T>
concept range_like = requires(const T& value) {
    value.begin() != value.end();
    *value.begin();
};

// Maps, by their iterators' pairs whose first is text.
template <class T>
concept map_like = range_like<T> && requires(const T& value) {
    typename T::mapped_type;
    requires text_like<std::remove_cvref_t<decltype((*value.begin()).first)>>;
};

template <class T>
concept optional_like = requires(const T& value) {
    { value.has_value() } -> std::same_as<bool>;
    *value;
};

// A key of the library: mt::user and the like.
template <class T>
concept viewable = requires(const T& value) {
    { value.view() } -> std::same_as<std::string_view>;
};

// nlohmann::json, without including it.
template <class T>
concept nlohmann_like = requires(const T& value) {
    typename T::number_unsigned_t;
    typename T::binary_t;
    { value.is_discarded() } -> std::same_as<bool>;
};

template <class T>
concept has_encoder = requires { sizeof(json_encoder<T>); };

// Only scalars and texts are known to make JSON that every reader takes.
template <class T>
inline constexpr bool is_plain = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::nullptr_t> ||
                                 (text_like<T> && !nlohmann_like<T>) || (viewable<T> && !nlohmann_like<T>);

// Reading it runs no code of the application.
template <class T>
inline constexpr bool is_inert =
    !has_encoder<T> && (std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::nullptr_t> ||
                        std::is_same_v<T, owned_text> || std::is_same_v<T, std::string_view> ||
                        (text_like<T> && (std::is_pointer_v<T> || std::is_array_v<T>)));

template <class T>
inline constexpr bool never = false;

template <class Buffer>
bool append_json_text(Buffer& out, std::string_view text) {
    if constexpr (ruled<Buffer>)
        if (out.rules) return append_json_string(out, ruled_text(out.rules, out.key, text).view());
    return append_json_string(out, text);
}

// And true, false and null.
template <class Buffer, class T>
bool append_json_number(Buffer& out, T value) noexcept {
    if constexpr (std::is_same_v<T, bool>) return append_json_bool(out, value);
    else if constexpr (std::is_same_v<T, std::nullptr_t>) return append_json_null(out);
    else if constexpr (std::is_floating_point_v<T>) return append_json_double(out, static_cast<double>(value));
    else if constexpr (std::is_signed_v<T>) return append_json_int(out, value);
    // MLflow stores a number over the largest signed one, and then cannot read the trace: text, then.
    else if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
        return append_json_uint(out, value);
    else return out.push_back('"') && append_json_uint(out, value) && out.push_back('"');
}

// What `write` writes: a number, true, false or null.
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

// `write(separator)` writes the elements, and sets the separator to a comma after the first.
template <class Buffer, class WriteElements>
bool append_json_container(Buffer& out, char opening, char closing, WriteElements&& write) {
    const nesting<Buffer> level(out);
    if (level.is_too_deep()) return append_json_string(out, level.marker);
    char separator = opening;
    return write(separator) && (separator == ',' || out.push_back(opening)) && out.push_back(closing);
}

template <class Buffer, class T>
bool append_json_elements(Buffer& out, const T& range, char& separator) {
    for (const auto& element : range) {
        if (!out.push_back(separator) || !append_json(out, element)) return false;
        separator = ',';
    }
    return true;
}

template <class Buffer, class T>
bool append_json_member(Buffer& out, char separator, std::string_view name, const T& value) {
    const key_scope<Buffer> named(out, name);
    return out.push_back(separator) && append_json_string(out, name) && out.push_back(':') && append_json(out, value);
}

// Value by value, since its own dump() knows no limit of depth.
template <class Buffer, class T>
bool append_nlohmann(Buffer& out, const T& value) {
    if (value.is_string()) return append_json_text(out, value.template get_ref<const typename T::string_t&>());
    if (value.is_object())
        return append_json_container(out, '{', '}', [&](char& separator) {
            for (auto member = value.begin(); member != value.end(); ++member) {
                if (!append_json_member(out, separator, member.key(), member.value())) return false;
                separator = ',';
            }
            return true;
        });
    if (value.is_array())
        return append_json_container(out, '[', ']',
                                     [&](char& separator) { return append_json_elements(out, value, separator); });
    if (value.is_boolean()) return append_json(out, value.template get<bool>());
    if (value.is_number_unsigned()) return append_json(out, value.template get<typename T::number_unsigned_t>());
    if (value.is_number_integer()) return append_json(out, value.template get<typename T::number_integer_t>());
    if (value.is_number_float()) return append_json(out, value.template get<typename T::number_float_t>());
    if (value.is_binary()) return append_json_text(out, "[binary]");
    return append_json(out, nullptr);
}

} // namespace detail

/// Writes a value as JSON: bool, numbers, text, null, optionals, ranges, maps with text keys, checked keys,
/// nlohmann::json, callables that return such a value, and whatever `json_encoder` is specialised for. False when the
/// buffer is full.
template <class Buffer, class T>
bool append_json(Buffer& out, const T& value) {
    using namespace detail;
    if constexpr (has_encoder<T>) return json_encoder<T>::append(out, value);
    else if constexpr (nlohmann_like<T>) return append_nlohmann(out, value);
    else if constexpr (std::is_enum_v<T>) return append_json(out, static_cast<std::underlying_type_t<T>>(value));
    else if constexpr (std::is_same_v<T, char>) return append_json_text(out, {&value, 1});
    else if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::nullptr_t>)
        return append_json_scalar(out, [&] { return append_json_number(out, value); });
    else if constexpr (std::is_pointer_v<T> && text_like<T>)
        return value ? append_json_text(out, value) : append_json(out, nullptr);
    else if constexpr (text_like<T>) return append_json_text(out, value);
    else if constexpr (viewable<T>) return append_json_text(out, value.view());
    else if constexpr (map_like<T>)
        return append_json_container(out, '{', '}', [&](char& separator) {
            for (const auto& [key, mapped] : value) {
                if (!append_json_member(out, separator, key, mapped)) return false;
                separator = ',';
            }
            return true;
        });
    else if constexpr (range_like<T>)
        return append_json_container(out, '[', ']',
                                     [&](char& separator) { return append_json_elements(out, value, separator); });
    else if constexpr (std::is_invocable_v<const T&>) return append_json(out, value());
    else if constexpr (optional_like<T>)
        return value.has_value() ? append_json(out, *value) : append_json(out, nullptr);
    else
        static_assert(never<T>,
                      "this type cannot be recorded: specialise mlflow::trace::json_encoder for it, or pass "
                      "a text, number, range or map");
}

/// Writes a JSON object member by member: `json_object object(out); object.member("name", x); object.close();`
template <class Buffer>
class json_object {
public:
    explicit json_object(Buffer& out) noexcept : out_(out), level_(out) {}

    template <class T>
    json_object& member(std::string_view name, const T& value) {
        good_ = good_ && (level_.is_too_deep() || detail::append_json_member(out_, separator_, name, value));
        separator_ = ',';
        return *this;
    }
    /// False when something did not fit.
    [[nodiscard]] bool close() noexcept {
        if (level_.is_too_deep()) return good_ && detail::append_json_string(out_, level_.marker);
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

template <class T>
struct json_encoder<detail::as_json<T>> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::as_json<T>& wrapped) {
        return append_json(out, wrapped.value);
    }
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
