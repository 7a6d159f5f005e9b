// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <string>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

inline void append_padded(std::string& out, std::uint64_t value, int width) {
    std::string digits = std::to_string(value);
    if (digits.size() < static_cast<std::size_t>(width))
        out.append(static_cast<std::size_t>(width) - digits.size(), '0');
    out += digits;
}

struct civil_date {
    std::int64_t year, month, day;
};

// Howard Hinnant's civil_from_days, https://howardhinnant.github.io/date_algorithms.html.
constexpr civil_date civil_from_days(std::int64_t days_since_1970) noexcept {
    const std::int64_t shifted = days_since_1970 + 719'468; // days since 0000-03-01
    const std::int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
    const std::int64_t day_of_era = shifted - era * 146'097;
    const std::int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
    const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t month_from_march = (5 * day_of_year + 2) / 153;
    const std::int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
            day_of_year - (153 * month_from_march + 2) / 5 + 1};
}

// RFC 3339 in UTC with milliseconds, truncated: 2026-11-23T04:03:42.571Z.
inline std::string rfc3339(std::uint64_t unix_nano) {
    const std::uint64_t milliseconds = unix_nano / 1'000'000;
    const std::uint64_t seconds = milliseconds / 1000;
    const civil_date date = civil_from_days(static_cast<std::int64_t>(seconds / 86'400));

    std::string text;
    append_padded(text, static_cast<std::uint64_t>(date.year), 4);
    text += '-';
    append_padded(text, static_cast<std::uint64_t>(date.month), 2);
    text += '-';
    append_padded(text, static_cast<std::uint64_t>(date.day), 2);
    text += 'T';
    append_padded(text, seconds / 3600 % 24, 2);
    text += ':';
    append_padded(text, seconds / 60 % 60, 2);
    text += ':';
    append_padded(text, seconds % 60, 2);
    text += '.';
    append_padded(text, milliseconds % 1000, 3);
    return text += 'Z';
}

// Protobuf's JSON form of a Duration, in seconds with milliseconds: 0.042s.
inline std::string duration_seconds(std::uint64_t nano) {
    const std::uint64_t milliseconds = nano / 1'000'000;
    std::string text = std::to_string(milliseconds / 1000) + '.';
    append_padded(text, milliseconds % 1000, 3);
    return text += 's';
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
