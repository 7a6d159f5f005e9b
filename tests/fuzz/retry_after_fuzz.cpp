// SPDX-License-Identifier: Apache-2.0
// Any bytes as `Retry-After` and `Date`: a wait is never negative, and a date is read as the calendar has it. A
// libFuzzer target.
#include "properties.hpp"
#include <mlflow/trace/http/mlflow_reply.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
namespace chr = std::chrono;

// The same second as another calendar writes it.
std::string written(std::int64_t unix_seconds) {
    const chr::sys_seconds time{chr::seconds(unix_seconds)};
    const auto day = chr::floor<chr::days>(time);
    const chr::year_month_day date(day);
    const chr::hh_mm_ss clock(time - day);
    constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char text[64];
    std::snprintf(text, sizeof text, "%02u %s %04d %02d:%02d:%02d GMT", unsigned(date.day()),
                  months[unsigned(date.month()) - 1], int(date.year()), int(clock.hours().count()),
                  int(clock.minutes().count()), int(clock.seconds().count()));
    return text;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    const std::string asked(in.take_text());
    const std::string date(in.take_text());
    const mt::http_response reply{503, {{"retry-after", asked}, {"date", date}}, {}};
    const auto wait = mt::detail::retry_after(reply);
    require(wait >= chr::milliseconds(0));
    if (const auto second = mt::detail::parse_http_date(asked)) {
        const bool is_regular = !asked.ends_with(":60 GMT"); // a leap second
        require(*second >= 0 && (!is_regular || asked.substr(5) == written(*second)));
    } else {
        const bool is_number = !asked.empty() && asked.find_first_not_of("0123456789") == std::string::npos;
        if (!is_number) require(wait.count() == 0);
        else if (asked.size() <= 18) require(wait == chr::seconds(std::min(86'401L, std::stol(asked))));
    }
    return 0;
}
