// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/metadata/key.hpp>
#include <mlflow/trace/values/json_value.hpp>

#include <optional>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The user of the application: MLflow's metadata `mlflow.trace.user`, 1 to 250 characters.
struct user : key_of<user, "mlflow.trace.user"> {
    /// From a literal, which is checked at compile time.
    using key_of::key_of;
};

/// The conversation that a trace belongs to: MLflow's metadata `mlflow.trace.session`, 1 to 250 characters.
struct session : key_of<session, "mlflow.trace.session"> {
    /// From a literal, which is checked at compile time.
    using key_of::key_of;
};

/// The application's own ID of the request, which MLflow can search for as `client_request_id`. It has 1 to 50
/// characters, the width of the column in MLflow's databases. It is not metadata: MLflow stores it as an attribute of
/// the trace.
struct client_request_id : key_of<client_request_id, "client_request_id", max_length<50>> {
    /// From a literal, which is checked at compile time.
    using key_of::key_of;
};

/// States that there is no value for this key. Given wherever the value could be given.
template <class Key>
struct absent {};

/// Given in place of a user when no user is signed in. The trace has no `mlflow.trace.user`.
inline constexpr absent<user> anonymous{};
/// Given in place of a session when the request belongs to no conversation. The trace has no `mlflow.trace.session`.
inline constexpr absent<session> no_session{};

/// A value, or the statement that there is none, where this is only known at run time:
///
///     mt::maybe<mt::user> who = mt::anonymous;
///     if (…) who = *mt::user::parse(header);
template <class Key>
class maybe {
    static_assert(metadata_key<Key>, "maybe<T>: T must be a key, such as mt::user or an mt::key");

public:
    /// States that there is no value.
    constexpr maybe(absent<Key>) noexcept {}
    /// Holds a value.
    maybe(const Key& value) noexcept : value_(value) {}

    /// The value, or null.
    [[nodiscard]] const Key* get() const noexcept { return value_ ? &*value_ : nullptr; }
    /// Whether there is a value.
    [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
    /// The value. There must be one.
    [[nodiscard]] const Key& operator*() const noexcept { return *value_; }

private:
    std::optional<Key> value_;
};

/// Records the statement that there is no value as null.
template <class Key>
struct json_encoder<absent<Key>> {
    /// Writes null.
    template <class Buffer>
    static bool append(Buffer& out, absent<Key>) {
        return append_json(out, nullptr);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
