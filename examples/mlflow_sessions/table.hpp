// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/text/displayed.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <tuple>
#include <unistd.h>
#include <utility>
#include <vector>

// Rows as a table that fits the terminal.
namespace table {

using json = nlohmann::ordered_json;

inline bool is_terminal(int file) { return ::isatty(file) == 1; }

// Columns of the terminal; wide where there is none, as in a pipe.
inline std::size_t width_of_terminal() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char* const columns = std::getenv("COLUMNS");
    const auto told = columns ? std::strtoul(columns, nullptr, 10) : 0;
    return told > 0 ? told : 160;
}

struct glyph {
    std::string_view bytes;
    std::size_t width;
};

// The first character of a text that is not empty. Chinese, Japanese, Korean and most emoji take two columns.
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

// Exactly that wide; what does not fit ends in an ellipsis.
inline std::string fitted(std::string_view text, std::size_t width, bool to_the_right) {
    const bool is_cut = width_of(text) > width;
    const std::size_t room = is_cut && width > 0 ? width - 1 : width;
    std::string shown;
    std::size_t used = 0;
    while (!text.empty()) {
        const auto next = first_glyph(text);
        if (used + next.width > room) break;
        shown += next.bytes;
        used += next.width;
        text.remove_prefix(next.bytes.size());
    }
    if (is_cut && width > 0) shown += "…", ++used;
    const std::string padding(width - used, ' ');
    return to_the_right ? padding + shown : shown + padding;
}

// Values, and names of feedback too, come from users: nothing in them may command the terminal.
inline std::string harmless(std::string_view text) { return mlflow::trace::detail::displayed(text); }

inline std::string cell(const json& value) {
    if (value.is_null()) return "-";
    if (value.is_string()) return harmless(value.get<std::string>());
    if (value.is_number_float()) {
        const double number = value.get<double>();
        char text[64];
        std::snprintf(text, sizeof text, number < 1 ? "%.4g" : number < 1000 ? "%.1f" : "%.0f", number);
        return text;
    }
    if (value.is_array()) { // texts, or feedback
        std::string all;
        for (const json& one : value) {
            all += all.empty() ? "" : ", ";
            if (!one.is_object()) all += cell(one);
            else if (const json& error = one.value("error", json()); !error.is_null())
                all += cell(one.value("name", json())) + " failed: " + cell(error);
            else all += cell(one.value("name", json())) + '=' + cell(one.value("value", json()));
        }
        return all.empty() ? "-" : all;
    }
    return harmless(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

// What stands where in a row. The members of an object within it are columns of their own: duration_ms.p95 is headed
// p95, and where another column has that head already, duration_ms.p95.
struct column {
    std::string outer;
    std::optional<std::string> inner; // none: the value of the row itself
    std::string head{};
    std::size_t width = 0;
    std::size_t width_of_values = 0;
    bool is_number = true;

    [[nodiscard]] const json& value_in(const json& row) const {
        static const json none;
        const auto found = row.find(outer);
        if (found == row.end()) return none;
        if (!inner) return found->is_object() ? none : *found;
        const auto member = found->is_object() ? found->find(*inner) : found->end();
        return member == found->end() ? none : *member;
    }
};

// Of all rows, in the order in which they come first.
inline std::vector<column> columns_of(const std::vector<json>& rows, std::size_t most) {
    std::vector<column> found;
    std::set<std::pair<std::string, std::optional<std::string>>> known;
    std::set<std::string> heads;
    const auto add = [&](const std::string& outer, const std::optional<std::string>& inner) {
        if (found.size() == most || !known.emplace(outer, inner).second) return;
        std::string head = harmless(inner.value_or(outer));
        if (heads.contains(head) && inner) head = harmless(outer + '.' + *inner);
        while (!heads.insert(head).second) head += '*';
        found.push_back({outer, inner, head, width_of(head)});
    };
    for (const json& row : rows)
        for (const auto& [name, value] : row.items()) {
            if (!value.is_object()) add(name, std::nullopt);
            else
                for (const auto& [inner, member] : value.items()) add(name, inner);
        }
    return found;
}

// Columns for which there is no room at a character each are left out.
inline void print(std::vector<json> rows) {
    for (json& row : rows) // one user is among all of them
        if (row.contains("users") && row["users"].is_array()) row.erase("user");
    if (rows.empty()) {
        std::cout << "nothing found\n";
        return;
    }
    const std::size_t limit = width_of_terminal();
    std::vector<column> columns = columns_of(rows, std::max<std::size_t>(1, (limit + 1) / 2));
    for (const json& row : rows)
        for (column& one : columns) {
            const json& value = one.value_in(row);
            one.width_of_values = std::max(one.width_of_values, width_of(cell(value)));
            one.width = std::max(one.width, one.width_of_values);
            one.is_number = one.is_number && (value.is_number() || value.is_null());
        }
    const auto total = [&] {
        std::size_t sum = columns.size() - 1;
        for (const column& one : columns) sum += one.width;
        return sum;
    };
    // Heads that are wider than what is below give way first, then the widest text, then the widest column of any
    // kind.
    while (total() > limit) {
        const auto narrower = [](const column& a, const column& b) {
            const auto rank = [](const column& c) {
                const bool is_slack = c.width > std::max<std::size_t>(c.width_of_values, 6);
                return std::tuple(is_slack, c.is_number || c.width <= 6 ? 0 : c.width, c.width);
            };
            return rank(a) < rank(b);
        };
        column& widest = *std::max_element(columns.begin(), columns.end(), narrower);
        if (widest.width <= 1) break;
        --widest.width;
    }
    const char* const no_colour = std::getenv("NO_COLOR"); // no-color.org: set, and not empty
    const bool in_colour = is_terminal(STDOUT_FILENO) && !(no_colour && *no_colour);
    const auto print_line = [&](auto text_of, auto colour_of) {
        std::string line;
        for (const column& one : columns) {
            const std::string text = text_of(one);
            const std::string_view colour = in_colour ? colour_of(text) : std::string_view();
            if (!line.empty()) line += ' ';
            line += std::string(colour) + fitted(text, one.width, one.is_number) + (colour.empty() ? "" : "\033[0m");
        }
        std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
    };
    print_line([](const column& one) { return one.head; }, [](const std::string&) { return "\033[1m"; });
    for (const json& row : rows)
        print_line([&](const column& one) { return cell(one.value_in(row)); },
                   [](const std::string& text) { return text == "ERROR" ? "\033[31m" : ""; });
}

} // namespace table
