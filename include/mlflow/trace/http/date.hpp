// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Seconds since 1970 of an IMF-fixdate (RFC 9110, 5.6.7), such as `Sun, 06 Nov 1994 08:49:37 GMT`. The calculation is
// Howard Hinnant's days_from_civil, https://howardhinnant.github.io/date_algorithms.html.
constexpr std::optional<std::int64_t> parse_http_date(std::string_view text) noexcept {
    constexpr std::string_view form = "Sun, 00 Nov 0000 00:00:00 GMT";
    constexpr std::string_view months = "JanFebMarAprMayJunJulAugSepOctNovDec";
    if (text.size() != form.size()) return std::nullopt;
    for (const unsigned at : {3U, 4U, 7U, 11U, 16U, 19U, 22U, 25U, 26U, 27U, 28U})
        if (text[at] != form[at]) return std::nullopt;
    const auto number = [text](std::size_t at, std::size_t digits) -> std::int64_t {
        std::int64_t value = 0;
        for (std::size_t end = at + digits; at < end; ++at) {
            if (text[at] < '0' || text[at] > '9') return -1;
            value = value * 10 + (text[at] - '0');
        }
        return value;
    };
    const std::size_t found = months.find(text.substr(8, 3));
    const std::int64_t day = number(5, 2);
    const std::int64_t year = number(12, 4);
    const std::int64_t hour = number(17, 2);
    const std::int64_t minute = number(20, 2);
    const std::int64_t second = number(23, 2);
    if (found == std::string_view::npos || found % 3 != 0 || day < 1 || day > 31 || year < 1970 || hour < 0 ||
        hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) // 60 is a leap second
        return std::nullopt;
    const auto month = static_cast<std::int64_t>(found / 3 + 1);
    const bool is_leap_year = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > (month == 2 ? is_leap_year ? 29 : 28 : 30 + (month + month / 8) % 2)) return std::nullopt;
    const std::int64_t shifted_year = month <= 2 ? year - 1 : year; // a year that begins in March
    const std::int64_t era = shifted_year / 400;
    const std::int64_t year_of_era = shifted_year - era * 400;
    const std::int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    const std::int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    const std::int64_t days = era * 146'097 + day_of_era - 719'468;
    return ((days * 24 + hour) * 60 + minute) * 60 + second;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
