// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Sixteen characters that are processed at once, by the vector extensions of g++ and clang; <emmintrin.h> has 2,700
// lines. A comparison yields a character with all bits set where it is true.
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

// One bit for each character whose highest bit is set.
inline std::uint32_t mask16(characters16 characters) noexcept {
    using plain [[gnu::vector_size(16)]] = char;
    return static_cast<std::uint32_t>(__builtin_ia32_pmovmskb128(reinterpret_cast<plain>(characters)));
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace

#endif
