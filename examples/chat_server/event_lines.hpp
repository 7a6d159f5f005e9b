// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

/// Parses the fields of Server-Sent Events (WHATWG HTML, 9.2.6) from bytes that may be split anywhere. A line ends
/// with LF, CR LF or CR. Comments are ignored. The caller removes a byte order mark.
class event_lines {
public:
    /// Calls `on_field(name, value)` for each field, and `on_blank()` for the blank line after an event.
    template <class OnField, class OnBlank>
    void write(std::string_view bytes, OnField&& on_field, OnBlank&& on_blank) {
        if (std::exchange(is_behind_cr_, is_behind_cr_ && bytes.empty()) && bytes.starts_with('\n'))
            bytes.remove_prefix(1);
        while (!bytes.empty()) {
            const std::size_t end = bytes.find_first_of("\r\n");
            line_ += bytes.substr(0, end);
            if (end == std::string_view::npos) return;
            const bool is_cr = bytes[end] == '\r';
            bytes.remove_prefix(end + 1);
            take(std::exchange(line_, {}), on_field, on_blank);
            if (!is_cr) continue;
            if (bytes.empty()) is_behind_cr_ = true;
            else if (bytes.starts_with('\n')) bytes.remove_prefix(1);
        }
    }
    /// Processes a last line without an end. The standard drops it, but some servers close the connection early.
    template <class OnField>
    void end(OnField&& on_field) {
        take(std::exchange(line_, {}), on_field, [] {});
    }
    /// The text of the current line.
    [[nodiscard]] const std::string& line() const { return line_; }

private:
    template <class OnField, class OnBlank>
    static void take(const std::string& whole, OnField& on_field, OnBlank&& on_blank) {
        const std::string_view line = whole;
        if (line.empty()) return on_blank();
        if (line.starts_with(':')) return;
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) return on_field(line, std::string_view{});
        const std::string_view value = line.substr(colon + 1);
        on_field(line.substr(0, colon), value.starts_with(' ') ? value.substr(1) : value);
    }

    std::string line_;
    bool is_behind_cr_ = false; // an LF may belong to it
};

} // namespace chat_server
