// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/displayed.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How texts are written in CSV. Spreadsheets treat a text that begins with `= + - @`, a tab or a newline as a
/// formula, and a formula can send the content of other cells elsewhere.
enum class csv_texts : bool {
    for_spreadsheets, ///< an apostrophe is written before such texts, so that spreadsheets treat them as text
    exact             ///< unchanged, for other programs
};

namespace detail {

// As spreadsheets do, it skips spaces and treats full-width characters like ASCII.
inline bool is_formula(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const utf8_step step = decode_utf8(suffix_from(text, at));
        const std::uint32_t c = step.code_point;
        const std::uint32_t narrow = c >= 0xFF01 && c <= 0xFF5E ? c - 0xFEE0 : c;
        if (narrow == '=' || narrow == '+' || narrow == '-' || narrow == '@' || c == 0x2212) return true;
        if (c == '\t' || c == '\r' || c == '\n') return true;
        if (c != ' ' && c != 0x00A0 && c != 0x3000 && !is_hidden(c)) return false;
        at += step.length;
    }
    return false;
}

} // namespace detail

/// A row of CSV (RFC 4180): texts in quotes, null as an empty field, lists and objects as JSON text. With `names`,
/// the header row.
template <class Json>
[[nodiscard]] std::string csv_line(const Json& row, bool names = false,
                                   csv_texts texts = csv_texts::for_spreadsheets) {
    std::string line;
    for (const auto& [name, value] : row.items()) {
        if (!line.empty()) line += ',';
        if (!names && value.is_null()) {
            if (line.empty()) line += "\"\""; // an empty first field
            continue;
        }
        if (!names && (value.is_number() || value.is_boolean())) {
            line += value.dump();
            continue;
        }
        const std::string text = names               ? std::string(name)
                                 : value.is_string() ? value.template get<std::string>()
                                                     : value.dump(-1, ' ', false, Json::error_handler_t::replace);
        line += '"';
        if (texts == csv_texts::for_spreadsheets && detail::is_formula(text)) line += '\'';
        for (const char c : text) line.append(c == '"' ? 2 : 1, c);
        line += '"';
    }
    return line + "\r\n";
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
