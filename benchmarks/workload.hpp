// SPDX-License-Identifier: Apache-2.0
// What every library under measurement records: LLM spans with a name, five string and three integer attributes, and
// two texts of 500 bytes with 65 JSON escapes together. A trace is four of them, three deep. The texts differ, so
// that the processor cannot learn where the escapes are.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace benchmarks {

inline constexpr std::array<std::string_view, 4> span_names{"agent_run", "plan_step", "chat_completion",
                                                            "tool:search_docs"};
inline constexpr std::string_view user_id = "user-1042";
inline constexpr std::string_view session_id = "sess-7f3c9a1e-42d5-4b7e";

// Values that the compiler does not know: they are read through a pointer that it cannot follow.
struct attribute_values {
    std::string_view type = "CHAT_MODEL";
    std::string_view system = "anthropic";
    std::string_view model = "claude-sonnet-4-20250514";
    std::string_view operation = "chat";
    std::string_view session = session_id;
    std::int64_t input_tokens = 1234;
    std::int64_t output_tokens = 256;
    std::int64_t total_tokens = 1490;
};
inline attribute_values unknown_values{};
inline const attribute_values& values() noexcept {
    const attribute_values* opaque = &unknown_values;
    asm volatile("" : "+r"(opaque) : : "memory");
    return *opaque;
}

inline constexpr std::size_t text_size = 500;
inline constexpr std::size_t escapes_of_inputs = 44;
inline constexpr std::size_t escapes_of_outputs = 21;

// A JSON object of 500 bytes with this number of quotes and backslashes: pairs of four quotes each, and line feeds.
inline std::string json_text(std::size_t escapes, std::uint32_t& random) {
    constexpr std::string_view letters = "etaoinshrdlcumwfgypbvkxjqz";
    const auto next = [&](std::uint32_t below) {
        random = random * 1664525U + 1013904223U;
        return (random >> 8U) % below;
    };
    const auto word = [&](std::string& text, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) text += i % 6 == 5 ? ' ' : letters[next(26)];
    };
    const std::size_t pairs = escapes / 4;
    const std::size_t share = (text_size - 2) / pairs; // of a pair, with its six signs
    std::string text = "{";
    for (std::size_t pair = 0; pair < pairs; ++pair) {
        const std::size_t line_feeds = pair == 0 ? escapes % 4 : 0;
        const bool is_last = pair + 1 == pairs;
        const std::size_t end =
            is_last ? text_size - 1 : 1 + share * pair + share / 2 + next(static_cast<std::uint32_t>(share / 2));
        text += '"';
        word(text, 2 + next(5));
        text += "\":\"";
        for (std::size_t i = 0; i < line_feeds; ++i) text += "\\n";
        const std::size_t closing = is_last ? 1 : 2;
        if (text.size() + closing < end) word(text, end - closing - text.size());
        text += is_last ? "\"" : "\",";
    }
    return text + '}';
}

// Behind each text stand spaces that may be read.
class text_pairs {
public:
    static constexpr std::size_t count = 512;
    static constexpr std::size_t padding = 140;

    text_pairs() : bytes_(2 * count * stride, ' ') {
        std::uint32_t random = 1;
        for (std::size_t i = 0; i < 2 * count; ++i)
            json_text(i % 2 == 0 ? escapes_of_inputs : escapes_of_outputs, random).copy(&bytes_[i * stride], stride);
    }
    // Goes to the next pair.
    void advance() noexcept { at_ = (at_ + 1) % count; }
    [[nodiscard]] std::string_view inputs() const noexcept { return {&bytes_[2 * at_ * stride], text_size}; }
    [[nodiscard]] std::string_view outputs() const noexcept { return {&bytes_[(2 * at_ + 1) * stride], text_size}; }

private:
    static constexpr std::size_t stride = text_size + padding;
    std::vector<char> bytes_;
    std::size_t at_ = 0;
};

// Whether the texts are as the head of this file says.
inline bool texts_are_as_defined() {
    text_pairs texts;
    const auto escapes = [](std::string_view text) {
        std::size_t found = 0;
        for (const char c : text) found += c == '"' || c == '\\' ? 1U : 0U;
        return found;
    };
    for (std::size_t i = 0; i < text_pairs::count; ++i, texts.advance())
        if (texts.inputs().back() != '}' || texts.outputs().back() != '}' ||
            escapes(texts.inputs()) != escapes_of_inputs || escapes(texts.outputs()) != escapes_of_outputs)
            return false;
    return true;
}

} // namespace benchmarks
