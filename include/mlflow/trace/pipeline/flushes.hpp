// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The flushes of what waits for delivery. Spans are numbered as they are accepted; `done` is how many of these are
// done with. Not thread-safe.
class flushes {
public:
    // Somebody waits until `target` is done, from when so many spans had been delivered.
    void ask(std::uint64_t target, std::uint64_t delivered) noexcept {
        if (target > asked_until_) asked_until_ = target;
        delivered_before_ = delivered;
    }
    // Nobody waits for it any longer, though it is still wanted.
    void give_up(std::uint64_t target) noexcept {
        if (target > given_up_until_) given_up_until_ = target;
    }

    [[nodiscard]] bool is_asked(std::uint64_t done) const noexcept { return asked_until_ > done; }
    [[nodiscard]] bool has_given_up(std::uint64_t done) const noexcept { return given_up_until_ > done; }
    // Since the latest one began.
    [[nodiscard]] std::uint64_t delivered(std::uint64_t all) const noexcept { return all - delivered_before_; }

private:
    std::uint64_t asked_until_ = 0;
    std::uint64_t given_up_until_ = 0;
    std::uint64_t delivered_before_ = 0;
};

// Why spans wait: for what, in the exporter's words, and what went wrong last. `otherwise` where neither is known.
inline std::string waiting_reason(std::string waits_for, const std::string& error, std::string_view otherwise) {
    if (waits_for.empty()) return error.empty() ? std::string(otherwise) : error;
    if (!error.empty()) waits_for.append("; the latest error: ").append(error);
    return waits_for;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
