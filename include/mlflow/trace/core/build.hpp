// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/core/trace_state.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail {

#if MLFLOW_TRACE_HOSTED

constexpr std::uint64_t hash(std::uint64_t value, std::string_view text) noexcept { // FNV-1a
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return value;
}

template <std::uint64_t Number>
inline constexpr std::uint64_t build_number = Number; // computed by the compiler

// The first member of a tracer: in which part of a program, and with which version and build of the library, it was
// made. A part that is loaded at run time may have another one, where nothing stands where this part expects it. The
// members of this class never change their places.
template <class Tracer>
class build_stamp {
public:
    explicit build_stamp(bool is_on) noexcept
        : build_(current()), on_(is_on ? current() : 0), version_(version()), type_(type()) {}

    [[nodiscard]] bool is_on() const noexcept { return on_ == current(); }
    [[nodiscard]] bool is_of_this_build() const noexcept { return build_ == current(); }

    // What differs, for a person.
    [[nodiscard]] owned_text difference() const {
        owned_text text = "the tracer (made by ";
        if (is_stamp(build_)) text.append(version_).append(" as ").append(tracer_in(type_));
        else text += "an older version, or it is no tracer";
        return text.append("; used by ").append(version()).append(" as ").append(tracer_in(type())).append(")");
    }

private:
    static constexpr std::uint64_t mark = 0x6d6c747261636531U; // the upper half tells a stamp from other bytes
    static constexpr bool is_stamp(std::uint64_t build) noexcept { return build >> 32U == mark >> 32U; }

    static constexpr const char* version() noexcept {
        return "mlflow_trace " MLFLOW_TRACE_VERSION " by " __VERSION__;
    }
    static constexpr const char* type() noexcept { return __PRETTY_FUNCTION__; }
    // The compiler's name for the tracer, without that of the function around it.
    static constexpr std::string_view tracer_in(std::string_view type) noexcept {
        const auto name = type.find("Tracer = ");
        return name == type.npos ? type : type.substr(name + 9, type.rfind(']') - name - 9);
    }
    static constexpr std::uint64_t current() noexcept { return build_number<compute()>; }
    static constexpr std::uint64_t compute() noexcept {
        std::uint64_t value = hash(hash(0xcbf29ce484222325U, version()), type());
        for (const std::size_t size : {sizeof(span_data), sizeof(trace_data), sizeof(trace_state), sizeof(recorder),
                                       sizeof(owned_text), std::size_t{MLFLOW_TRACE_HAS_EXCEPTIONS}})
            value = (value ^ size) * 0x100000001b3U;
        return (mark >> 32U << 32U) | (value >> 32U);
    }

    std::uint64_t build_;
    std::uint64_t on_; // 0: nothing is recorded
    const char* version_;
    const char* type_;
};

#else // one part is the whole program

template <class Tracer>
class build_stamp {
public:
    explicit build_stamp(bool is_on) noexcept : is_on_(is_on) {}
    [[nodiscard]] bool is_on() const noexcept { return is_on_; }
    [[nodiscard]] static constexpr bool is_of_this_build() noexcept { return true; }
    [[nodiscard]] static constexpr owned_text difference() noexcept { return {}; }

private:
    bool is_on_;
};

#endif

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI::detail
