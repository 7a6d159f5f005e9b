// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/filter.hpp>

#include <type_traits>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Alternative filters, since MLflow's grammar has no OR: `any_of(a, b)` runs one search for each.
class alternatives {
public:
    /// From a list of filters.
    explicit alternatives(std::vector<filter> filters) : filters_(std::move(filters)) {}
    /// The filters.
    [[nodiscard]] const std::vector<filter>& filters() const noexcept { return filters_; }

private:
    std::vector<filter> filters_;
};
/// Alternatives of these filters.
template <class... Filters>
    requires(std::is_same_v<Filters, filter> && ...)
[[nodiscard]] alternatives any_of(const Filters&... filters) {
    return alternatives({filters...});
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
