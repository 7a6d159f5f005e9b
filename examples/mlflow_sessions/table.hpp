// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "columns.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>
#include <vector>

// Prints rows as a table that fits the terminal. IDs and times are never truncated, because they are copied. Texts
// are shortened first, then the least important columns are left out; if that is not enough, each row is printed as a
// card.
namespace table {

inline bool is_terminal(int file) { return ::isatty(file) == 1; }

// `1 span`, `2 spans`
template <class Number>
std::string counted(Number number, std::string_view what) {
    return std::to_string(number) + ' ' + std::string(what) + (number == 1 ? "" : "s");
}

inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();

// The width of the terminal, or COLUMNS; unlimited if there is neither, as in a pipe.
inline std::size_t width_of_terminal() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char* const columns = std::getenv("COLUMNS");
    const auto told = columns ? std::strtoul(columns, nullptr, 10) : 0;
    return told > 0 ? told : no_limit;
}

inline bool is_in_colour() {
    const char* const no_colour = std::getenv("NO_COLOR"); // no-color.org: set and not empty
    return is_terminal(STDOUT_FILENO) && !(no_colour && *no_colour);
}
inline std::string coloured(std::string_view text, std::string_view colour) {
    return colour.empty() || !is_in_colour() ? std::string(text)
                                             : std::string(colour) + std::string(text) + "\033[0m";
}
inline constexpr std::string_view bold = "\033[1m";
inline constexpr std::string_view faint = "\033[2m";
inline constexpr std::string_view red = "\033[31m";
inline constexpr std::string_view yellow = "\033[33m";

// A terminal link (OSC 8). Without an address, or if the output is not a capable terminal, only the text.
inline std::string linked(std::string text, const std::string& address) {
    const char* const terminal = std::getenv("TERM");
    const std::string_view name = terminal ? terminal : "dumb";
    if (address.empty() || !is_terminal(STDOUT_FILENO) || name == "dumb" || name == "linux") return text;
    return "\033]8;;" + address + "\033\\" + text + "\033]8;;\033\\";
}

struct options {
    std::vector<std::string> columns{}; ///< only these, in this order; empty: all that fit
    std::vector<std::string> kept{};    ///< never left out
    std::size_t width = width_of_terminal();
    /// The URL for a value in this column; empty: none.
    std::function<std::string(const column&, const json&)> address{};
    bool has_hint = is_terminal(STDOUT_FILENO); ///< mention the columns that are left out
};

inline constexpr std::size_t most_of_id = 40;   ///< columns; a longer ID gets its own line
inline constexpr std::size_t most_of_text = 80; ///< columns, in a table without limit
inline constexpr std::size_t least_of_text = 16;

inline std::size_t total_of(const std::vector<column>& columns) {
    std::size_t sum = columns.empty() ? 0 : columns.size() - 1;
    for (const column& one : columns) sum += one.width;
    return sum;
}

// Throws if a name does not refer to a column.
inline std::vector<column> chosen(const std::vector<column>& all, const std::vector<std::string>& names) {
    if (names.empty()) return all;
    std::vector<column> found;
    for (const std::string& name : names) {
        const auto one = std::find_if(all.begin(), all.end(), [&](const column& c) { return c.is_called(name); });
        if (one != all.end()) {
            found.push_back(*one);
            continue;
        }
        std::string known;
        for (const column& c : all)
            known += (known.empty() ? "" : ", ") + (c.inner ? c.outer + '.' + *c.inner : c.outer);
        throw std::runtime_error("--columns: unknown column " + name + "; columns: " + known);
    }
    return found;
}

// Shortens texts first, down to a minimum width, then removes columns, which are returned.
inline std::vector<column> fit(std::vector<column>& columns, std::size_t limit, bool may_drop) {
    std::vector<column> dropped;
    for (column& one : columns)
        if (one.how == kind::text) one.width = std::min(one.width, limit == no_limit ? most_of_text : limit);
    while (total_of(columns) > limit) {
        const auto is_wider = [](const column& a, const column& b) {
            const auto room = [](const column& c) {
                const std::size_t least = std::max(std::min(least_of_text, c.width), width_of(c.head));
                return c.is_whole() || c.is_number || c.width <= least ? 0 : c.width;
            };
            return room(a) < room(b);
        };
        column& widest = *std::max_element(columns.begin(), columns.end(), is_wider);
        if (is_wider({"", {}, "", kind::id}, widest)) {
            --widest.width;
            continue;
        }
        const auto last = std::max_element(columns.rbegin(), columns.rend(),
                                           [](const column& a, const column& b) { return a.rank < b.rank; });
        if (!may_drop || last->rank == 0) break;
        dropped.push_back(*last);
        columns.erase(std::next(last).base());
    }
    return dropped;
}

