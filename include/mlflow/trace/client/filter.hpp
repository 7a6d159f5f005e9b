// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/like.hpp>
#include <mlflow/trace/client/trace_info.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/metadata/tag.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What a clause of a filter examines.
enum class subject : std::uint8_t {
    metadata,
    tag,
    status,
    name,
    trace_id,
    client_request_id,
    run_id,
    timestamp,
    execution_time,
    end_time,
    span, ///< this one and the following are known only to the server
    span_attribute,
    text,
    feedback,
    expectation
};

/// How a clause compares. The names are those of MLflow's operators.
enum class comparison : std::uint8_t {
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    like,
    ilike,
    rlike, ///< a regular expression, evaluated only by the server
    in,
    not_in,
    is_null,
    is_not_null
};

/// One clause, such as metadata.`app.segment` = 'pro'. The fields in `mt::field` create clauses.
struct clause {
    /// What it examines.
    subject what;
    std::string key{}; ///< of metadata, tag, part of a span, span attribute or assessment
    /// How it compares.
    comparison how;
    std::vector<std::string> values{}; ///< one, or several for a list; none for numbers and `IS NULL`
    /// The number, for times and durations.
    std::optional<std::int64_t> milliseconds{};

    /// Whether all members are equal.
    friend bool operator==(const clause&, const clause&) = default;
};

