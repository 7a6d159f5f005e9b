// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/trace_start.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/metadata/identity.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/recording/spread_hash.hpp>

#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Records a share of the sessions, each of them as a whole. A hash of the session's ID decides; it is the same in
/// every process. For a trace whose session is not known at its start the trace ID decides, with the ratio of the
/// call (`sample_ratio`) if there is one. A session that becomes known later does not change the decision;
/// `tracer::late_sessions` counts such traces.
///
/// With a key, each value of the key may have its own share: `mt::record_session_ratio<segment>` with
/// `{.ratio = 0.1, .ratios = {{segment{"pro"}, 1.0}}}`. A session is recorded as a whole as long as its value of the
/// key stays the same.
///
/// The caller's decision takes precedence if `parent_based` wraps this sampler, and always for a trace that continues
/// one of a trusted sender (`incoming_trace`). Thread-safe.
template <class Key>
class record_session_ratio {
public:
    /// The shares of the sessions.
    struct options {
        double ratio = 1.0; ///< for values without their own share; 0 records nothing, 1 everything
        std::vector<std::pair<Key, double>> ratios{}; ///< values of the key with their own share
    };
    /// Sessions are recorded as a whole.
    static constexpr bool decides_by_session = true;

    /// Made by the tracer. Throws `std::bad_alloc`.
    explicit record_session_ratio(const options& chosen) : ratio_(chosen.ratio) {
        ratios_.reserve(chosen.ratios.size());
        for (const auto& [value, ratio] : chosen.ratios) ratios_.emplace_back(value, sample_ratio(ratio));
    }

    /// Whether the trace is recorded.
    [[nodiscard]] bool sample(const trace_start& start) const noexcept {
        const std::string_view session = start.session();
        if (!session.data()) return (start.ratio ? *start.ratio : share(start)).holds(start.id.low);
        return share(start).holds(detail::spread_hash(session));
    }

private:
    [[nodiscard]] const sample_ratio& share(const trace_start& start) const noexcept {
        const std::string_view value = start.metadata(Key::name);
        for (const auto& [own, ratio] : ratios_)
            if (own.view() == value) return ratio;
        return ratio_;
    }

    sample_ratio ratio_;
    std::vector<std::pair<Key, sample_ratio>> ratios_;
};

/// Records one share of all sessions.
template <>
class record_session_ratio<void> {
public:
    /// The share of the sessions.
    struct options {
        double ratio = 1.0; ///< 0 records nothing, 1 everything
    };
    /// Sessions are recorded as a whole.
    static constexpr bool decides_by_session = true;

    /// Made by the tracer.
    explicit record_session_ratio(options chosen) noexcept : ratio_(chosen.ratio) {}

    /// Whether the trace is recorded.
    [[nodiscard]] bool sample(const trace_start& start) const noexcept {
        const std::string_view session = start.session();
        if (!session.data()) return (start.ratio ? *start.ratio : ratio_).holds(start.id.low);
        return ratio_.holds(detail::spread_hash(session));
    }

private:
    sample_ratio ratio_;
};

namespace detail {
template <class Key>
inline constexpr bool is_own_sampler<record_session_ratio<Key>> = true;
} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
