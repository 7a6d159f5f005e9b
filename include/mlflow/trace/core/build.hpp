// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

#ifdef __cpp_rtti
#include <typeinfo>
#endif

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

constexpr std::uint64_t hash(std::uint64_t value, std::string_view text) noexcept { // FNV-1a
    for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    return value;
}

template <std::uint64_t Number>
inline constexpr std::uint64_t build_number = Number; // forces the number to be computed at compile time

// The address of this variable differs between builds, and between parts of the program that are linked separately.
template <class Tracer, std::uint64_t Build>
inline constexpr char part_of_program = 0;

// Returns whether two printed type names are the same template with the same arguments. Arguments of these arguments
// are ignored, because compilers differ in whether they print default arguments.
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
        if (c == '\0' || other == '\0') return true; // trailing default arguments may be omitted
        if (c != other) return false;
    }
}

// The first member of a tracer. It identifies the part of the program that made the tracer, and the version and build
// of the library. A part loaded at run time may have been built with another layout of the tracer, so the members of
// this class never move.
template <class Tracer>
class full_build_stamp {
public:
    explicit full_build_stamp(bool is_on) noexcept
        : build_(current()), on_(is_on ? here() : nullptr), version_(version()), type_(type()), part_(here()),
          name_(name()) {}

    [[nodiscard]] bool is_on() const noexcept { return on_ == here() || (on_ && is_alike()); }
    [[nodiscard]] bool is_of_this_build() const noexcept {
        return (build_ == current() && part_ == here()) || is_alike();
    }

    // Describes, for the error message, how the two builds differ.
    [[nodiscard]] owned_text difference() const {
        std::string text = "the tracer (made by ";
        if (is_stamp(build_)) text.append(version_).append(" as ").append(tracer_in(type_));
        else text += "an older version, or not a tracer";
        return text.append("; used by ").append(version()).append(" as ").append(tracer_in(type())).append(")");
    }

private:
    static constexpr std::uint64_t mark = 0x6d6c747261636532U; // the upper half identifies a stamp
    static constexpr bool is_stamp(std::uint64_t build) noexcept { return build >> 32U == mark >> 32U; }

    // Returns whether another part of the program made the tracer with the same build of the library.
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
    // Extracts the tracer's type from __PRETTY_FUNCTION__.
    static constexpr std::string_view tracer_in(std::string_view type) noexcept {
        const auto name = type.find("Tracer = ");
        return name == type.npos ? type : type.substr(name + 9, type.rfind(']') - name - 9);
    }
    // The mangled name of the tracer's type, which has only one spelling. Null in a program built without RTTI.
    static const char* name() noexcept {
#ifdef __cpp_rtti
        const char* const text = typeid(Tracer).name();
        return *text == '*' ? text + 1 : text; // g++ marks names of types with internal linkage with '*'
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
    static inline constinit atomic<const void*> known_{nullptr}; // the other part that was last found to be alike

    std::uint64_t build_;
    const void* on_; // null: recording is off
    const char* version_;
    const char* type_;
    const void* part_;
    const char* name_;
};

// A freestanding program has only one part.
template <class Tracer>
class empty_build_stamp {
public:
    explicit empty_build_stamp(bool is_on) noexcept : is_on_(is_on) {}
    [[nodiscard]] bool is_on() const noexcept { return is_on_; }
    [[nodiscard]] static constexpr bool is_of_this_build() noexcept { return true; }
    [[nodiscard]] static constexpr owned_text difference() noexcept { return {}; }

private:
    bool is_on_;
};

template <class Tracer>
using build_stamp = std::conditional_t<machine::has_threads, full_build_stamp<Tracer>, empty_build_stamp<Tracer>>;

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
