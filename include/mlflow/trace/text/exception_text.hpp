// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdlib>
#include <exception>
#include <string_view>
#include <typeinfo>

#if __has_include(<cxxabi.h>)
#include <cxxabi.h>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// An application's exception may say nothing.
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

// A type's name as a person writes it, or as the compiler stores it where that cannot be had.
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

// What is being handled is no exception of C++: it is how a thread unwinds that is cancelled, or calls pthread_exit.
// Who catches that must pass it on, or the program ends.
inline bool is_thread_ending() noexcept {
#if __has_include(<cxxabi.h>)
    return !abi::__cxa_current_exception_type();
#else
    return false;
#endif
}

// Of the exception being handled, also where it is not a std::exception.
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
