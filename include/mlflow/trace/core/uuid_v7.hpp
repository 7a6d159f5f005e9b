// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Makes the text of a UUID of version 7 (RFC 9562, 5.7). Later UUIDs sort after earlier ones. `unix_ms`:
/// milliseconds since 1970, of which 48 bits are used; `rand_a`: 12 bits; `rand_b`: 62 bits.
[[nodiscard]] constexpr id_text<36> uuid_v7(std::uint64_t unix_ms, std::uint64_t rand_a,
                                            std::uint64_t rand_b) noexcept {
    char digits[32]{};
    detail::write_hex(digits, unix_ms << 16U | 0x7000U | (rand_a & 0xfffU));
    detail::write_hex(digits + 16, (rand_b & ~(std::uint64_t{3} << 62U)) | std::uint64_t{2} << 62U);
    id_text<36> text;
    char* to = text.characters;
    for (int i = 0; i < 32; ++i) {
        if (i == 8 || i == 12 || i == 16 || i == 20) *to++ = '-';
        *to++ = digits[i];
    }
    return text;
}

/// Makes a new UUID of version 7 from the platform's clock and IDs. The 12 bits after the milliseconds are the
/// fraction of the millisecond (RFC 9562, 6.2, method 3); 62 bits are random. The UUID is not a secret and must not
/// be used to authorise a session. Thread-safe.
template <class Platform>
[[nodiscard]] id_text<36> new_uuid_v7() noexcept {
    constexpr std::uint64_t nano_per_ms = 1'000'000;
    const std::uint64_t now = Platform::wall_nano();
    return uuid_v7(now / nano_per_ms, now % nano_per_ms * 4096 / nano_per_ms, Platform::new_trace_id().low);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
