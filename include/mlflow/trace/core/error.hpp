// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/displayed.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// What a check found wrong with a value.
enum class fault : std::uint8_t {
    none,
    absent,            ///< no value at all: a null pointer, or a required key that nobody gave
    empty,             ///< ""
    too_long,          ///< more code points than the key takes
    control_character, ///< C0 (with NUL, tab and newline), DEL or C1
    invalid_utf8,
    not_allowed,   ///< refused by the key's own check
    out_of_range,  ///< a number that MLflow cannot store
    already_set,   ///< metadata is written once, and this is another value
    not_in_schema, ///< the tracer's schema does not have this key
    reserved,      ///< a key that the library writes itself, or that MLflow's search rewrites
    no_open_trace, ///< nothing to update: no trace is open here, or it has ended
    not_made,      ///< the application's code that makes or writes the value threw, or said that it failed
    span_ended,    ///< that code ended the span for which the value was
    interleaved,   ///< traces of one tracer take turns where one thing at a time can be current
    not_on_stack,  ///< what is to be current is in a coroutine's frame, on a fiber's stack, or on the heap
    another_build, ///< the tracer was made by a part of the program with another version or build of the library
    malformed,     ///< a header is not of the form that its specification says
    repeated,      ///< a header or a member that may stand once is given again
    too_large,     ///< a header is over the limits of its specification
    unproven,      ///< the seal of a sender is not one that is known here, or has expired
    out_of_memory
};

/// A value that was refused: which key, what is wrong with it, and what to do about it. Never holds the value itself.
struct check_error {
    fault what = fault::none;
    std::string_view key;   ///< static storage, or the caller's own text
    std::size_t actual = 0; ///< code points found (too_long), or byte position of the fault
    std::size_t limit = 0;  ///< code points allowed (too_long)

    /// One line for a person: `mlflow.trace.user: 300 characters, at most 250; shorten or hash the ID`.
    [[nodiscard]] std::string message() const {
        std::string text = detail::displayed(key, 300); // the name may come from outside too
        text += ": ";
        switch (what) {
        case fault::none: text += "no fault"; break;
        case fault::absent:
            text += "no value; give one, or say that there is none (mt::anonymous, mt::no_session)";
            break;
        case fault::empty:
            text += "empty; leave it out, or say that there is none (mt::anonymous, mt::no_session)";
            break;
        case fault::too_long:
            text += std::to_string(actual) + " characters, at most " + std::to_string(limit) +
                    "; shorten or hash it (it is never cut for you)";
            break;
        case fault::control_character:
            text += "control character at byte " + std::to_string(actual) + "; remove it";
            break;
        case fault::invalid_utf8: text += "invalid UTF-8 at byte " + std::to_string(actual) + "; send UTF-8"; break;
        case fault::not_allowed: text += "refused by the key's own check; see the declaration of the key"; break;
        case fault::out_of_range: text += "a number that MLflow cannot store; give finite numbers below 2^63"; break;
        case fault::already_set:
            text += "already set to another value; metadata is written once, use a tag for what changes";
            break;
        case fault::not_in_schema: text += "not in the tracer's schema; add mt::optional<…> for it"; break;
        case fault::reserved:
            text += "reserved; use the library's own type or function for it, or another name";
            break;
        case fault::no_open_trace:
            text += "no open trace here; call it between the start and the end of a trace";
            break;
        case fault::not_made:
            text += "the code that makes this value threw, or said that it failed; the value was left out";
            break;
        case fault::span_ended:
            text += "the code that makes this value ended its span; the value was left out, end the span afterwards";
            break;
        case fault::interleaved:
            text +=
                "traces of one tracer take turns on one thread, and it cannot be known to whom a span belongs: what "
                "starts without being told its trace is recorded without a user from now on; in coroutines take "
                "mt::coroutine_context, and mt::branch for each branch of && and ||; in callbacks attach a "
                "captured context or take mt::explicit_context; and give start_trace an mt::nested where one "
                "trace is meant to be inside another";
            break;
        case fault::not_on_stack:
            text += "a span, scope or attached context is not a local variable of a function that runs on this "
                    "thread, and it cannot be known to whom a span belongs: what starts without being told its trace "
                    "is recorded without a user from now on; in coroutines take mt::coroutine_context, for objects "
                    "on the heap mt::explicit_context or trace.start_span()";
            break;
        case fault::another_build:
            text += "the tracer was made by a part of the program with another version or build of the library, and "
                    "nothing is recorded here; build both parts with the same version, compiler and options";
            break;
        case fault::malformed: text += wanted_form(); break;
        case fault::repeated: text += "given more than once; send it once"; break;
        case fault::too_large: text += "over 64 members or 8,192 bytes; propagate fewer or shorter values"; break;
        case fault::unproven:
            text += "the seal of the sender is not made with a key that is known here, has expired, or is of other "
                    "values; user and session were not taken from it, and the trace is one of its own";
            break;
        case fault::out_of_memory: text += "out of memory; the value was left out"; break;
        }
        return text;
    }

    friend constexpr bool operator==(const check_error&, const check_error&) noexcept = default;

private:
    [[nodiscard]] std::string_view wanted_form() const noexcept {
        if (key == "traceparent")
            return "not of the form 00-<32 digits>-<16 digits>-<2 digits>, hexadecimal in lower case and with no ID "
                   "of "
                   "zeros (https://www.w3.org/TR/trace-context-2/)";
        return "not a list of key=value, separated by commas (https://www.w3.org/TR/baggage/)";
    }
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