namespace detail {

inline std::string_view comparison_text(comparison how) noexcept {
    constexpr std::string_view texts[] = {"=",     "!=",    "<",  "<=",     ">",       ">=",         "LIKE",
                                          "ILIKE", "RLIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"};
    return texts[static_cast<std::size_t>(how)];
}

inline std::string subject_text(const clause& c) {
    switch (c.what) {
    case subject::metadata: return "metadata.`" + c.key + '`';
    case subject::tag: return "tag.`" + c.key + '`';
    case subject::status: return "trace.status";
    case subject::name: return "trace.name";
    case subject::trace_id: return "trace.request_id";
    case subject::client_request_id: return "trace.client_request_id";
    case subject::run_id: return "trace.run_id";
    case subject::timestamp: return "trace.timestamp_ms";
    case subject::execution_time: return "trace.execution_time_ms";
    case subject::end_time: return "trace.end_time_ms";
    case subject::span: return "span." + c.key;
    case subject::span_attribute: return "span.attributes.`" + c.key + '`';
    case subject::text: return "trace.text";
    case subject::feedback: return "feedback.`" + c.key + '`';
    case subject::expectation: return "expectation.`" + c.key + '`';
    }
    return {};
}

// Puts quotes around a value. Returns nothing if neither kind of quotes can hold it: MLflow's filters have no
// escapes, and a backslash before the closing quote would include the text after it.
inline std::optional<std::string> in_quotes(std::string_view value) {
    if (value.ends_with('\\') || value.find('\0') != std::string_view::npos) return std::nullopt;
    const char quote = value.find('\'') == std::string_view::npos ? '\'' : '"';
    if (quote == '"' && value.find('"') != std::string_view::npos) return std::nullopt;
    return quote + std::string(value) + quote;
}

// A LIKE pattern that matches the value, and possibly others. For LIKE, SQLite ends a text at its first NUL.
inline std::string wider_pattern(std::string_view value) {
    const auto nul = value.find('\0');
    std::string pattern(value.substr(0, nul));
    for (char& c : pattern)
        if (c == '\'' || c == '"' || c == '\\') c = '_';
    return "'" + pattern + (nul == value.npos ? "'" : "%'");
}

inline bool is_server_only(const clause& c) noexcept { return c.what >= subject::span || c.how == comparison::rlike; }

// Whether the server would evaluate the clause exactly. On some databases, a backslash in a pattern is an escape;
// lists are parsed as Python lists.
inline bool is_exact(const clause& c) {
    const bool is_pattern = c.how == comparison::like || c.how == comparison::ilike;
    const bool is_list = c.how == comparison::in || c.how == comparison::not_in;
    const std::string_view special = is_pattern ? "\\" : is_list ? "\\\r\n" : "";
    for (const std::string& value : c.values)
        if (!in_quotes(value) || value.find_first_of(special) != std::string::npos) return false;
    return true;
}

inline std::string clause_text(const clause& c) {
    std::string text = subject_text(c) + ' ';
    if (!is_exact(c)) {
        if (c.how == comparison::equal || c.how == comparison::like)
            return text + "LIKE " + wider_pattern(c.values[0]);
        if (c.how == comparison::ilike) return text + "ILIKE " + wider_pattern(c.values[0]);
        return text + "LIKE '%'";
    }
    text += comparison_text(c.how);
    if (c.milliseconds) return text + ' ' + std::to_string(*c.milliseconds);
    if (c.how == comparison::is_null || c.how == comparison::is_not_null) return text;
    if (c.how != comparison::in && c.how != comparison::not_in) return text + ' ' + *in_quotes(c.values[0]);
    for (std::size_t i = 0; i < c.values.size(); ++i) text += (i == 0 ? " (" : ", ") + *in_quotes(c.values[i]);
    return text + ')';
}

inline bool is_ordered(std::int64_t a, comparison how, std::int64_t b) noexcept {
    switch (how) {
    case comparison::equal: return a == b;
    case comparison::not_equal: return a != b;
    case comparison::less: return a < b;
    case comparison::less_equal: return a <= b;
    case comparison::greater: return a > b;
    case comparison::greater_equal: return a >= b;
    default: return false;
    }
}

// As in SQL, a missing value is neither equal nor unequal, and matches no pattern.
inline bool is_matched(const clause& c, std::optional<std::string_view> value) {
    if (!value || c.how == comparison::is_null) return !value && c.how == comparison::is_null;
    const auto is_listed = [&] { return std::find(c.values.begin(), c.values.end(), *value) != c.values.end(); };
    switch (c.how) {
    case comparison::is_not_null: return true;
    case comparison::equal:
    case comparison::in: return is_listed();
    case comparison::not_equal:
    case comparison::not_in: return !is_listed();
    case comparison::like: return is_like(*value, c.values[0]);
    case comparison::ilike: return is_like(lower_ascii(*value), lower_ascii(c.values[0]));
    default: return false;
    }
}

inline bool is_matched(const clause& c, const trace_info& trace) {
    const auto in = [&](const text_map& values, std::string_view key) {
        const auto found = values.find(key);
        return is_matched(c, found == values.end() ? std::nullopt : std::optional<std::string_view>(found->second));
    };
    const auto text = [&](std::string_view value) {
        return is_matched(c, value.empty() ? std::nullopt : std::optional(value));
    };
    switch (c.what) {
    case subject::metadata: return in(trace.metadata, c.key);
    case subject::tag: return in(trace.tags, c.key);
    case subject::status: return text(to_string(trace.status));
    case subject::name: return in(trace.tags, mlflow_names::trace_name);
    case subject::trace_id: return text(trace.trace_id);
    case subject::client_request_id: return text(trace.client_request_id);
    case subject::run_id: return in(trace.metadata, "mlflow.sourceRun");
    case subject::timestamp: return is_ordered(trace.request_time.time_since_epoch().count(), c.how, *c.milliseconds);
    case subject::execution_time:
        return trace.has_duration && is_ordered(trace.execution_duration.count(), c.how, *c.milliseconds);
    case subject::end_time: return is_ordered(trace.end_time().time_since_epoch().count(), c.how, *c.milliseconds);
    default: return false;
    }
}

// Why this clause cannot be expressed in MLflow's grammar; empty if it can.
inline std::string fault_of(const clause& c) {
    const bool has_key = c.what == subject::metadata || c.what == subject::tag || c.what >= subject::span_attribute;
    if (has_key && c.what != subject::text) {
        if (c.key.empty()) return "an empty key";
        if (check_text("", c.key, 250).kind() != error_kind::none || c.key.find('`') != std::string::npos)
            return "the key contains a control character, a backtick or invalid UTF-8, or is longer than 250 "
                   "characters";
        if (rewritten_by_search(lower_ascii(c.key)))
            return c.key + ": MLflow's search treats this name as a built-in attribute; use another key";
    }
    if ((c.how == comparison::in || c.how == comparison::not_in) && c.values.empty()) return "an empty list";
    if (is_server_only(c) && !is_exact(c))
        return displayed(subject_text(c)) + ": MLflow's filters cannot express a value with both kinds of quotes, a "
                                            "NUL, or a backslash at the end; search for a part of it with LIKE";
    return {};
}

} // namespace detail

