// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json.hpp>
#include <mlflow/trace/client/totals.hpp>
#include <mlflow/trace/core/error.hpp>

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

struct total_name {
    std::string_view name;
    total_kind what;
};
inline constexpr total_name total_names[] = {{"turns", total_kind::turns},
                                             {"interactions", total_kind::turns},
                                             {"users", total_kind::users},
                                             {"sessions", total_kind::sessions},
                                             {"errors", total_kind::errors},
                                             {"error_rate", total_kind::error_rate},
                                             {"input_tokens", total_kind::input_tokens},
                                             {"output_tokens", total_kind::output_tokens},
                                             {"tokens", total_kind::tokens},
                                             {"cost", total_kind::cost},
                                             {"mean", total_kind::mean},
                                             {"p50", total_kind::p50},
                                             {"p95", total_kind::p95},
                                             {"p99", total_kind::p99},
                                             {"duration", total_kind::duration},
                                             {"idle", total_kind::idle},
                                             {"first_seen", total_kind::first_seen},
                                             {"last_seen", total_kind::last_seen},
                                             {"last_error", total_kind::last_error},
                                             {"session", total_kind::session},
                                             {"user", total_kind::user},
                                             {"first_input", total_kind::first_input}};

} // namespace detail

/// Parses the name of a total, as in `mt::total`: `cost`, `p95`, `feedback.helpful`. The error lists all names.
[[nodiscard]] inline result<total_field> parse_total(std::string_view name) {
    constexpr std::string_view feedback = "feedback.";
    if (name.starts_with(feedback) && name.size() > feedback.size())
        return total_field{total_kind::feedback, std::string(name.substr(feedback.size()))};
    std::string all;
    for (const auto& one : detail::total_names) {
        if (one.name == name) return total_field{one.what, {}};
        all += std::string(one.name) + ", ";
    }
    return failure{error(error_kind::bad_request, detail::displayed(name),
                         ": unknown total; the totals are " + all + "and feedback.NAME")};
}

