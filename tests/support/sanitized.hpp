// SPDX-License-Identifier: Apache-2.0
#pragma once

// Is this program checked by AddressSanitizer or ThreadSanitizer? In the child of a fork their locks stay as they
// were in the parent, that of malloc too, so that a child which records may hang.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
inline constexpr bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif
#else
inline constexpr bool is_sanitized = false;
#endif
