// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdlib>
#include <exception>
#include <string_view>
#include <typeinfo>

#if !defined(__GLIBCXX__) && __has_include(<cxxabi.h>)
#include <cxxabi.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

#if defined(__GLIBCXX__)
// As <cxxabi.h> declares them, which would add 360 lines to every translation unit.
namespace abi {
extern "C" {
char* __cxa_demangle(const char*, char*, std::size_t*, int*);
std::type_info* __cxa_current_exception_type() noexcept;
}
} // namespace abi
#endif

// An application's what() may return null.
inline const char* what_of(const std::exception& thrown) noexcept {
    const char* const what = thrown.what();
    return what ? what : "";
}

inline int exceptions_in_flight() noexcept {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    return std::uncaught_exceptions();
#else
    return 0;
#endif
}

// The demangled name of a type, or the mangled name if it cannot be demangled.
class type_name {
public:
    explicit type_name(const char* mangled) noexcept : mangled_(mangled) {
#if __has_include(<cxxabi.h>)
        int failed = 0;
        readable_ = mangled ? abi::__cxa_demangle(mangled, nullptr, nullptr, &failed) : nullptr;
#endif
    }
    type_name(const type_name&) = delete;
    type_name& operator=(const type_name&) = delete;
    ~type_name() { std::free(readable_); }

    [[nodiscard]] std::string_view view() const noexcept {
        return readable_ ? readable_ : mangled_ ? mangled_ : "unknown";
    }

private:
    const char* mangled_;
    char* readable_ = nullptr;
};

inline type_name exception_type([[maybe_unused]] const std::exception& thrown) noexcept {
#if defined(__cpp_rtti)
    return type_name(typeid(thrown).name());
#else
    return type_name("St9exception");
#endif
}

// Whether a handler for any exception has caught the unwinding of a thread that is cancelled or calls pthread_exit,
// which is not a C++ exception. The handler must rethrow, or the program ends.
inline bool is_thread_ending() noexcept {
#if __has_include(<cxxabi.h>)
    return !abi::__cxa_current_exception_type();
#else
    return false;
#endif
}

// The type of the exception that is being handled, which need not be a std::exception.
inline type_name current_exception_type() noexcept {
#if defined(__cpp_rtti) && __has_include(<cxxabi.h>)
    const std::type_info* const type = abi::__cxa_current_exception_type();
    return type_name(type ? type->name() : nullptr);
#else
    return type_name(nullptr);
#endif
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
