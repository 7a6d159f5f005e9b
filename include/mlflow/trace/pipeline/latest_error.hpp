// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/ids.hpp>

#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Why spans of a trace were quarantined.
inline error quarantined(const trace_id& id, const error& why) {
    return why.with_message(std::string(id.mlflow_id().view()) + " was quarantined: " + why.message());
}

// What `last_error` returns: the current problem, or else why spans were last lost. The loss stays until another one
// replaces it. Not thread-safe.
class latest_error {
public:
    // A problem by which no span is lost yet. It lasts until `mended`.
    void wrong(error why) noexcept { wrong_ = std::move(why); }
    void mended() noexcept { wrong_ = {}; }
    void lost(error why) noexcept { lost_ = std::move(why); }
    // The same, where the problem before it was one of earlier spans.
    void lost_at_last(error why) noexcept {
        mended();
        lost(std::move(why));
    }

    [[nodiscard]] bool is_wrong() const noexcept { return static_cast<bool>(wrong_); }
    [[nodiscard]] const error& get() const noexcept { return wrong_ ? wrong_ : lost_; }

private:
    error wrong_;
    error lost_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
