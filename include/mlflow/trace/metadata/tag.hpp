// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/metadata/key.hpp>

#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A label of a trace. Unlike metadata it can be changed later. It views its texts, so use it in the same expression.
/// Keys have 1 to 250 ASCII letters, digits, `_-.:/` and spaces, as MLflow's `_validate_tag_name` requires. Values
/// have up to 4096 characters of valid UTF-8, including newlines and tabs; MLflow would silently truncate longer
/// values.
struct tag {
    /// The name of the tag.
    std::string_view key;
    /// The value of the tag.
    std::string_view value;

    /// Does not check the texts; `check` does.
    constexpr tag(std::string_view tag_key, std::string_view tag_value) noexcept : key(tag_key), value(tag_value) {}

    /// Returns the error of the key or the value, or an error of kind `error_kind::none`.
    [[nodiscard]] constexpr error check() const noexcept {
        if (const auto error = detail::check_text(key, key, 250); error.kind() != error_kind::none) return error;
        if (key.starts_with("mlflow.")) return {error_kind::reserved, key};
        // MLflow treats a key as a path, which must be in normal form.
        const bool is_path = key.front() != '/' && key.back() != '/' && key.find("//") == std::string_view::npos &&
                             key != "." && !key.starts_with("..") && key.find("/../") == std::string_view::npos &&
                             key.find("/./") == std::string_view::npos && !key.starts_with("./") &&
                             !key.ends_with("/.") && !key.ends_with("/..");
        if (!is_path || !ascii_word<"_-.:/ ">::allows(key)) return {error_kind::not_allowed, key};
        const auto scan = detail::scan_utf8(value);
        if (scan.invalid_at != std::string_view::npos) return {error_kind::invalid_utf8, key, scan.invalid_at};
        if (scan.code_points > 4096) return {error_kind::too_long, key, scan.code_points, 4096};
        if (value.find('\0') != std::string_view::npos) return {error_kind::control_character, key, value.find('\0')};
        return {};
    }
};

namespace detail {

// Checks a metadata key and value that have no type of their own.
constexpr error check_metadata(std::string_view key, std::string_view value) noexcept {
    if (const auto error = check_text(key, key, 250); error.kind() != error_kind::none) return error;
    if (reserved_by_mlflow(key) || rewritten_by_search(key)) return {error_kind::reserved, key};
    return check_text(key, value, 250);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
