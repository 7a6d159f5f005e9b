// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/analysis.hpp>
#include <mlflow/trace/client/filter.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A total over the traces of a session, user or other group, by which groups are selected and sorted.
enum class total_kind : std::uint8_t {
    turns, ///< traces; for a user, interactions
    users, ///< different users
    sessions,
    errors,     ///< traces that failed
    error_rate, ///< 0 to 1
    input_tokens,
    output_tokens,
    tokens,   ///< input and output
    cost,     ///< US dollars
    feedback, ///< mean of the scores with one name
    mean,     ///< of the traces' durations; this and the following up to `idle` are in milliseconds
    p50,
    p95,
    p99,
    duration,   ///< from the start of the first trace to the latest end
    idle,       ///< since the latest end
    first_seen, ///< start of the first trace; this and the following up to `last_error` are times
    last_seen,  ///< start of the last trace
    last_error, ///< start of the last trace that failed
    session,    ///< this and the following are texts
    user,       ///< of the session's first trace that has a user
    first_input ///< request preview of the session's first trace
};

/// A total; for feedback, with its name.
struct total_field {
    /// Which total.
    total_kind what = total_kind::turns;
    /// The name of the feedback.
    std::string name{};

    /// Whether it is a text.
    [[nodiscard]] bool is_text() const noexcept { return what >= total_kind::session; }
    /// Whether it is a time.
    [[nodiscard]] bool is_time() const noexcept { return what >= total_kind::first_seen && !is_text(); }
    /// Whether it is in milliseconds.
    [[nodiscard]] bool is_milliseconds() const noexcept {
        return what >= total_kind::mean && !is_time() && !is_text();
    }
    /// Whether both are the same total.
    friend bool operator==(const total_field&, const total_field&) = default;
};

namespace detail {

template <class Summary>
std::optional<double> people_of(const Summary& of, total_kind what) {
    constexpr bool is_session = std::is_same_v<Summary, session_summary>;
    if constexpr (is_session) {
        if (what == total_kind::users) return static_cast<double>(of.users.size());
    } else if constexpr (requires { of.users; }) {
        if (what == total_kind::users) return static_cast<double>(of.users);
    } else if (what == total_kind::users) {
        return 1;
    }
    if constexpr (!is_session)
        if (what == total_kind::sessions) return static_cast<double>(of.sessions);
    return is_session && what == total_kind::sessions ? std::optional<double>(1) : std::nullopt;
}

} // namespace detail

/// The value of a total: durations in milliseconds, times in milliseconds since 1970. `now` is used for the idle
/// time. Returns nothing for texts, feedback without scores, the last error if there was none, and durations of
/// traces without an end.
template <class Summary>
[[nodiscard]] std::optional<double> number_of(const Summary& of, const total_field& total, trace_time now) {
    const auto time = [](trace_time at) { return static_cast<double>(at.time_since_epoch().count()); };
    const auto percentile = [&](double percent) {
        return of.durations.count() == 0 ? std::nullopt : std::optional(of.durations.percentile(percent));
    };
    switch (total.what) {
    case total_kind::turns: return static_cast<double>(of.interactions);
    case total_kind::users:
    case total_kind::sessions: return detail::people_of(of, total.what);
    case total_kind::errors: return static_cast<double>(of.errors);
    case total_kind::error_rate: return of.error_rate();
    case total_kind::input_tokens: return static_cast<double>(of.input_tokens);
    case total_kind::output_tokens: return static_cast<double>(of.output_tokens);
    case total_kind::tokens: return static_cast<double>(of.input_tokens) + static_cast<double>(of.output_tokens);
    case total_kind::cost: return of.cost;
    case total_kind::feedback: {
        const auto found = of.feedback.find(total.name);
        if (found == of.feedback.end() || found->second.scored == 0) return std::nullopt;
        return found->second.mean();
    }
    case total_kind::mean: return of.durations.count() == 0 ? std::nullopt : std::optional(of.durations.mean());
    case total_kind::p50: return percentile(50);
    case total_kind::p95: return percentile(95);
    case total_kind::p99: return percentile(99);
    case total_kind::duration: return time(of.last_end) - time(of.first_seen);
    case total_kind::idle: return time(now) - time(of.last_end);
    case total_kind::first_seen: return time(of.first_seen);
    case total_kind::last_seen: return time(of.last_seen);
    case total_kind::last_error: return of.errors == 0 ? std::nullopt : std::optional(time(of.last_error));
    default: return std::nullopt;
    }
}

