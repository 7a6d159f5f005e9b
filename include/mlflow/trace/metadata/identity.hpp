// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/metadata/key.hpp>
#include <mlflow/trace/values/json_value.hpp>

#include <optional>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Who uses the application: MLflow's metadata `mlflow.trace.user`, 1 to 250 characters.
struct user : key_of<user, "mlflow.trace.user"> {
    using key_of::key_of;
};

/// The conversation that a trace belongs to: MLflow's metadata `mlflow.trace.session`, 1 to 250 characters.
struct session : key_of<session, "mlflow.trace.session"> {
    using key_of::key_of;
};

/// The application's own ID of the request, searchable as `client_request_id`. 1 to 50 characters: the width of the
/// column on MLflow's databases. It is not metadata: MLflow keeps it as an attribute of the trace.
struct client_request_id : key_of<client_request_id, "client_request_id", max_length<50>> {
    using key_of::key_of;
};

/// Says that a value is known not to exist, in the place where it would stand.
template <class Key>
struct absent {};

/// In place of a user: nobody is signed in. The trace has no `mlflow.trace.user`.
inline constexpr absent<user> anonymous{};
/// In place of a session: the request belongs to no conversation. The trace has no `mlflow.trace.session`.
inline constexpr absent<session> no_session{};

/// A value, or the explicit statement that there is none, where which of the two is known at run time only:
/// `mt::maybe<mt::user> who = mt::anonymous; if (…) who = *mt::user::parse(header);`
template <class Key>
class maybe {
    static_assert(metadata_key<Key>, "maybe: give it a key, such as mt::user or a type made of mt::key");

public:
    constexpr maybe(absent<Key>) noexcept {}
    maybe(const Key& value) noexcept : value_(value) {}

    [[nodiscard]] const Key* get() const noexcept { return value_ ? &*value_ : nullptr; }
    [[nodiscard]] bool has_value() const noexcept { return value_.has_value(); }
    [[nodiscard]] const Key& operator*() const noexcept { return *value_; }

private:
    std::optional<Key> value_;
};

/// As an input it is null.
template <class Key>
struct json_encoder<absent<Key>> {
    template <class Buffer>
    static bool append(Buffer& out, absent<Key>) {
        return append_json(out, nullptr);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
