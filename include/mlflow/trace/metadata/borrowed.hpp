// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/metadata/key.hpp>

#include <cstddef>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A checked value that refers to its text: two words instead of the kilobyte of an `mt::user`. It is given wherever
/// its key can be given, and checked in the same way:
///
///     const mt::borrowed<mt::user> user("kitchen");
///     auto trace = tracer.start_trace("turn", user);
///
/// The text must outlive the object. Starting a trace copies it. Thread-safety: as `int`.
template <class Key>
class borrowed {
    static_assert(metadata_key<Key>, "borrowed<T>: T must be a key, such as mt::user or an mt::key");

public:
    /// The name of the key in MLflow.
    static constexpr std::string_view name = Key::name;

    /// Refers to a literal, which is checked at compile time.
    constexpr explicit borrowed(detail::checked_literal<Key> literal) noexcept : text_(literal.data, literal.size) {}
    /// Refers to the text of `value`.
    constexpr borrowed(const Key& value) noexcept : text_(value.view()) {}
    /// Deleted: the text would dangle.
    borrowed(const Key&&) = delete;
    /// Refers to a text that is only known at run time. An invalid text is rejected, never truncated.
    static result<borrowed> parse(std::string_view text) noexcept {
        if (const auto error = Key::check(text); error.kind() != error_kind::none) return failure{error};
        return borrowed(text, unchecked{});
    }
    /// The same for a null-terminated text. A null pointer is `error_kind::missing`.
    static result<borrowed> parse(const char* text) noexcept {
        if (!text) return failure{error{error_kind::missing, name}};
        return parse(std::string_view(text));
    }
    /// Deleted: a null pointer is not a value.
    static result<borrowed> parse(std::nullptr_t) = delete;

    /// The text.
    [[nodiscard]] constexpr std::string_view view() const noexcept { return text_; }

private:
    struct unchecked {};
    constexpr borrowed(std::string_view text, unchecked) noexcept : text_(text) {}

    std::string_view text_;
};

namespace detail {

template <class T>
struct unwrapped; // spans/trace.hpp: the key of a value
template <class Key>
struct unwrapped<borrowed<Key>> {
    using type = Key;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