/// The value of a total that is a text. Returns nothing for numbers, and if the text is empty or the summary has
/// none.
template <class Summary>
[[nodiscard]] std::optional<std::string_view> text_of_total(const Summary& of, const total_field& total) {
    std::string_view text;
    if constexpr (std::is_same_v<Summary, session_summary>) {
        if (total.what == total_kind::session) text = of.session;
        if (total.what == total_kind::first_input) text = of.first_input;
    }
    if constexpr (!std::is_same_v<Summary, group_summary>)
        if (total.what == total_kind::user) text = of.user;
    return text.empty() ? std::nullopt : std::optional(text);
}

/// One condition on a total. The fields in `mt::total` create conditions.
struct total_clause {
    /// The total.
    total_field total;
    comparison how = comparison::equal; ///< up to `greater_equal`; for texts `equal`, `not_equal`, `like`, `ilike`
    double number = 0;                  ///< in the units of `number_of`
    /// For texts.
    std::string text{};

    /// Whether all members are equal.
    friend bool operator==(const total_clause&, const total_clause&) = default;

    /// Whether the condition holds. A missing total does not meet any condition, like NULL in SQL.
    template <class Summary>
    [[nodiscard]] bool matches(const Summary& of, trace_time now) const {
        if (total.is_text()) {
            const auto value = text_of_total(of, total);
            if (!value) return false;
            if (how == comparison::like) return detail::is_like(*value, text);
            if (how == comparison::ilike)
                return detail::is_like(detail::lower_ascii(*value), detail::lower_ascii(text));
            return (*value == text) == (how == comparison::equal);
        }
        const auto value = number_of(of, total, now);
        if (!value) return false;
        switch (how) {
        case comparison::equal: return *value == number;
        case comparison::not_equal: return *value != number;
        case comparison::less: return *value < number;
        case comparison::less_equal: return *value <= number;
        case comparison::greater: return *value > number;
        case comparison::greater_equal: return *value >= number;
        default: return false;
        }
    }
};

/// Selects sessions, users or groups by their totals, like SQL's HAVING. All conditions must hold:
/// `mt::having(total::turns >= 3 && total::errors > 0 && total::idle > 30min)`.
///
/// Thread-safety: as a container.
class totals_filter {
public:
    /// Selects everything.
    totals_filter() = default;
    /// Selects by this condition.
    explicit totals_filter(total_clause one) { clauses_.push_back(std::move(one)); }

    /// The conditions.
    [[nodiscard]] const std::vector<total_clause>& clauses() const noexcept { return clauses_; }
    /// Whether there are no conditions.
    [[nodiscard]] bool empty() const noexcept { return clauses_.empty(); }

    /// Whether all conditions hold.
    template <class Summary>
    [[nodiscard]] bool matches(const Summary& of, trace_time now) const {
        return std::all_of(clauses_.begin(), clauses_.end(),
                           [&](const total_clause& one) { return one.matches(of, now); });
    }

    /// The conditions of both.
    friend totals_filter operator&&(totals_filter a, const totals_filter& b) {
        a.clauses_.insert(a.clauses_.end(), b.clauses_.begin(), b.clauses_.end());
        return a;
    }
    /// Whether the conditions are the same, in the same order.
    friend bool operator==(const totals_filter&, const totals_filter&) = default;

private:
    std::vector<total_clause> clauses_;
};

/// Returns its argument, so that a query reads like a sentence.
[[nodiscard]] inline totals_filter having(totals_filter conditions) { return conditions; }

namespace detail {

// Counts and costs compare with numbers, durations with durations, times with times.
template <class Value>
class total_number {
public:
    explicit total_number(total_kind what, std::string_view name = {}) : field_{what, std::string(name)} {}

    friend totals_filter operator==(const total_number& t, Value v) { return t.by(comparison::equal, v); }
    friend totals_filter operator!=(const total_number& t, Value v) { return t.by(comparison::not_equal, v); }
    friend totals_filter operator<(const total_number& t, Value v) { return t.by(comparison::less, v); }
    friend totals_filter operator<=(const total_number& t, Value v) { return t.by(comparison::less_equal, v); }
    friend totals_filter operator>(const total_number& t, Value v) { return t.by(comparison::greater, v); }
    friend totals_filter operator>=(const total_number& t, Value v) { return t.by(comparison::greater_equal, v); }

private:
    [[nodiscard]] totals_filter by(comparison how, Value value) const {
        double number = 0;
        if constexpr (std::is_same_v<Value, trace_time>)
            number = static_cast<double>(value.time_since_epoch().count());
        else if constexpr (std::is_same_v<Value, std::chrono::milliseconds>)
            number = static_cast<double>(value.count());
        else number = value;
        return totals_filter(total_clause{field_, how, number, {}});
    }
    total_field field_;
};

class total_text {
public:
    explicit total_text(total_kind what) : field_{what, {}} {}

