// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

constexpr bool is_plain_authority(std::string_view text) noexcept {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    std::size_t end = text.size(); // of the host
    while (end > 0 && is_digit(text[end - 1])) --end;
    end = end > 0 && text[end - 1] == ':' ? end - 1 : text.size();
    std::string_view host = text.substr(0, end);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        for (const char c : host.substr(1, host.size() - 2))
            if (!is_digit(c) && !is_letter(c) && c != ':' && c != '.') return false;
        return true;
    }
    for (const char c : host)
        if (!is_digit(c) && !is_letter(c) && c != '.' && c != '-' && c != '_' && c != ' ') return false;
    return !host.empty();
}

// A URL from outside as it is shown in an error message: without user information and the text before it, and without
// query and fragment, which may contain keys and passwords. It is `http://…` where these parts cannot be
// distinguished. A password may contain an unencoded `/`, `?` or `#`, and its `@` may be encoded, so the last `@`
// counts.
inline std::string shown_url(std::string_view given) {
    std::string printable(given);
    for (char& c : printable)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    std::string_view url = printable;
    if (url.empty()) return {};
    constexpr std::string_view hidden = "\xE2\x80\xA6"; // an ellipsis
    std::string shown;
    if (const auto scheme_end = url.find("://"); scheme_end != std::string_view::npos) {
        const auto scheme = url.substr(0, scheme_end);
        if (!is_plain_authority(scheme) || scheme.find(':') != std::string_view::npos) return std::string(hidden);
        shown = std::string(scheme) + "://";
        url.remove_prefix(scheme_end + 3);
    }
    std::size_t user_end = 0;
    bool is_encoded = false;
    for (std::size_t at = 0; at < url.size(); ++at) {
        if (url[at] == '@') user_end = at + 1, is_encoded = false;
        else if (url.substr(at).starts_with("%40")) user_end = at + 3, is_encoded = true;
    }
    const auto query = url.find_first_of("?#");
    if (is_encoded || (query != std::string_view::npos && user_end > query)) return shown.append(hidden);
    if (user_end > 0) shown.clear();
    url = url.substr(user_end, query == std::string_view::npos ? query : query - user_end);
    const auto path = url.find('/');
    const bool is_path = shown.empty() && path == 0 && user_end == 0; // the target of a redirect on the same server
    if (!is_path && !is_plain_authority(url.substr(0, path))) return shown.append(hidden);
    return shown.append(url);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
