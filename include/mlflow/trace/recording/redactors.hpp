// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/http/message.hpp>

#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class... Names>
constexpr bool is_one_of([[maybe_unused]] std::string_view key, const Names&... names) noexcept {
    return (same_name(key, names) || ...);
}

} // namespace detail

/// A redactor that records every value unchanged.
struct redact_nothing {
    /// Keeps every value.
    redaction operator()(std::string_view, std::string_view) const noexcept { return redaction::keep(); }
};

/// A redactor that records `[redacted]` in place of the values of these keys, at any depth of inputs, outputs and
/// attributes. ASCII letters are compared without case.
template <fixed_string... Keys>
struct redact_keys {
    /// Removes the value when the key is one of `Keys`.
    redaction operator()(std::string_view key, std::string_view) const {
        return detail::is_one_of(key, Keys.view()...) ? redaction::remove() : redaction::keep();
    }
};

/// A redactor that keeps the measurements and removes the content: it records `[redacted]` in place of each value in
/// inputs, outputs, attributes and events, and in place of previews and error messages.
///
/// Data that is not passed to a redactor is recorded: names, types, times, status codes, tokens, cost, model,
/// provider, identity and tags. So are function names, `error.type`, `http.response.status_code`, the attributes of
/// OpenTelemetry's GenAI conventions for operation, provider, model, finish reasons and usage, and the values of the
/// `Kept` keys. A kept key is kept inside inputs and outputs too. Of `gen_ai.usage.…` only numbers are kept. ASCII
/// letters of keys are compared without case. The names of inputs, and the names inside them, are recorded: they must
/// not contain private data.
template <fixed_string... Kept>
struct redact_content {
    /// Keeps the value of a key that the class comment lists, and removes any other.
    redaction operator()(std::string_view key, std::string_view value) const {
        constexpr std::string_view usage = "gen_ai.usage.";
        const bool is_number = !value.empty() && value.find_first_not_of("0123456789.+-eE") == std::string_view::npos;
        const bool is_kept =
            (is_number && detail::same_name(key.substr(0, usage.size()), usage)) ||
            detail::is_one_of(key, detail::mlflow_names::span_function_name, "gen_ai.operation.name",
                              "gen_ai.provider.name", "gen_ai.request.model", "gen_ai.response.model",
                              "gen_ai.response.finish_reasons", "error.type", "http.response.status_code") ||
            detail::is_one_of(key, Kept.view()...);
        return is_kept ? redaction::keep() : redaction::remove();
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