/// Parses a duration: `1500ms`, `2s`, `30m`, `24h`, `7d`; a number without a unit is in milliseconds. Returns nothing
/// if the text is not a duration.
[[nodiscard]] inline std::optional<std::chrono::milliseconds> parse_length(std::string_view text) {
    double number = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (fault != std::errc{} || !(number >= 0) || number > 1e12) return std::nullopt;
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    constexpr std::pair<std::string_view, double> units[] = {
        {"", 1}, {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
    for (const auto& [name, milliseconds] : units)
        if (name == unit && number * milliseconds < 1e15)
            return std::chrono::milliseconds(std::llround(number * milliseconds));
    return std::nullopt;
}

namespace detail {

// Parses conditions on totals: a name, an operator, and a number with a unit or a text in quotes.
class totals_parser {
public:
    explicit totals_parser(std::string_view text) noexcept : rest_(text) {}

    result<totals_filter> parse() {
        totals_filter parsed;
        skip_spaces();
        while (!rest_.empty()) {
            auto one = parse_clause();
            if (!one) return failure{one.error()};
            parsed = std::move(parsed) && totals_filter(std::move(*one));
            skip_spaces();
            if (rest_.empty()) break;
            if (const std::string word = lower_ascii(take_word()); word != "and")
                return refuse(word == "or" ? "OR is not supported; run one query for each side" : "expected AND");
            skip_spaces();
            if (rest_.empty()) return refuse("expected a condition");
        }
        return parsed;
    }

private:
    failure refuse(std::string_view fault) const {
        return failure{error(error_kind::bad_request, "condition",
                             std::string(fault) + ", before \"" + displayed(first_code_points(rest_, 40)) + '"')};
    }
    void skip_spaces() noexcept {
        const auto begin = rest_.find_first_not_of(" \t\r\n");
        rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
    }
    // Up to a space or an operator.
    std::string_view take_word() noexcept {
        const auto word = rest_.substr(0, rest_.find_first_of(" \t\r\n=<>!'\""));
        rest_.remove_prefix(word.size());
        return word;
    }
    std::string name() {
        constexpr std::string_view quoted = "feedback.`";
        const auto end = rest_.starts_with(quoted) ? rest_.find('`', quoted.size()) : std::string_view::npos;
        if (end == std::string_view::npos) return std::string(take_word());
        std::string whole = "feedback." + std::string(rest_.substr(quoted.size(), end - quoted.size()));
        rest_.remove_prefix(end + 1);
        return whole;
    }

    std::optional<comparison> parse_comparison() {
        skip_spaces();
        constexpr std::pair<std::string_view, comparison> signs[] = {
            {"!=", comparison::not_equal}, {"<=", comparison::less_equal}, {">=", comparison::greater_equal},
            {"=", comparison::equal},      {"<", comparison::less},        {">", comparison::greater}};
        for (const auto& [sign, how] : signs)
            if (rest_.starts_with(sign)) return rest_.remove_prefix(sign.size()), how;
        const std::string word = lower_ascii(take_word());
        if (word == "like") return comparison::like;
        if (word == "ilike") return comparison::ilike;
        return std::nullopt;
    }

    result<total_clause> parse_clause() {
        auto total = parse_total(name());
        if (!total) return failure{total.error()};
        total_clause one{std::move(*total), comparison::equal, 0, {}};
        const auto how = parse_comparison();
        if (!how) return refuse("expected =, !=, <, <=, >, >=, LIKE or ILIKE");
        one.how = *how;
        const bool is_pattern = *how == comparison::like || *how == comparison::ilike;
        const bool is_equality = *how == comparison::equal || *how == comparison::not_equal;
        if (one.total.is_text() ? !is_pattern && !is_equality : is_pattern)
            return refuse(one.total.is_text() ? "texts can be compared with =, !=, LIKE or ILIKE"
                                              : "LIKE cannot be used for numbers");
        skip_spaces();
        if (one.total.is_text()) return parse_text(std::move(one));
        const auto before = rest_;
        const auto number = parse_number(one.total, take_word());
        if (!number) rest_ = before;
        if (!number)
            return refuse(one.total.is_time()           ? "expected a time such as 2026-11-23T04:03:42Z"
                          : one.total.is_milliseconds() ? "expected a duration such as 800ms, 2s, 30m, 24h or 7d"
                                                        : "expected a number such as 3, 0.5 or 5%");
        one.number = *number;
        return one;
    }
    result<total_clause> parse_text(total_clause one) {
        const char quote = rest_.empty() ? '\0' : rest_.front();
        const auto end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
        if (end == std::string_view::npos) return refuse("expected a value in quotes");
        one.text = rest_.substr(1, end - 1);
        rest_.remove_prefix(end + 1);
        return one;
    }
    static std::optional<double> parse_number(const total_field& total, std::string_view word) {
        if (total.is_time()) {
            const auto time = parse_time(word);
            return time ? std::optional(static_cast<double>(time->time_since_epoch().count())) : std::nullopt;
        }
        if (total.is_milliseconds()) {
            const auto length = parse_length(word);
            return length ? std::optional(static_cast<double>(length->count())) : std::nullopt;
        }
        double number = 0;
        const auto [end, fault] = std::from_chars(word.data(), word.data() + word.size(), number);
        const std::string_view behind = word.substr(static_cast<std::size_t>(end - word.data()));
        if (fault != std::errc{} || !std::isfinite(number) || (!behind.empty() && behind != "%")) return std::nullopt;
        return behind.empty() ? number : number / 100;
    }

    std::string_view rest_;
};

} // namespace detail

/// Parses conditions on totals: `turns >= 3 AND error_rate > 5% AND idle > 30m AND first_input ILIKE '%refund%'`. The
/// names are those of `mt::total`; durations have the units ms, s, m, h and d. The error says what is wrong, and
/// where.
[[nodiscard]] inline result<totals_filter> parse_totals(std::string_view text) {
    return detail::totals_parser(text).parse();
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