    friend totals_filter operator==(const total_text& t, std::string_view v) { return t.by(comparison::equal, v); }
    friend totals_filter operator!=(const total_text& t, std::string_view v) {
        return t.by(comparison::not_equal, v);
    }
    /// SQL's LIKE: `%` matches any text, `_` one character. Case-sensitive, without escapes.
    [[nodiscard]] totals_filter like(std::string_view pattern) const { return by(comparison::like, pattern); }
    /// LIKE that ignores the case of ASCII letters.
    [[nodiscard]] totals_filter ilike(std::string_view pattern) const { return by(comparison::ilike, pattern); }

private:
    [[nodiscard]] totals_filter by(comparison how, std::string_view value) const {
        return totals_filter(total_clause{field_, how, 0, std::string(value)});
    }
    total_field field_;
};

} // namespace detail

/// The fields of `mt::having`; `total_kind` describes them. `namespace total = mlflow::trace::total;`
namespace total {

inline const detail::total_number<double> turns{total_kind::turns};           ///< traces; for a user, interactions
inline const detail::total_number<double> users{total_kind::users};           ///< different users
inline const detail::total_number<double> sessions{total_kind::sessions};     ///< different sessions
inline const detail::total_number<double> errors{total_kind::errors};         ///< traces that failed
inline const detail::total_number<double> error_rate{total_kind::error_rate}; ///< 0 to 1
inline const detail::total_number<double> input_tokens{total_kind::input_tokens};   ///< input
inline const detail::total_number<double> output_tokens{total_kind::output_tokens}; ///< output
inline const detail::total_number<double> tokens{total_kind::tokens};               ///< input and output
inline const detail::total_number<double> cost{total_kind::cost};                   ///< US dollars
/// The mean score of the feedback with this name.
[[nodiscard]] inline detail::total_number<double> feedback(std::string_view name) {
    return detail::total_number<double>(total_kind::feedback, name);
}
inline const detail::total_number<std::chrono::milliseconds> mean{total_kind::mean}; ///< mean duration of the traces
inline const detail::total_number<std::chrono::milliseconds> p50{total_kind::p50};   ///< median duration
inline const detail::total_number<std::chrono::milliseconds> p95{total_kind::p95};   ///< 95th percentile
inline const detail::total_number<std::chrono::milliseconds> p99{total_kind::p99};   ///< 99th percentile
/// From first start to last end.
inline const detail::total_number<std::chrono::milliseconds> duration{total_kind::duration};
inline const detail::total_number<std::chrono::milliseconds> idle{total_kind::idle}; ///< since the last end
inline const detail::total_number<trace_time> first_seen{total_kind::first_seen};    ///< start of the first trace
inline const detail::total_number<trace_time> last_seen{total_kind::last_seen};      ///< start of the last trace
inline const detail::total_number<trace_time> last_error{total_kind::last_error}; ///< start of the last failed trace
inline const detail::total_text session{total_kind::session};                     ///< the session's ID
inline const detail::total_text user{total_kind::user};                           ///< the user's ID
inline const detail::total_text first_input{total_kind::first_input}; ///< request preview of the first trace

} // namespace total

/// Sorts by a total. Summaries without a value come last; equal ones keep their order.
template <class Summary>
void sort_by(std::vector<Summary>& summaries, const total_field& total, bool is_descending, trace_time now) {
    std::vector<std::pair<std::optional<double>, std::size_t>> numbers;
    numbers.reserve(summaries.size());
    for (const Summary& one : summaries) numbers.emplace_back(number_of(one, total, now), numbers.size());
    const auto is_before = [&](const auto& a, const auto& b) {
        if (total.is_text()) {
            const auto x = text_of_total(summaries[a.second], total);
            const auto y = text_of_total(summaries[b.second], total);
            return !x || !y ? x.has_value() > y.has_value() : is_descending ? *y < *x : *x < *y;
        }
        if (!a.first || !b.first) return a.first.has_value() > b.first.has_value();
        return is_descending ? *b.first < *a.first : *a.first < *b.first;
    };
    // Not std::stable_sort: newer versions of clang report a deprecated function in libstdc++'s implementation.
    std::sort(numbers.begin(), numbers.end(), [&](const auto& a, const auto& b) {
        return is_before(a, b) || (!is_before(b, a) && a.second < b.second);
    });
    std::vector<Summary> sorted;
    sorted.reserve(summaries.size());
    for (const auto& one : numbers) sorted.push_back(std::move(summaries[one.second]));
    summaries = std::move(sorted);
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
