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

/// What a clause of a filter looks at.
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
    span, ///< this one and those below are known to the server only
    span_attribute,
    text,
    feedback,
    expectation
};

enum class comparison : std::uint8_t {
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    like,
    ilike,
    rlike, ///< by the server's own regular expressions only
    in,
    not_in,
    is_null,
    is_not_null
};

/// One clause: `metadata.`app.segment` = 'pro'`. Programs write clauses by the fields of `mt::field`.
struct clause {
    subject what;
    std::string key{}; ///< of metadata, tag, span part, span attribute or assessment
    comparison how;
    std::vector<std::string> values{}; ///< one, or those of a list; none for numbers and `IS NULL`
    std::optional<std::int64_t> milliseconds{};

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

// MLflow's filters have no escapes, and a backslash before the closing quote would swallow what comes after it. A
// value that neither quotes can hold is nothing.
inline std::optional<std::string> in_quotes(std::string_view value) {
    if (value.ends_with('\\') || value.find('\0') != std::string_view::npos) return std::nullopt;
    const char quote = value.find('\'') == std::string_view::npos ? '\'' : '"';
    if (quote == '"' && value.find('"') != std::string_view::npos) return std::nullopt;
    return quote + std::string(value) + quote;
}

// A LIKE pattern that matches the value, and others too.
inline std::string wider_pattern(std::string_view value) {
    std::string pattern(value);
    for (char& c : pattern)
        if (c == '\'' || c == '"' || c == '\\' || c == '\0') c = '_';
    return "'" + pattern + "'";
}

inline bool is_server_only(const clause& c) noexcept { return c.what >= subject::span || c.how == comparison::rlike; }

// Does the clause say to the server exactly what it means? A backslash in a pattern is an escape on some databases,
// and lists are read as Python's.
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

// As in SQL, what is not there is not equal, not unequal, and like nothing.
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

// Why this clause cannot be said to MLflow, or an empty text.
inline std::string fault_of(const clause& c) {
    const bool has_key = c.what == subject::metadata || c.what == subject::tag || c.what >= subject::span_attribute;
    if (has_key && c.what != subject::text) {
        if (c.key.empty()) return "an empty key";
        if (check_text("", c.key, 250).kind() != error_kind::none || c.key.find('`') != std::string::npos)
            return "the key holds a control character, a backtick or invalid UTF-8, or is over 250 characters";
        if (rewritten_by_search(lower_ascii(c.key)))
            return c.key + ": MLflow's search takes this name for an attribute of its own; use another key";
    }
    if ((c.how == comparison::in || c.how == comparison::not_in) && c.values.empty()) return "an empty list";
    if (is_server_only(c) && !is_exact(c))
        return displayed(subject_text(c)) +
               ": a value with quotes of both kinds, a NUL or a backslash at its end cannot be written in MLflow's "
               "filters; search for a part of it by LIKE";
    return {};
}

} // namespace detail

/// Which traces are meant: clauses that must all hold, none for all traces. Written by the fields of `mt::field`:
/// `mt::where(field::user == id && field::session == sid && field::status == field::ok && field::execution_time >
/// 2s)`.
///
/// MLflow's grammar (`mlflow/utils/search_utils.py`) has no OR, and `||` does not compile: `mt::any_of` runs several
/// searches. It has no escapes either: a value that it cannot write is asked for by a wider pattern, and what comes
/// back is compared here, so that every value is found exactly. Thread-safety: as a container.
class filter {
public:
    filter() = default;
    explicit filter(clause one) { clauses_.push_back(std::move(one)); }

    [[nodiscard]] const std::vector<clause>& clauses() const noexcept { return clauses_; }
    [[nodiscard]] bool empty() const noexcept { return clauses_.empty(); }

    /// The filter in MLflow's grammar. It may let more through than is meant: `is_exact()`. Errors: a key that MLflow
    /// cannot search, a value that the server would have to compare but cannot be told.
    [[nodiscard]] result<std::string> text() const {
        std::string text;
        for (const clause& c : clauses_) {
            if (auto fault = detail::fault_of(c); !fault.empty())
                return failure{error(error_kind::bad_request, "filter", fault)};
            text += (text.empty() ? "" : " AND ") + detail::clause_text(c);
        }
        return text;
    }
    /// Does `text()` let through exactly what is meant? Else `matches()` has the last word.
    [[nodiscard]] bool is_exact() const {
        return std::all_of(clauses_.begin(), clauses_.end(), [](const clause& c) { return detail::is_exact(c); });
    }
    /// Can `matches()` tell? Spans, full text, assessments and RLIKE are for the server.
    [[nodiscard]] bool is_local() const {
        return std::none_of(clauses_.begin(), clauses_.end(), detail::is_server_only);
    }
    /// Is this one of the traces meant? Clauses that only the server can decide are taken to hold.
    [[nodiscard]] bool matches(const trace_info& trace) const {
        return std::all_of(clauses_.begin(), clauses_.end(), [&](const clause& c) {
            return detail::is_server_only(c) || detail::is_matched(c, trace);
        });
    }

    friend filter operator&&(filter a, const filter& b) {
        a.clauses_.insert(a.clauses_.end(), b.clauses_.begin(), b.clauses_.end());
        return a;
    }
    friend bool operator==(const filter&, const filter&) = default;

private:
    std::vector<clause> clauses_;
};

namespace detail {
template <class T>
inline constexpr bool is_filter_or = !std::is_same_v<T, filter>;
}

template <class T>
    requires std::is_same_v<T, filter>
filter operator||(const T&, const T&) {
    static_assert(detail::is_filter_or<T>, "MLflow's filters have no OR: mt::any_of(a, b) runs one search for each");
    return {};
}

/// Reads as the condition of a search.
[[nodiscard]] inline filter where(filter conditions) { return conditions; }

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
