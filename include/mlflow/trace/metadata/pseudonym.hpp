// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/metadata/key.hpp>

#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Parses a value that may not leave the process into what your own function makes of it, such as a keyed hash:
/// `mt::pseudonym<mt::user, hmac_of>::parse(header)` is a `mt::user`, and the original is not kept.
///
/// Function: `std::string(std::string_view)`, or anything else that converts to `std::string_view`; thread-safe where
/// `parse` is called by several threads. The original is checked as text of at most 250 characters, what the function
/// returns as every value of the key; a function that throws makes it `error_kind::not_allowed`.
template <metadata_key Key, auto Function>
struct pseudonym {
    using key = Key;

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
