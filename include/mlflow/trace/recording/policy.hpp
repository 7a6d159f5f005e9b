// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/value_rules.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/recording/redactors.hpp>
#include <mlflow/trace/recording/sampling.hpp>

#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A recording policy that combines a sampler with a redactor and limits.
///
///     using recording = mt::recording_policy<mt::record_ratio, mt::redact_keys<"password", "api_key">>;
///
/// The redactor's `redaction operator()(std::string_view key, std::string_view value) const` is called for each value
/// before the value is recorded, so a removed value is never stored. `key` is the key of the attribute, the name of
/// the input, or the innermost name inside it; an element of an array has the name of its array. `value` is a text as
/// it is, or a number, `true`, `false` or `null` as JSON. The redactor is also called for `exception.message`,
/// `status.message`, `request_preview` and `response_preview`. It is not called for names, for the IDs, metadata and
/// tags of a trace, or for numbers that the library counts itself. When the redactor throws, the value is removed.
/// Several threads may call it at once.
template <class Sampler, class Redactor>
class recording_policy {
    static_assert(recording<Sampler>,
                  "the sampler lacks a member: bool sample(const mlflow::trace::trace_start&) const");
    static_assert(redactor<Redactor>, "the redactor lacks a member: mlflow::trace::redaction "
                                      "operator()(std::string_view key, std::string_view value) const");

public:
    /// The options of the sampler and the redactor, and the limits.
    struct options {
        detail::options_of<Sampler> sampler{};   ///< options of the sampler
        detail::options_of<Redactor> redactor{}; ///< options of the redactor
        recording_limits limits{};               ///< limits of what a span records
    };

    /// Made by the tracer.
    explicit recording_policy(options chosen)
        : sampler_(std::move(chosen.sampler)), redactor_(std::move(chosen.redactor)), limits_(chosen.limits) {}

    /// Whether the sampler records sessions as a whole.
    static constexpr bool decides_by_session = detail::decides_by_session<Sampler>;

    /// Whether the sampler records the trace.
    [[nodiscard]] bool sample(const trace_start& start) const { return sampler_.sample(start); }
    /// The redactor's result for a value.
    [[nodiscard]] redaction redact(std::string_view key, std::string_view value) const
        requires(!std::is_same_v<Redactor, redact_nothing>)
    {
        return redactor_(key, value);
    }
    /// The limits.
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
