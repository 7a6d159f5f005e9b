// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Sixteen characters at once, by the vectors that g++ and clang know without <emmintrin.h>, which is 2,700 lines.
// Comparisons give a character of all ones where they hold.
using characters16 [[gnu::vector_size(16)]] = signed char;

inline characters16 load16(const char* from) noexcept {
    characters16 loaded;
    std::memcpy(&loaded, from, sizeof loaded);
    return loaded;
}
inline void store16(char* to, characters16 stored) noexcept { std::memcpy(to, &stored, sizeof stored); }

inline characters16 sixteen(char c) noexcept {
    const auto s = static_cast<signed char>(c);
    return characters16{s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s};
}

// A bit for each character whose highest bit is set.
inline std::uint32_t mask16(characters16 characters) noexcept {
    using plain [[gnu::vector_size(16)]] = char;
    return static_cast<std::uint32_t>(__builtin_ia32_pmovmskb128(reinterpret_cast<plain>(characters)));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
