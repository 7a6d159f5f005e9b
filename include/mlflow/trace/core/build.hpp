// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __cpp_rtti
#include <typeinfo>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

#if MLFLOW_TRACE_HOSTED

constexpr std::uint64_t hash(std::uint64_t value, std::string_view text) noexcept { // FNV-1a
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return value;
}

template <std::uint64_t Number>
inline constexpr std::uint64_t build_number = Number; // computed by the compiler

// At an address of its own in each part of the program and for each build.
template <class Tracer, std::uint64_t Build>
inline constexpr char part_of_program = 0;

// Is it the same template with the same arguments, as far as their own arguments, which a compiler may print or not,
// do not matter?
constexpr bool same_outline(std::string_view a, std::string_view b) noexcept {
    constexpr auto next = [](std::string_view text, std::size_t& at, int& depth) {
        for (; at < text.size(); ++at) {
            depth += (text[at] == '<' ? 1 : 0) - (text[at] == '>' ? 1 : 0);
            if (depth <= 1 && text[at] != '>') return text[at++];
        }
        return '\0';
    };
    std::size_t at_a = 0, at_b = 0;
    int depth_a = 0, depth_b = 0;
    while (true) {
        const char c = next(a, at_a, depth_a);
        const char other = next(b, at_b, depth_b);
        if (c == '\0' || other == '\0') return true; // arguments that are the default are printed, or not
        if (c != other) return false;
    }
}

// The first member of a tracer: in which part of a program, and with which version and build of the library, it was
// made. A part that is loaded at run time may have another one, where nothing stands where this part expects it. The
// members of this class never change their places.
template <class Tracer>
class build_stamp {
public:
    explicit build_stamp(bool is_on) noexcept
        : build_(current()), on_(is_on ? here() : nullptr), version_(version()), type_(type()), part_(here()),
          name_(name()) {}

    [[nodiscard]] bool is_on() const noexcept { return on_ == here() || (on_ && is_alike()); }
    [[nodiscard]] bool is_of_this_build() const noexcept {
        return (build_ == current() && part_ == here()) || is_alike();
    }

    // What differs, for a person.
    [[nodiscard]] owned_text difference() const {
        owned_text text = "the tracer (made by ";
        if (is_stamp(build_)) text.append(version_).append(" as ").append(tracer_in(type_));
        else text += "an older version, or it is no tracer";
        return text.append("; used by ").append(version()).append(" as ").append(tracer_in(type())).append(")");
    }

private:
    static constexpr std::uint64_t mark = 0x6d6c747261636532U; // the upper half tells a stamp from other bytes
    static constexpr bool is_stamp(std::uint64_t build) noexcept { return build >> 32U == mark >> 32U; }

    // Made in another part of the program, but the same way.
    __attribute__((noinline)) bool is_alike() const noexcept {
        if (build_ != current()) return false;
        if (part_ == known_.load(memory_order_relaxed)) return true;
        const bool is_same =
            name_ && name() ? std::string_view(name_) == name() : same_outline(tracer_in(type_), tracer_in(type()));
        if (is_same) known_.store(part_, memory_order_relaxed);
        return is_same;
    }

    static constexpr const char* version() noexcept {
        return "mlflow_trace " MLFLOW_TRACE_VERSION " by " __VERSION__;
    }
    static constexpr const char* type() noexcept { return __PRETTY_FUNCTION__; }
    // The compiler's name for the tracer, without that of the function around it.
    static constexpr std::string_view tracer_in(std::string_view type) noexcept {
        const auto name = type.find("Tracer = ");
        return name == type.npos ? type : type.substr(name + 9, type.rfind(']') - name - 9);
    }
    // Its name for the linker, which has but one form; null where a program is built without such names.
    static const char* name() noexcept {
#ifdef __cpp_rtti
        const char* const text = typeid(Tracer).name();
        return *text == '*' ? text + 1 : text; // of a type that has a name in one file only
#else
        return nullptr;
#endif
    }
    static constexpr std::uint64_t current() noexcept { return build_number<compute()>; }
    static constexpr std::uint64_t compute() noexcept {
        std::uint64_t value = hash(0xcbf29ce484222325U, version());
        for (const std::size_t size : {sizeof(span_data), sizeof(trace_data), sizeof(open_trace), sizeof(recorder),
                                       sizeof(owned_text), std::size_t{MLFLOW_TRACE_HAS_EXCEPTIONS}})
            value = (value ^ size) * 0x100000001b3U;
        return (mark >> 32U << 32U) | (value >> 32U);
    }

    static constexpr const void* here() noexcept { return &part_of_program<Tracer, compute()>; }
    static inline constinit atomic<const void*> known_{nullptr}; // another part, which was found to be alike

    std::uint64_t build_;
    const void* on_; // null: nothing is recorded
    const char* version_;
    const char* type_;
    const void* part_;
    const char* name_;
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

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
