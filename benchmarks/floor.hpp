// SPDX-License-Identifier: Apache-2.0
// The floor: the bytes of the library's spans, written by hand. No pool, context, limit, check, lock or hand-over,
// and each text may be read past its end. JSON is escaped by the instruction set that the library uses on this
// processor.
#pragma once

#include "floor_escape.hpp"
#include "workload.hpp"
#include <mlflow/trace.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

namespace benchmarks {

struct span_start {
    std::uint64_t trace_high, trace_low, id, parent; // 0: no parent
    std::uint64_t nano;
};

// Where the floor takes times and IDs from: a clock, and a multiplicative generator.
template <class Clock>
struct counted_ids {
    std::uint64_t state = 1;
    std::uint64_t wall_ahead = 1'700'000'000'000'000'000U;

    std::uint64_t next() noexcept {
        state += 0xa0761d6478bd642fU;
        return state * (state ^ 0xe7037ed1a0b428dbU);
    }
    std::uint64_t now() const noexcept { return Clock::now() + wall_ahead; }
};
struct kernel_clock {
    static std::uint64_t now() noexcept { return mlflow::trace::hosted_platform::monotonic_nano(); }
};
#if defined(__x86_64__)
struct cycle_clock {
    static std::uint64_t now() noexcept { return __builtin_ia32_rdtsc(); }
};
#else
using cycle_clock = kernel_clock;
#endif

namespace by_hand {

inline char* put(char* to, std::uint64_t value) noexcept {
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}
inline char* put_id(char* to, std::uint64_t id) noexcept { return put(to, __builtin_bswap64(id)); }

template <std::size_t Size>
char* put_bytes(char* to, const char (&bytes)[Size]) noexcept {
    std::memcpy(to, bytes, Size - 1);
    return to + Size - 1;
}

// A length of four bytes, as the library writes those that it does not know yet.
inline void put_length(char* to, std::size_t size) noexcept {
    const auto n = static_cast<std::uint32_t>(size);
    const std::uint32_t spread =
        (n & 0x7FU) | (n & 0x3F80U) << 1U | (n & 0x1FC000U) << 2U | (n & 0xFE00000U) << 3U | 0x808080U;
    std::memcpy(to, &spread, sizeof spread);
}

// The tag of an attribute, its size, and its key.
template <std::size_t Size>
char* put_key(char* to, const char (&key)[Size]) noexcept {
    to[0] = 0x4a;
    to[2] = 0x0a;
    to[3] = Size - 1;
    std::memcpy(to + 4, key, Size - 1);
    to[3 + Size] = 0x12;
    return to + 5 + Size;
}

template <std::size_t Size>
char* put_text(char* to, const char (&key)[Size], std::string_view text) noexcept {
    char* const value = put_key(to, key);
    to[1] = static_cast<char>(Size + 5 + text.size());
    value[-1] = static_cast<char>(2 + text.size());
    value[0] = 0x0a;
    value[1] = static_cast<char>(text.size());
    return mlflow::trace::detail::copy_short(value + 2, text).end;
}

template <std::size_t Size>
char* put_integer(char* to, const char (&key)[Size], std::int64_t integer) noexcept {
    char* const value = put_key(to, key);
    value[0] = 0x18;
    char* at = value + 1;
    auto rest = static_cast<std::uint64_t>(integer);
    for (; rest >= 0x80; rest >>= 7U) *at++ = static_cast<char>(rest | 0x80U);
    *at++ = static_cast<char>(rest);
    to[1] = static_cast<char>(at - to - 2);
    value[-1] = static_cast<char>(at - value);
    return at;
}

template <std::size_t Size>
char* put_json(char* to, const char (&key)[Size], std::string_view text) noexcept {
    to[0] = 0x4a;
    to[5] = 0x12;
    to[10] = 0x0a;
    to[15] = '"';
    char* at = escape(to + 16, text);
    *at++ = '"';
    const auto size = static_cast<std::size_t>(at - to - 15);
    at[0] = 0x0a;
    at[1] = Size - 1;
    std::memcpy(at + 2, key, Size - 1);
    at += 1 + Size;
    put_length(to + 1, static_cast<std::size_t>(at - to - 5));
    put_length(to + 6, size + 5);
    put_length(to + 11, size);
    return at;
}

inline char* put_start(char* to, const span_start& span, std::string_view name, std::string_view type) noexcept {
    to = put_bytes(to, "\x0a\x10");
    to = put_id(put_id(to, span.trace_high), span.trace_low);
    to = put_id(put_bytes(to, "\x12\x08"), span.id);
    if (span.parent != 0) to = put_id(put_bytes(to, "\x22\x08"), span.parent);
    to = put(put_bytes(to, "\x30\x01\x39"), span.nano);
    to[0] = 0x2a;
    to[1] = static_cast<char>(name.size());
    return put_text(mlflow::trace::detail::copy_short(to + 2, name).end, "mlflow.spanType", type);
}

inline char* put_end(char* to, std::int64_t level, std::uint64_t nano) noexcept {
    to = put_integer(to, "mlflow.spanLogLevel", level);
    return put(put_bytes(to, "\x7a\x02\x18\x01\x41"), nano);
}

template <class Now>
char* llm_span(char* to, const span_start& span, std::string_view name, const text_pairs& texts, Now&& now) noexcept {
    const attribute_values& value = values();
    to = put_start(to, span, name, value.type);
    to = put_text(to, "gen_ai.system", value.system);
    to = put_text(to, "gen_ai.request.model", value.model);
    to = put_text(to, "gen_ai.operation.name", value.operation);
    to = put_text(to, "app.session_of_the_call", value.session);
    to = put_integer(to, "gen_ai.usage.input_tokens", value.input_tokens);
    to = put_integer(to, "gen_ai.usage.output_tokens", value.output_tokens);
    to = put_integer(to, "gen_ai.usage.total_tokens", value.total_tokens);
    to = put_json(to, "mlflow.spanInputs", texts.inputs());
    to = put_json(to, "mlflow.spanOutputs", texts.outputs());
    return put_end(to, 20, now());
}

template <class Now>
char* bare_span(char* to, const span_start& span, Now&& now) noexcept {
    return put_end(put_start(to, span, "chat_completion", "UNKNOWN"), 10, now());
}

} // namespace by_hand

// Writes spans one after another into so many bytes, again and again. 64 KiB stay in the cache, as the blocks of the
// library's pool do.
template <class Clock, std::size_t Bytes = std::size_t{1} << 16U>
class floor_writer {
public:
    floor_writer() : ring_(size + 16'384, 1) {}

    void llm_trace(text_pairs& texts) noexcept {
        const std::uint64_t high = from_.next();
        const std::uint64_t low = from_.next();
        std::uint64_t parent = 0;
        for (const std::string_view name : span_names) {
            const span_start span{high, low, from_.next(), parent, from_.now()};
            char* const begin = place();
            texts.advance();
            leave(by_hand::llm_span(begin, span, name, texts, [&] { return from_.now(); }) - begin);
            parent = span.id;
        }
    }
    void bare_root() noexcept { bare(0); }
    void bare_child() noexcept { bare(1); }

private:
    static constexpr std::size_t size = Bytes;

    void bare(std::uint64_t parent) noexcept {
        const span_start span{parent ? 1 : from_.next(), parent ? 2 : from_.next(), from_.next(), parent,
                              from_.now()};
        char* const begin = place();
        leave(by_hand::bare_span(begin, span, [&] { return from_.now(); }) - begin);
    }
    char* place() noexcept { return ring_.data() + (used_ & (size - 1)); }
    void leave(std::ptrdiff_t written) noexcept {
        used_ += (static_cast<std::size_t>(written) + 63U) & ~std::size_t{63};
        asm volatile("" : : "r"(ring_.data()) : "memory");
    }

    std::vector<char> ring_;
    std::size_t used_ = 0;
    counted_ids<Clock> from_;
};

} // namespace benchmarks
