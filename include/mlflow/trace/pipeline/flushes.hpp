// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The pending flushes of a queue. Spans are numbered in order of acceptance; `done` is the number up to which all of
// them have been exported or dropped. Not thread-safe.
class flushes {
public:
    // A caller waits until `target` is done; `delivered` spans had been delivered when it began.
    void ask(std::uint64_t target, std::uint64_t delivered) noexcept {
        if (target > asked_until_) asked_until_ = target;
        delivered_before_ = delivered;
    }
    // The caller no longer waits. The spans are still to be delivered without delay.
    void give_up(std::uint64_t target) noexcept {
        if (target > given_up_until_) given_up_until_ = target;
    }

    [[nodiscard]] bool is_asked(std::uint64_t done) const noexcept { return asked_until_ > done; }
    [[nodiscard]] bool has_given_up(std::uint64_t done) const noexcept { return given_up_until_ > done; }
    // Spans delivered since the latest flush began.
    [[nodiscard]] std::uint64_t delivered(std::uint64_t all) const noexcept { return all - delivered_before_; }

private:
    std::uint64_t asked_until_ = 0;
    std::uint64_t given_up_until_ = 0;
    std::uint64_t delivered_before_ = 0;
};

// Why spans are still queued: what the exporter is waiting for, and the latest error. `otherwise` if neither is
// known.
inline std::string waiting_reason(std::string waits_for, const error& latest, std::string_view otherwise) {
    if (waits_for.empty()) return latest ? latest.message() : std::string(otherwise);
    if (latest) waits_for.append("; the latest error: ").append(latest.message());
    return waits_for;
}

// The error of a flush that gave up: of the kind of the latest error, if there is one.
inline error gave_up(const error& latest, std::string_view text) noexcept {
    return latest ? latest.with_message(text) : error(error_kind::timeout, {}, text);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
