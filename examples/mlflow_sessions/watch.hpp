// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "watch_figures.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace commands {

struct watch_options {
    std::string error_rate;
    std::string p95;
    std::optional<double> anonymous;
    std::optional<double> cost_per_user;
    std::size_t traces = 0;
    bool once = false;
    std::string length;
    std::string every = "10s";
};

// Parses a rate: 5%, 0.05. Throws otherwise.
inline double rate_of(const char* option, const std::string& text) {
    double number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    const std::string_view behind = std::string_view(text).substr(static_cast<std::size_t>(end - text.data()));
    const double rate = behind == "%" ? number / 100 : number;
    if (fault != std::errc{} || (!behind.empty() && behind != "%") || !(rate >= 0 && rate <= 1))
        throw CLI::ValidationError(option, "expected a rate: 5% or 0.05");
    return rate;
}
inline std::chrono::milliseconds length_of(const char* option, const std::string& text) {
    const auto length = mt::parse_length(text);
    if (!length || length->count() == 0) throw CLI::ValidationError(option, "expected a duration: 800ms, 2s, 10m");
    return *length;
}

inline watching::limits limits_of(const watch_options& how) {
    watching::limits most;
    if (!how.error_rate.empty()) most.error_rate = rate_of("--max-error-rate", how.error_rate);
    if (!how.p95.empty()) most.p95 = static_cast<double>(length_of("--max-p95", how.p95).count());
    most.anonymous = how.anonymous.value_or(-1);
    most.cost_per_user = how.cost_per_user.value_or(-1);
    most.traces = how.traces;
    return most;
}

inline json watch_row(const watching::figures& seen, const std::vector<std::string>& exceeded) {
    json row{{"since", mt::to_string(seen.since)},
             {"until", mt::to_string(seen.until)},
             {"traces", seen.all.interactions}};
    rows::add_activity(row, seen.all);
    const auto [user, cost] = seen.costliest();
    row["users"] = seen.cost.size();
    row["sessions"] = seen.sessions.size();
    row["sessions_without_user"] = seen.anonymous();
    row["costliest_user"] = user.empty() ? json() : json(user);
    row["costliest_user_cost"] = cost;
    row["exceeded"] = exceeded;
    return row;
}

// The output for people, line by line.
inline std::string watch_text(const watching::figures& seen, const watching::limits& most,
                              const std::vector<std::string>& exceeded) {
    std::ostringstream out;
    const auto& all = seen.all;
    const auto line = [&](std::string_view name, const std::string& value, const char* option,
                          const std::string& limit) {
        const bool is_over = std::find(exceeded.begin(), exceeded.end(), option) != exceeded.end();
        out << table::coloured(table::fitted(name, 11, false), table::bold)
            << table::coloured(value, is_over ? table::red : "");
        if (!limit.empty()) out << "  [" << limit << (is_over ? "  EXCEEDED]" : "]");
        out << '\n';
    };
    const auto chart = [](const auto& numbers) {
        return "  ▕" + table::sparkline({numbers.begin(), numbers.end()}) + "▏";
    };
    const auto milliseconds = [&](double percent) {
        std::string text = table::length_text(all.durations.percentile(percent));
        if (const auto around = mt::percentile_interval(all.durations, percent))
            text += " (" + table::length_text(around->low) + " – " + table::length_text(around->high) + ")";
        return text;
    };
    const auto rate = mt::wilson_interval(all.errors, all.interactions);
    const auto percent = [](double of) { return table::number_text(of * 100, "%.1f"); };
    out << table::time_text(mt::to_string(seen.since)) << " to " << table::time_text(mt::to_string(seen.until))
        << '\n';
    line("traces", std::to_string(all.interactions) + chart(seen.traces), "min-traces",
         most.traces > 0 ? "at least " + std::to_string(most.traces) : "");
    line("errors", std::to_string(all.errors) + (all.errors > 0 ? chart(seen.errors) : ""), "", "");
    line("error %",
         percent(all.error_rate()) +
             (all.interactions > 0 ? " (" + percent(rate.low) + " – " + percent(rate.high) + ")" : ""),
         "max-error-rate", most.error_rate >= 0 ? "at most " + percent(most.error_rate) : "");
    line("p50", milliseconds(50), "", "");
    line("p95", milliseconds(95), "max-p95", most.p95 >= 0 ? "at most " + table::length_text(most.p95) : "");
    line("users", std::to_string(seen.cost.size()), "", "");
    line("sessions",
         std::to_string(seen.sessions.size()) + ", " + std::to_string(seen.anonymous()) + " without a user",
         "max-anonymous", most.anonymous >= 0 ? "at most " + table::number_text(most.anonymous, "%.0f") : "");
    const auto [user, cost] = seen.costliest();
    line("cost",
         '$' + table::money_text(all.cost) +
             (cost > 0 ? ", most by " + table::harmless(user) + " $" + table::money_text(cost) : ""),
         "max-cost-per-user", most.cost_per_user >= 0 ? "at most $" + table::money_text(most.cost_per_user) : "");
    if (all.errors == 0) return out.str();
    line("failing", table::counted(seen.failing.size(), "user"), "", "");
    for (const auto& [name, count] : seen.failing_most())
        line("", table::harmless(name) + "  " + std::to_string(count), "", "");
    line("last error", table::time_text(mt::to_string(all.last_error)) + ' ' + table::harmless(all.last_error_id), "",
         "");
    if (!seen.last_error_session.empty()) line("  session", table::harmless(seen.last_error_session), "", "");
    return out.str();
}

