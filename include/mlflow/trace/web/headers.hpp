// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/uuid_v7.hpp>
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/web/header_values.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A request without the header has no such value. Its trace states so, as by `mt::anonymous` or `mt::no_session`.
struct leave_absent {
    /// Whether a parsed request always has a value.
    static constexpr bool always_gives = false;
    /// The value of a request without the header.
    template <class Key>
    static maybe<Key> replacement() noexcept {
        return absent<Key>{};
    }
};

/// A request without the header is rejected.
struct refuse_absent {
    /// Whether a parsed request always has a value.
    static constexpr bool always_gives = true;
    /// Not used: the request is rejected.
    template <class Key>
    static maybe<Key> replacement() noexcept {
        return absent<Key>{};
    }
};

/// A request without the header gets a new UUID of version 7: `mt::generate_absent<mt::hosted_platform>`.
template <class Platform>
struct generate_absent {
    /// Whether a parsed request always has a value.
    static constexpr bool always_gives = true;
    /// The value of a request without the header: a new UUID.
    template <class Key>
    static maybe<Key> replacement() noexcept {
        static_assert(Key::check("017f22e2-79b0-7cc3-98c4-dc0c0c07398f").kind() == error_kind::none,
                      "a generated value is a UUID, which this key's checks reject");
        return *Key::parse(new_uuid_v7<Platform>().view());
    }
};

/// One header of `http_headers`: its name, the key that its value is parsed as (or a `pseudonym` of a key), and what
/// happens if the header is absent.
template <fixed_string Name, class Value, class Absent = leave_absent>
struct header {
    static_assert(detail::is_token(Name.view()), "this is not the name of an HTTP header (RFC 9110, 5.1)");
    /// The type whose `parse` checks the value.
    using parser = Value;
    /// The key of the value.
    using key = typename decltype(Value::parse(std::string_view{}))::value_type;
    /// What happens if the header is absent.
    using absent_policy = Absent;
    /// The name of the header.
    static constexpr std::string_view name = Name.view();
    /// Whether an invalid value is omitted instead of rejecting the request. This is so for a client request ID only;
    /// omitting an invalid user or session would attribute the trace to someone else.
    static constexpr bool may_be_lost = std::is_same_v<key, client_request_id>;
    /// What `get` returns: the key, or `maybe` of the key.
    using value_type = std::conditional_t<Absent::always_gives && !may_be_lost, key, maybe<key>>;
};

namespace detail {

template <class Header>
struct header_slot {
    maybe<typename Header::key> given = absent<typename Header::key>{};
};

template <class Key, class... Headers>
struct header_for;
template <class Key, class First, class... Rest>
struct header_for<Key, First, Rest...> : std::conditional_t<std::is_same_v<typename First::key, Key>,
                                                            std::type_identity<First>, header_for<Key, Rest...>> {};

} // namespace detail

/// The identity that a request carries in its headers:
///
///     using identity = mt::http_headers<mt::header<"X-User-ID", mt::user>,
///                                       mt::header<"X-Session-ID", mt::session>>;
///
/// Names are compared without case (RFC 9110, 5.1), whitespace around a value is ignored (5.5), and each value must
/// pass the checks of its key. A request in which one of these headers occurs more than once, or contains a control
/// character, is rejected. If a client request ID is otherwise invalid, only the ID is omitted: `lost()` returns the
/// error.
///
/// Thread-safety: as `int`.
template <class... Headers>
class http_headers : detail::header_slot<Headers>... {
public:
    /// Parses the headers of a request. `Container` is a range of fields, or a function that looks up a header. A
    /// field has `name_string()` and `value()` (Boost.Beast), `name` and `value` (`http_header`), or `first` and
    /// `second` (a `std::multimap`). A function `text(std::string_view name)` returns a `const char*` or an optional
    /// text, which is null if the header is absent, or a range of all values of the header; only the range allows a
    /// duplicate to be detected. Errors: those of the keys, `missing`, `duplicate` and `control_character`.
    template <class Container>
    [[nodiscard]] static result<http_headers> parse(const Container& headers) {
        http_headers parsed;
        trace::error refused;
        if ((parsed.template read<Headers>(headers, refused) && ...)) return parsed;
        return failure{std::move(refused)};
    }

    /// The value of this key: the key itself if every request must have it, otherwise `maybe<Key>`.
    template <class Key>
    [[nodiscard]] const auto& get() const noexcept {
        static_assert((int{std::is_same_v<typename Headers::key, Key>} + ...) == 1,
                      "exactly one of the headers must have this key");
        return value_of<typename detail::header_for<Key, Headers...>::type>();
    }

    /// Why a client request ID was omitted; null when none was.
    [[nodiscard]] const error* lost() const noexcept { return lost_.kind() == error_kind::none ? nullptr : &lost_; }

    /// Calls `function` with all values, in the order of the headers:
    ///
    ///     identity.apply([&](const auto&... values) { return tracer.start_trace("chat", values...); })
    template <class Function>
    decltype(auto) apply(Function&& function) const {
        return std::forward<Function>(function)(value_of<Headers>()...);
    }

private:
    http_headers() noexcept = default;

    template <class Header>
    const typename Header::value_type& value_of() const noexcept {
        const auto& value = detail::header_slot<Header>::given;
        if constexpr (std::is_same_v<typename Header::value_type, typename Header::key>) return *value;
        else return value;
    }

    // Returns false when the request is rejected.
    template <class Header, class Container>
    bool read(const Container& headers, error& refused) {
        using kind = error_kind;
        auto& value = detail::header_slot<Header>::given;
        std::size_t times = 0;
        error wrong;
        detail::for_each_header_value(headers, Header::name, [&](std::string_view text) {
            if (times++ != 0) return;
            text = detail::without_outer_space(text);
            wrong = detail::check_field_value(Header::name, text);
            if (wrong.kind() != error_kind::none) return;
            const auto parsed = Header::parser::parse(text);
            if (parsed) value = *parsed;
            else wrong = parsed.error();
        });
        if (times == 0) value = Header::absent_policy::template replacement<typename Header::key>();
        if (times > 1) refused = error(kind::duplicate).of_header(Header::name);
        else if (wrong.kind() != error_kind::none) refused = wrong.of_header(Header::name);
        else if (Header::absent_policy::always_gives && !value.has_value())
            refused = error(kind::missing).of_header(Header::name);
        else return true;
        if (!Header::may_be_lost || times != 1 || wrong.kind() == error_kind::control_character) return false;
        lost_ = std::exchange(refused, {});
        return true;
    }

    error lost_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
