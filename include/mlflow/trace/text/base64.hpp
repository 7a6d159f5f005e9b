// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Appends base64 with padding (RFC 4648, section 4).
template <class Buffer>
bool append_base64(Buffer& out, std::string_view bytes) noexcept {
    constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t size = (bytes.size() + 2) / 3 * 4;
    if (size == 0) return true;
    char* to = out.ensure(size);
    if (!to) return false;
    for (; !bytes.empty(); bytes.remove_prefix(bytes.size() < 3 ? bytes.size() : 3)) {
        std::uint32_t group = 0;
        for (std::size_t at = 0; at < 3; ++at)
            group = group << 8U | (at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0U);
        for (std::size_t at = 0; at < 4; ++at)
            *to++ = at <= bytes.size() ? digits[group >> (18 - 6 * at) & 63U] : '=';
    }
    out.commit(size);
    return true;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
