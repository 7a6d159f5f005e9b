// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/metadata/key.hpp>

#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Replaces a value that must not leave the process by the result of your own function, such as a keyed hash.
/// `mt::pseudonym<mt::user, hmac_of>::parse(header)` returns a `mt::user`; the original is not kept.
///
/// `Function` is `std::string(std::string_view)`, or returns another type that converts to `std::string_view`. It
/// must be thread-safe if several threads call `parse`. The original is checked as text of at most 250 characters,
/// and the function's result as a value of the key. If the function throws, the error is `error_kind::not_allowed`.
template <metadata_key Key, auto Function>
struct pseudonym {
    /// The key that the result is a value of.
    using key = Key;

    /// Makes a value of the replacement for `original`.
    static result<Key> parse(std::string_view original) noexcept {
        if (const auto error = detail::check_text(Key::name, original, 250); error.kind() != error_kind::none)
            return failure{error};
        using parsed = result<Key>;
        return detail::guarded(
            [original]() -> parsed {
                const auto& replacement = Function(original);
                return Key::parse(std::string_view(replacement));
            },
            []() -> parsed { return failure{error{error_kind::not_allowed, Key::name}}; });
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