/// Selects traces: all clauses must hold, and a filter without clauses selects every trace. Created with the fields
/// in `mt::field`: `mt::where(field::user == id && field::session == sid && field::status == field::ok &&
/// field::execution_time > 2s)`.
///
/// MLflow's grammar (`mlflow/utils/search_utils.py`) has no OR, so `||` does not compile; `mt::any_of` runs several
/// searches. The grammar has no escapes either. If it cannot express a value, the server gets a wider pattern, and
/// the results are compared here, so that every value is found exactly.
///
/// Thread-safety: as a container.
class filter {
public:
    /// Selects every trace.
    filter() = default;
    /// Selects the traces for which this clause holds.
    explicit filter(clause one) { clauses_.push_back(std::move(one)); }

    /// The clauses.
    [[nodiscard]] const std::vector<clause>& clauses() const noexcept { return clauses_; }
    /// Whether there are no clauses.
    [[nodiscard]] bool empty() const noexcept { return clauses_.empty(); }

    /// The filter in MLflow's grammar. It may select more traces than this filter; see `is_exact()`. Errors: a key
    /// that MLflow cannot search, or a value that only the server can compare but that the grammar cannot express.
    [[nodiscard]] result<std::string> text() const {
        std::string text;
        for (const clause& c : clauses_) {
            if (auto fault = detail::fault_of(c); !fault.empty())
                return failure{error(error_kind::bad_request, "filter", fault)};
            text += (text.empty() ? "" : " AND ") + detail::clause_text(c);
        }
        return text;
    }
    /// Whether `text()` selects exactly the traces of this filter. Otherwise, check the results with `matches()`.
    [[nodiscard]] bool is_exact() const {
        return std::all_of(clauses_.begin(), clauses_.end(), [](const clause& c) { return detail::is_exact(c); });
    }
    /// Whether `matches()` can decide every clause. Spans, full text, assessments and RLIKE are left to the server.
    [[nodiscard]] bool is_local() const {
        return std::none_of(clauses_.begin(), clauses_.end(), detail::is_server_only);
    }
    /// Whether this trace is selected. Clauses that only the server can decide are taken to hold.
    [[nodiscard]] bool matches(const trace_info& trace) const {
        return std::all_of(clauses_.begin(), clauses_.end(), [&](const clause& c) {
            return detail::is_server_only(c) || detail::is_matched(c, trace);
        });
    }

    /// The clauses of both filters.
    friend filter operator&&(filter a, const filter& b) {
        a.clauses_.insert(a.clauses_.end(), b.clauses_.begin(), b.clauses_.end());
        return a;
    }
    /// Whether the clauses are the same, in the same order.
    friend bool operator==(const filter&, const filter&) = default;

private:
    std::vector<clause> clauses_;
};

namespace detail {
template <class T>
inline constexpr bool is_filter_or = !std::is_same_v<T, filter>;
}

/// Does not compile: MLflow's grammar has no OR.
template <class T>
    requires std::is_same_v<T, filter>
filter operator||(const T&, const T&) {
    static_assert(detail::is_filter_or<T>, "MLflow's filters have no OR: mt::any_of(a, b) runs one search for each");
    return {};
}

/// Returns its argument, so that a search reads like a sentence.
[[nodiscard]] inline filter where(filter conditions) { return conditions; }

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