inline int watch_traces(source& from, const arguments::common& told, const watch_options& how) {
    using steady = std::chrono::steady_clock;
    const auto most = limits_of(how);
    const auto every = length_of("--every", how.every);
    const bool has_end = !how.length.empty();
    const auto end = steady::now() + (has_end ? length_of("--for", how.length) : std::chrono::milliseconds(0));
    const bool is_drawn = !how.once && !told.json && table::is_terminal(STDOUT_FILENO);
    arguments::common times = told;
    if (times.since.empty()) times.since = "15m";
    if (is_drawn) from.be_quiet();
    for (;;) {
        watching::figures seen;
        seen.since = arguments::parse_moment(times.since).value_or(mt::trace_time());
        seen.until = times.until.empty() ? mt::current_time()
                                         : arguments::parse_moment(times.until).value_or(mt::current_time());
        const auto done =
            from.for_each_trace(arguments::query_of(times), [&](const mt::trace_info& trace) { seen.add(trace); });
        if (!done && how.once) return fail(done.error().message());
        const auto exceeded = done ? seen.exceeded(most) : std::vector<std::string>();
        if (is_drawn) std::cout << "\033[H\033[2J";
        if (!done) std::cerr << "mlflow_sessions: " << table::harmless(done.error().message()) << '\n';
        else if (told.json) std::cout << mt::json_line(watch_row(seen, exceeded));
        else std::cout << watch_text(seen, most, exceeded) << (is_drawn || how.once ? "" : "\n");
        if (done && seen.all.interactions == 0 && how.once && !told.json) {
            const auto why = diagnosis::nothing_found(from, times, "trace");
            std::cout << table::harmless(why.text) << '\n';
        }
        if (const int status = flushed()) return status;
        if (!exceeded.empty() && (how.once || has_end)) return 2;
        if (how.once) return 0;
        const auto next = steady::now() + every;
        if (has_end && next > end) {
            std::this_thread::sleep_until(end);
            return done ? 0 : 1;
        }
        std::this_thread::sleep_until(next);
    }
}

inline command watch(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand(
        "watch", "show the figures of the last 15 minutes (--since) repeatedly; limits determine the exit code");
    const auto how = std::make_shared<watch_options>();
    parser->add_option("--max-error-rate", how->error_rate, "highest share of failed traces: 5% or 0.05")
        ->check(arguments::refuse_empty);
    parser->add_option("--max-p95", how->p95, "highest 95th percentile of the durations: 800ms, 3s")
        ->check(arguments::refuse_empty);
    parser->add_option("--max-anonymous", how->anonymous, "highest number of sessions without a user")
        ->check(CLI::NonNegativeNumber);
    parser->add_option("--max-cost-per-user", how->cost_per_user, "highest cost of one user, in US dollars")
        ->check(CLI::NonNegativeNumber);
    parser->add_option("--min-traces", how->traces,
                       "lowest number of traces, so that a lack of traffic is not a success");
    parser->add_option("--every", how->every, "time between updates")->capture_default_str();
    auto* const once = parser->add_flag(
        "--once", how->once, "check once and exit: with 0, with 2 if a limit is exceeded, with 1 on errors");
    parser
        ->add_option("--for", how->length,
                     "check for this long, such as 10m: exit with 2 as soon as a limit is exceeded, otherwise with 0")
        ->check(arguments::refuse_empty)
        ->excludes(once);
    return {parser,
            [parser, &told, how](source& from) {
                if (how->once) arguments::refuse(*parser, {"--every"}, "with --once");
                return watch_traces(from, told, *how);
            },
            {"--limit", "--columns"}};
}

} // namespace commands
