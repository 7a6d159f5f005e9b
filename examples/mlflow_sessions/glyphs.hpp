// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/displayed.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Text as a terminal displays it.
namespace table {

struct glyph {
    std::string_view bytes;
    std::size_t width;
};

// The first character of a text, which must not be empty. Chinese, Japanese, Korean and most emoji take two columns.
inline glyph first_glyph(std::string_view text) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t size = std::min<std::size_t>(lead < 0xC0   ? 1
                                                   : lead < 0xE0 ? 2
                                                   : lead < 0xF0 ? 3
                                                                 : 4,
                                                   text.size());
    std::uint32_t code = size == 1 ? lead : lead & (0x7FU >> size);
    for (std::size_t i = 1; i < size; ++i) code = code << 6U | (static_cast<unsigned char>(text[i]) & 0x3FU);
    const bool is_wide = (code >= 0x1100 && code <= 0x115F) || (code >= 0x2E80 && code <= 0xA4CF) ||
                         (code >= 0xAC00 && code <= 0xD7A3) || (code >= 0xF900 && code <= 0xFAFF) ||
                         (code >= 0xFE30 && code <= 0xFE6F) || (code >= 0xFF00 && code <= 0xFF60) ||
                         (code >= 0x1F300 && code <= 0x1FAFF) || (code >= 0x20000 && code <= 0x3FFFD);
    const bool is_joined = code >= 0x0300 && code <= 0x036F;
    return {text.substr(0, size), is_joined ? 0U : is_wide ? 2U : 1U};
}

inline std::size_t width_of(std::string_view text) {
    std::size_t width = 0;
    for (; !text.empty(); text.remove_prefix(first_glyph(text).bytes.size())) width += first_glyph(text).width;
    return width;
}

// The longest beginning of a text that fits.
inline std::string_view head_of(std::string_view text, std::size_t width) {
    std::size_t bytes = 0;
    for (std::size_t used = 0; bytes < text.size();) {
        const auto next = first_glyph(text.substr(bytes));
        if (used += next.width; used > width) break;
        bytes += next.bytes.size();
    }
    return text.substr(0, bytes);
}

// A text of exactly this width. A longer text is truncated with an ellipsis.
inline std::string fitted(std::string_view text, std::size_t width, bool to_the_right) {
    const bool is_cut = width_of(text) > width;
    std::string shown(is_cut ? head_of(text, width > 0 ? width - 1 : 0) : text);
    if (is_cut && width > 0) shown += "…";
    const std::string padding(width - std::min(width, width_of(shown)), ' ');
    return to_the_right ? padding + shown : shown + padding;
}

// Lines of at most this width, broken at spaces where possible.
inline std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
    std::vector<std::string> lines;
    while (!text.empty()) {
        std::string_view line = head_of(text, std::max<std::size_t>(width, 2));
        if (line.size() < text.size() && text[line.size()] != ' ')
            if (const auto space = line.rfind(' '); space != std::string_view::npos && space > 0)
                line = line.substr(0, space);
        text.remove_prefix(line.size());
        lines.emplace_back(line.substr(0, line.find_last_not_of(' ') + 1));
        text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
    return lines;
}

// Values and names of feedback come from users, so control sequences for the terminal are escaped.
inline std::string harmless(std::string_view text) { return mlflow::trace::detail::displayed(text); }

// One block per number; its height is relative to the highest number. A 0 is a blank.
inline std::string sparkline(const std::vector<double>& numbers, double highest = 0) {
    constexpr std::string_view blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
    for (const double number : numbers) highest = std::max(highest, number);
    std::string line;
    for (const double number : numbers) {
        if (number <= 0 || highest <= 0) line += ' ';
        else line += blocks[std::min<std::size_t>(7, static_cast<std::size_t>(number / highest * 8))];
    }
    return line;
}

} // namespace table
