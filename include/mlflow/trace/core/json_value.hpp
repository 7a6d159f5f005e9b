// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/json_number.hpp>
#include <mlflow/trace/detail/json_writer.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

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

// nlohmann::json, without including it. Its own error handler replaces invalid UTF-8 instead of throwing.
template <class T>
concept nlohmann_like = requires(const T& value) {
    typename T::error_handler_t;
    value.dump(-1, ' ', false, T::error_handler_t::replace);
};

template <class T>
concept has_encoder = requires { sizeof(json_encoder<T>); };

// Only scalars and texts are known to make JSON that every reader takes.
template <class T>
inline constexpr bool is_plain = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, std::nullptr_t> ||
                                 (text_like<T> && !nlohmann_like<T>) || (viewable<T> && !nlohmann_like<T>);

template <class T>
inline constexpr bool never = false;

} // namespace detail

/// Writes a value as JSON: bool, numbers, text, null, optionals, ranges, maps with text keys, checked keys,
/// nlohmann::json, and whatever `json_encoder` is specialised for. False when the buffer is full.
template <class Buffer, class T>
bool append_json(Buffer& out, const T& value) {
    using namespace detail;
    if constexpr (has_encoder<T>) return json_encoder<T>::append(out, value);
    else if constexpr (std::is_same_v<T, bool>) return append_json_bool(out, value);
    else if constexpr (std::is_same_v<T, std::nullptr_t>) return append_json_null(out);
    else if constexpr (std::is_same_v<T, char>) return append_json_string(out, {&value, 1});
    else if constexpr (std::is_enum_v<T>) return append_json(out, static_cast<std::underlying_type_t<T>>(value));
    else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) return append_json_int(out, value);
    else if constexpr (std::is_integral_v<T>) {
        // MLflow stores a number over the largest signed one, and then cannot read the trace: text, then.
        if (value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()))
            return append_json_uint(out, value);
        return out.push_back('"') && append_json_uint(out, value) && out.push_back('"');
    } else if constexpr (std::is_floating_point_v<T>) return append_json_double(out, static_cast<double>(value));
    else if constexpr (nlohmann_like<T>) {
        return out.append(value.dump(-1, ' ', false, T::error_handler_t::replace));
    } else if constexpr (std::is_pointer_v<T> && text_like<T>) {
        return value ? append_json_string(out, value) : append_json_null(out);
    } else if constexpr (text_like<T>) return append_json_string(out, value);
    else if constexpr (viewable<T>) return append_json_string(out, value.view());
    else if constexpr (map_like<T>) {
        char separator = '{';
        for (const auto& [key, mapped] : value) {
            if (!out.push_back(separator) || !append_json_string(out, key) || !out.push_back(':') ||
                !append_json(out, mapped))
                return false;
            separator = ',';
        }
        return (separator == ',' || out.push_back('{')) && out.push_back('}');
    } else if constexpr (range_like<T>) {
        char separator = '[';
        for (const auto& element : value) {
            if (!out.push_back(separator) || !append_json(out, element)) return false;
            separator = ',';
        }
        return (separator == ',' || out.push_back('[')) && out.push_back(']');
    } else if constexpr (optional_like<T>) {
        return value.has_value() ? append_json(out, *value) : append_json_null(out);
    } else {
        static_assert(never<T>,
                      "this type cannot be recorded: specialise mlflow::trace::json_encoder for it, or pass "
                      "a text, number, range or map");
        return false;
    }
}

/// Writes a JSON object member by member: `json_object object(out); object.member("name", x); object.close();`
template <class Buffer>
class json_object {
public:
    explicit json_object(Buffer& out) noexcept : out_(out), good_(out.push_back('{')) {}

    template <class T>
    json_object& member(std::string_view name, const T& value) {
        good_ = good_ && (first_ || out_.push_back(',')) && detail::append_json_string(out_, name) &&
                out_.push_back(':') && append_json(out_, value);
        first_ = false;
        return *this;
    }
    /// False when something did not fit.
    [[nodiscard]] bool close() noexcept { return good_ && out_.push_back('}'); }

private:
    Buffer& out_;
    bool good_;
    bool first_ = true;
};

namespace detail {
template <class T>
struct as_json {
    const T& value;
};
} // namespace detail

template <class T>
struct json_encoder<detail::as_json<T>> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::as_json<T>& wrapped) {
        return append_json(out, wrapped.value);
    }
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
