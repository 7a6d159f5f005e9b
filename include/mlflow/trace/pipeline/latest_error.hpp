// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// What `last_error` says: what is wrong now, and else why spans were last lost, which nothing mends. Takes the texts,
// so that it needs no memory. Not thread-safe.
class latest_error {
public:
    // Nothing is lost yet, and until `mended` nothing is well.
    void wrong(std::string& why) noexcept { wrong_.swap(why); }
    void mended() noexcept { wrong_.clear(); }
    void lost(std::string& why) noexcept { lost_.swap(why); }

    [[nodiscard]] bool is_wrong() const noexcept { return !wrong_.empty(); }
    [[nodiscard]] const std::string& text() const noexcept { return wrong_.empty() ? lost_ : wrong_; }

private:
    std::string wrong_;
    std::string lost_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
