// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Returns true once per interval, for all threads together. `now` and `length` have the same unit, which the caller
// chooses.
class interval {
public:
    [[nodiscard]] bool is_due(std::int64_t now, std::int64_t length) noexcept {
        std::int64_t last = last_.load(memory_order_relaxed);
        return (last == never || now - last >= length) &&
               last_.compare_exchange_strong(last, now, memory_order_relaxed);
    }

private:
    static constexpr std::int64_t never = -1;

    atomic<std::int64_t> last_{never};
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
