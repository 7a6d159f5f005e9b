// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/machine.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Marks that code of the application runs on behalf of `what`. While the object lives, `is(what)` is true on this
// thread, which detects re-entrance. Each `Kind` of code has its own list.
template <class Kind>
class running {
public:
    explicit running(const void* what) noexcept : what_(what), outer_(innermost()) { innermost() = this; }
    running(const running&) = delete;
    running& operator=(const running&) = delete;
    // Searches the list, because fibers of one thread need not end in order.
    ~running() {
        for (running** link = &innermost(); *link; link = &(*link)->outer_)
            if (*link == this) {
                *link = outer_;
                return;
            }
    }

    [[nodiscard]] static bool is(const void* what) noexcept {
        for (const running* at = innermost(); at; at = at->outer_)
            if (at->what_ == what) return true;
        return false;
    }

private:
    static running*& innermost() noexcept { return machine::of_thread<running, running*>; }

    const void* what_;
    running* outer_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
