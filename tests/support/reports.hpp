// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>

#include <algorithm>
#include <mutex>
#include <vector>

namespace support {

// What a tracer reports: `tracer({.on_error = &reports::add, .error_context = &reports})`.
class reports {
public:
    static void add(void* context, const mlflow::trace::error& error) noexcept {
        auto& self = *static_cast<reports*>(context);
        const std::lock_guard guard(self.lock_);
        self.faults_.push_back(error.kind());
    }
    [[nodiscard]] std::vector<mlflow::trace::error_kind> faults() const {
        const std::lock_guard guard(lock_);
        return faults_;
    }
    [[nodiscard]] auto count(mlflow::trace::error_kind what) const {
        const std::lock_guard guard(lock_);
        return std::count(faults_.begin(), faults_.end(), what);
    }

private:
    mutable std::mutex lock_;
    std::vector<mlflow::trace::error_kind> faults_;
};

} // namespace support
