// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/date.hpp>
#include <mlflow/trace/http/message.hpp>

#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Reads Retry-After (RFC 9110, 10.2.3). Returns 0 if it is absent, or a date in the past. The interval to a date is
// measured from the server's own Date, because the local clock may be wrong by more than that interval.
inline std::chrono::milliseconds retry_after(const http_response& reply) noexcept {
    const std::string_view asked = reply.header("Retry-After");
    if (const auto date = parse_http_date(asked)) {
        const auto here = std::chrono::system_clock::now().time_since_epoch();
        const std::int64_t now = parse_http_date(reply.header("Date"))
                                     .value_or(std::chrono::duration_cast<std::chrono::seconds>(here).count());
        return std::chrono::seconds(*date > now ? *date - now : 0);
    }
    constexpr std::int64_t most = 86'401; // longer than any caller waits
    std::int64_t seconds = 0;
    for (const char c : asked) {
        if (c < '0' || c > '9') return std::chrono::milliseconds(0);
        seconds = seconds * 10 + (c - '0');
        if (seconds > most) seconds = most;
    }
    return std::chrono::seconds(seconds);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
