// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

// Runs `run`. What it throws ends here, and `rescue` says what comes instead.
template <class Run, class Rescue>
decltype(auto) guarded(Run&& run, [[maybe_unused]] Rescue&& rescue) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    try {
        return run();
    } catch (...) {
        return rescue();
    }
#else
    return run();
#endif
}

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