inline std::string_view colour_of(const column& one, const std::string& text) {
    if (one.outer == "status") return text == "ERROR" ? red : "";
    return one.outer == "errors" && text != "0" ? red : "";
}

inline void print_cards(const std::vector<json>& rows, const std::vector<column>& columns, const options& how) {
    std::size_t widest = 0;
    for (const column& one : columns) widest = std::max(widest, std::min<std::size_t>(width_of(one.head), 24));
    widest = std::min(widest, how.width / 2);
    const std::size_t room = how.width > widest + 1 ? how.width - widest - 1 : 1;
    for (const json& row : rows) {
        if (&row != rows.data()) std::cout << '\n';
        for (const column& one : columns) {
            const json& value = one.value_in(row);
            if (value.is_null()) continue;
            std::string text = one.text_in(row);
            if (!one.is_whole() && width_of(text) > room) text = fitted(text, room, false);
            // A long value that is not truncated has its own line, so that it can be copied without its head.
            std::cout << coloured(fitted(one.head, widest, false), bold) << (width_of(text) > room ? '\n' : ' ')
                      << linked(coloured(text, colour_of(one, text)), how.address ? how.address(one, value) : "")
                      << '\n';
        }
    }
}

inline void print_lines(const std::vector<json>& rows, const std::vector<column>& columns, const options& how) {
    std::string line;
    const auto end_line = [&line] {
        std::cout << line.substr(0, line.find_last_not_of(' ') + 1) << '\n';
        line.clear();
    };
    for (const column& one : columns) {
        if (&one != columns.data()) line += ' ';
        const std::string padding(one.width - std::min(one.width, width_of(one.head)), ' ');
        const std::string head = coloured(fitted(one.head, one.width - padding.size(), false), bold);
        line += one.is_number ? padding + head : head + padding;
    }
    end_line();
    for (const json& row : rows) {
        for (const column& one : columns) {
            const json& value = one.value_in(row);
            std::string text = one.text_in(row);
            const std::string address = how.address ? how.address(one, value) : "";
            if (&one != columns.data()) line += ' ';
            if (one.is_whole() && width_of(text) > one.width) { // as `df` does
                std::cout << (&one == columns.data() ? "" : one.head + ' ') << linked(text, address) << '\n';
                text = &one == columns.data() ? "" : "↑";
            }
            const auto colour = colour_of(one, text);
            const std::size_t width = std::min(width_of(text), one.width);
            const std::string padding(one.width - width, ' ');
            text = linked(coloured(fitted(text, width, false), colour), address);
            line += one.is_number ? padding + text : text + padding;
        }
        end_line();
    }
}

inline void print(std::vector<json> rows, const options& how = {}) {
    for (json& row : rows) // `users` includes the single user
        if (row.contains("users") && row["users"].is_array()) row.erase("user");
    if (rows.empty()) {
        std::cout << "nothing found\n";
        return;
    }
    std::vector<column> columns = chosen(columns_of(rows), how.columns);
    for (column& one : columns) {
        one.width = width_of(one.head);
        if (std::any_of(how.kept.begin(), how.kept.end(), [&](const auto& name) { return one.is_called(name); }))
            one.rank = 0;
        for (const json& row : rows) {
            const json& value = one.value_in(row);
            std::size_t width = width_of(one.text_in(row));
            if (one.how == kind::id) width = std::min({width, most_of_id, how.width});
            one.width = std::max(one.width, width);
            one.is_number = one.is_number && (value.is_number() || value.is_null() || one.how == kind::figure);
        }
    }
    const std::vector<column> all = columns;
    auto dropped = fit(columns, how.width, how.columns.empty());
    if (total_of(columns) > how.width || (columns.size() < 3 && all.size() > 4)) {
        print_cards(rows, all, how);
        return;
    }
    print_lines(rows, columns, how);
    if (dropped.empty() || !how.has_hint) return;
    std::string names;
    for (const column& one : all)
        if (std::any_of(dropped.begin(), dropped.end(), [&](const column& c) { return c.head == one.head; }))
            names += (names.empty() ? "" : ", ") + (one.inner ? one.outer + '.' + *one.inner : one.outer);
    std::cout.flush();
    std::cerr << coloured("hidden: " + harmless(names) + " (use --columns or a wider terminal)", faint) << '\n';
}

} // namespace table
