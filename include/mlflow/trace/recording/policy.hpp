// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/recording/sampling.hpp>

#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class... Names>
constexpr bool is_one_of([[maybe_unused]] std::string_view key, const Names&... names) noexcept {
    return (same_name(key, names) || ...);
}

} // namespace detail

/// A redactor that records every value as it is.
struct redact_nothing {
    redaction operator()(std::string_view, std::string_view) const noexcept { return redaction::keep(); }
};

/// A redactor that records `[redacted]` in place of the values under these keys, at any depth of inputs, outputs and
/// attributes. ASCII letters compare without case.
template <fixed_string... Keys>
struct redact_keys {
    redaction operator()(std::string_view key, std::string_view) const {
        return detail::is_one_of(key, Keys.view()...) ? redaction::remove() : redaction::keep();
    }
};

/// A redactor that records how an application does and nothing that was said: `[redacted]` stands for each value in
/// inputs, outputs, attributes and events, and for previews and messages of errors. What no redactor is asked for
/// stays (names, types, times, status codes, tokens, cost, model, provider, identity, tags), and so do the attributes
/// that OpenTelemetry's GenAI conventions have for operation, model and usage, and those of `Kept` keys. ASCII
/// letters compare without case. The names of inputs and of what is inside them are recorded: put nothing private
/// there. A kept key is kept inside inputs and outputs too; of `gen_ai.usage.…` only numbers are.
template <fixed_string... Kept>
struct redact_content {
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

/// Which traces are recorded, and what of their values: a sampler with a redactor and limits.
///
///     using recording = mt::recording_policy<mt::record_ratio, mt::redact_keys<"password", "api_key">>;
///
/// The redactor is asked for each value before it is recorded, so that what it takes out is never stored, by
/// `redaction operator()(std::string_view key, std::string_view value) const`. The key is that of the attribute, the
/// name of the input, or the innermost name inside it; an element of an array has the name of its array. Values are
/// texts as they are, and numbers, `true`, `false` and `null` as JSON writes them. It is also asked for
/// `exception.message`, `status.message`, `request_preview` and `response_preview`; not for names, for the IDs,
/// metadata and tags of a trace, and for what the library counts itself. What it throws takes the value out. Called
/// by any thread, several at once.
template <class Sampler, class Redactor>
class recording_policy {
    static_assert(recording<Sampler>,
                  "the sampler lacks a member: bool sample(const mlflow::trace::trace_start&) const");
    static_assert(redactor<Redactor>, "the redactor lacks a member: mlflow::trace::redaction "
                                      "operator()(std::string_view key, std::string_view value) const");

public:
    struct options {
        detail::options_of<Sampler> sampler{};
        detail::options_of<Redactor> redactor{};
        recording_limits limits{};
    };

    explicit recording_policy(options chosen)
        : sampler_(std::move(chosen.sampler)), redactor_(std::move(chosen.redactor)), limits_(chosen.limits) {}

    static constexpr bool decides_by_session = detail::decides_by_session<Sampler>;

    [[nodiscard]] bool sample(const trace_start& start) const { return sampler_.sample(start); }
    [[nodiscard]] redaction redact(std::string_view key, std::string_view value) const
        requires(!std::is_same_v<Redactor, redact_nothing>)
    {
        return redactor_(key, value);
    }
    [[nodiscard]] const recording_limits& limits() const noexcept { return limits_; }

private:
    [[no_unique_address]] Sampler sampler_;
    [[no_unique_address]] Redactor redactor_;
    recording_limits limits_;
};

namespace detail {
template <class Sampler, class Redactor>
inline constexpr bool is_own_sampler<recording_policy<Sampler, Redactor>> = is_own_sampler<Sampler>;
} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
