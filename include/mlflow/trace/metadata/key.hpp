// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/metadata/check.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Declared, never defined. The constructor calls it for a literal that fails its check, so that the compiler's error
// message shows its name.
void a_literal_must_be_1_to_max_printable_characters_that_pass_the_keys_checks_else_use_parse();

// Its constructor is an immediate function, which ensures that the text has static storage, so that a key may point
// to it.
template <class Key>
struct checked_literal {
    const char* data;
    std::size_t size;

    template <std::size_t N>
    consteval checked_literal(const char (&text)[N]) : data(text), size(N - 1) {
        if (Key::check({text, N - 1}).kind() != error_kind::none)
            a_literal_must_be_1_to_max_printable_characters_that_pass_the_keys_checks_else_use_parse();
    }
};

} // namespace detail

/// The base of every checked value. Derive from it to give a key a type of its own:
///
///     struct tenant : mt::key_of<tenant, "app.tenant", mt::max_length<64>> { using key_of::key_of; };
///
/// A value is checked once, when it is made: a literal at compile time, any other text by `parse`. The object owns
/// its text or points to the literal, so it cannot dangle. Pass it by const reference; copying copies only the bytes
/// in use. Keys of different types do not convert to each other. Thread-safety: as `int`.
template <class Derived, fixed_string Name, class... Checks>
class key_of {
public:
    /// The name of the key in MLflow.
    static constexpr std::string_view name = Name.view();
    /// The maximum length of a value in Unicode code points.
    static constexpr std::size_t max_code_points = detail::limit_of<250, Checks...>;

    /// Returns the error of a value, or an error of kind `error_kind::none` when the value is valid.
    static constexpr error check(std::string_view value) noexcept {
        if (const auto error = detail::check_text(name, value, max_code_points); error.kind() != error_kind::none)
            return error;
        if (!(detail::allowed_by<Checks>(value) && ...)) return {error_kind::not_allowed, name};
        return {};
    }

    /// Makes a value of a literal, which is checked at compile time (by clang 14 when linking, if it initialises a
    /// global).
    constexpr explicit key_of(detail::checked_literal<Derived> literal) noexcept
        : literal_(literal.data), size_(static_cast<std::uint16_t>(literal.size)) {}
    /// Deleted: a null pointer is not a value.
    key_of(std::nullptr_t) = delete;
    /// Deleted: a text that is only known at run time may be invalid. Use `parse`, which returns an error.
    template <class text_that_parse_must_check>
        requires(std::is_convertible_v<const text_that_parse_must_check&, std::string_view> &&
                 !std::is_array_v<text_that_parse_must_check>)
    explicit key_of(const text_that_parse_must_check&) = delete;

    /// Makes a value of a text that is only known at run time. An invalid text is rejected, never truncated.
    static result<Derived> parse(std::string_view value) noexcept {
        if (const auto error = check(value); error.kind() != error_kind::none) return failure{error};
        return Derived(unchecked{value});
    }
    /// The same for a null-terminated text. A null pointer is `error_kind::missing`.
    static result<Derived> parse(const char* value) noexcept {
        if (!value) return failure{error{error_kind::missing, name}};
        return parse(std::string_view(value));
    }
    /// Deleted: a null pointer is not a value.
    static result<Derived> parse(std::nullptr_t) = delete;

    /// Copies the bytes in use.
    key_of(const key_of& other) noexcept { *this = other; }
    /// Copies the bytes in use.
    key_of& operator=(const key_of& other) noexcept {
        if (this == &other) return *this;
        literal_ = other.literal_;
        size_ = other.size_;
        if (!literal_) std::memcpy(bytes_, other.bytes_, size_);
        return *this;
    }

    /// The text, valid as long as this object.
    [[nodiscard]] constexpr std::string_view view() const& noexcept { return {literal_ ? literal_ : bytes_, size_}; }
    /// Deleted: the view would dangle.
    std::string_view view() const&& = delete;

    /// Compares the texts.
    friend constexpr bool operator==(const Derived& a, const Derived& b) noexcept { return a.view() == b.view(); }

protected:
    struct unchecked {
        std::string_view value;
    };
    explicit key_of(unchecked source) noexcept : size_(static_cast<std::uint16_t>(source.value.size())) {
        std::memcpy(bytes_, source.value.data(), size_);
    }

private:
    const char* literal_ = nullptr;
    std::uint16_t size_ = 0;
    char bytes_[max_code_points * 4]; // UTF-8 needs at most 4 bytes per code point; only `size_` bytes are set
};

namespace detail {

template <class Derived, fixed_string Name, class... Checks>
std::true_type is_key_of(const key_of<Derived, Name, Checks...>*);
std::false_type is_key_of(...);

// Names that MLflow's search treats as its own attributes (mlflow/utils/search_utils.py). A filter on a metadata key
// of such a name would search for something else.
constexpr bool rewritten_by_search(std::string_view name) noexcept {
    for (const std::string_view taken :
         {"name", "prompt", "run_id", "timestamp", "execution_time", "end_time", "text"})
        if (name == taken) return true;
    return false;
}

constexpr bool reserved_by_mlflow(std::string_view name) noexcept { return name.starts_with("mlflow."); }

} // namespace detail

/// A type of checked metadata value: `mt::user`, `mt::session`, or an `mt::key` of your own.
template <class T>
concept metadata_key = decltype(detail::is_key_of(static_cast<std::remove_cvref_t<T>*>(nullptr)))::value;

/// A metadata key of the application: `using segment = mt::key<"app.segment", mt::one_of<"free", "pro">>;`
template <fixed_string Name, class... Checks>
struct key : key_of<key<Name, Checks...>, Name, Checks...> {
    static_assert(detail::check_text("", Name.view(), 250).kind() == error_kind::none,
                  "the name of a metadata key must have 1 to 250 printable characters");
    static_assert(!detail::reserved_by_mlflow(Name.view()),
                  "mlflow.* keys belong to MLflow: use mt::user, mt::session or another name for your own key");
    static_assert(!detail::rewritten_by_search(Name.view()),
                  "MLflow's search uses this name for one of its own attributes: add a prefix, as in app.name");
    /// From a literal, which is checked at compile time.
    using key_of<key, Name, Checks...>::key_of;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
