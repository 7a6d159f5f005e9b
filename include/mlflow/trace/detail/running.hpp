// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Code of the application that runs here on behalf of `what`: while this object lives, `is(what)` is true on its
// thread. So the library notices when that code comes back in. Each `Kind` of code has a list of its own.
template <class Kind>
class running {
public:
    explicit running(const void* what) noexcept : what_(what), outer_(innermost_) { innermost_ = this; }
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    // Taken out wherever it stands: fibers of one thread need not end in order.
    ~running() {
        for (running** link = &innermost_; *link; link = &(*link)->outer_)
            if (*link == this) {
                *link = outer_;
                return;
            }
    }

    [[nodiscard]] static bool is(const void* what) noexcept {
        for (const running* at = innermost_; at; at = at->outer_)
            if (at->what_ == what) return true;
        return false;
    }

private:
    const void* what_;
    running* outer_;
#if MLFLOW_TRACE_HOSTED
    static inline constinit thread_local running* innermost_ = nullptr;
#else
    static inline constinit running* innermost_ = nullptr;
#endif
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
