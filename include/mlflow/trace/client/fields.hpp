// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/filter.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/values/json_value.hpp>

#include <chrono>
#include <concepts>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The order of search results: `field::timestamp.ascending()`.
struct ordering {
    /// The value to sort by.
    subject by = subject::timestamp;
    /// The direction.
    bool is_descending = false;

    /// In MLflow's `order_by` syntax.
    [[nodiscard]] std::string text() const {
        return detail::subject_text({.what = by, .how = comparison::equal}).substr(6) +
               (is_descending ? " DESC" : " ASC");
    }
};

namespace detail {

class field_base {
public:
    explicit field_base(subject what, std::string_view key = {}) : what_(what), key_(key) {}

protected:
    [[nodiscard]] filter compare(comparison how, std::vector<std::string> values = {}) const {
        return filter(clause{what_, std::string(key_), how, std::move(values)});
    }
    [[nodiscard]] filter compare_text(comparison how, std::string_view value) const {
        return compare(how, {std::string(value)});
    }
    [[nodiscard]] filter compare_number(comparison how, std::chrono::milliseconds value) const {
        return filter(clause{what_, std::string(key_), how, {}, value.count()});
    }
    subject what_;

private:
    std::string key_;
};

struct pattern_field : field_base {
    using field_base::field_base;

    /// SQL's LIKE: `%` matches any text, `_` one character. Case-sensitive, without escapes.
    [[nodiscard]] filter like(std::string_view pattern) const { return compare_text(comparison::like, pattern); }
    /// LIKE that ignores the case of ASCII letters.
    [[nodiscard]] filter ilike(std::string_view pattern) const { return compare_text(comparison::ilike, pattern); }
};

struct text_field : pattern_field {
    using pattern_field::pattern_field;
    friend filter operator==(const text_field& f, std::string_view value) {
        return f.compare_text(comparison::equal, value);
    }
    friend filter operator!=(const text_field& f, std::string_view value) {
        return f.compare_text(comparison::not_equal, value);
    }
    /// Matches a regular expression, in the syntax of the server's database.
    [[nodiscard]] filter rlike(std::string_view expression) const {
        return compare_text(comparison::rlike, expression);
    }
};

struct listed_field : text_field {
    using text_field::text_field;
    [[nodiscard]] filter in(std::vector<std::string> values) const {
        return compare(comparison::in, std::move(values));
    }
    [[nodiscard]] filter not_in(std::vector<std::string> values) const {
        return compare(comparison::not_in, std::move(values));
    }
};

struct optional_text_field : text_field {
    using text_field::text_field;
    [[nodiscard]] filter exists() const { return compare(comparison::is_not_null); }
    [[nodiscard]] filter is_absent() const { return compare(comparison::is_null); }
};

// Compares only with a checked value of the same key.
template <class Key>
struct key_field : pattern_field {
    key_field() : pattern_field(subject::metadata, Key::name) {}
    friend filter operator==(const key_field& f, const Key& value) {
        return f.compare_text(comparison::equal, value.view());
    }
    friend filter operator!=(const key_field& f, const Key& value) {
        return f.compare_text(comparison::not_equal, value.view());
    }
    [[nodiscard]] filter exists() const { return compare(comparison::is_not_null); }
    [[nodiscard]] filter is_absent() const { return compare(comparison::is_null); }
    friend filter operator==(const key_field& f, absent<Key>) { return f.is_absent(); }
    friend filter operator!=(const key_field& f, absent<Key>) { return f.exists(); }
};

template <>
struct key_field<client_request_id> : listed_field {
    key_field() : listed_field(subject::client_request_id) {}
    friend filter operator==(const key_field& f, const client_request_id& value) { return f == value.view(); }
    friend filter operator!=(const key_field& f, const client_request_id& value) { return f != value.view(); }
};

struct status_field : field_base {
    status_field() : field_base(subject::status) {}
    friend filter operator==(const status_field& f, trace_status value) {
        return f.compare_text(comparison::equal, to_string(value));
    }
    friend filter operator!=(const status_field& f, trace_status value) {
        return f.compare_text(comparison::not_equal, to_string(value));
    }
    [[nodiscard]] filter in(std::initializer_list<trace_status> values) const {
        std::vector<std::string> texts;
        for (const trace_status value : values) texts.emplace_back(to_string(value));
        return compare(comparison::in, std::move(texts));
    }
};

// MLflow stores whole milliseconds, so finer units do not convert.
template <class Value>
struct number_field : field_base {
    using field_base::field_base;
    friend filter operator==(const number_field& f, Value v) { return f.by(comparison::equal, v); }
    friend filter operator!=(const number_field& f, Value v) { return f.by(comparison::not_equal, v); }
    friend filter operator<(const number_field& f, Value v) { return f.by(comparison::less, v); }
    friend filter operator<=(const number_field& f, Value v) { return f.by(comparison::less_equal, v); }
    friend filter operator>(const number_field& f, Value v) { return f.by(comparison::greater, v); }
    friend filter operator>=(const number_field& f, Value v) { return f.by(comparison::greater_equal, v); }

    [[nodiscard]] ordering ascending() const noexcept { return {what_, false}; }
    [[nodiscard]] ordering descending() const noexcept { return {what_, true}; }

private:
    [[nodiscard]] filter by(comparison how, Value value) const {
        if constexpr (std::is_same_v<Value, trace_time>) return compare_number(how, value.time_since_epoch());
        else return compare_number(how, value);
    }
};

// Feedback and expectations are stored as JSON.
struct assessment_field : field_base {
    using field_base::field_base;
    friend filter operator==(const assessment_field& f, std::string_view v) { return f.text(comparison::equal, v); }
    friend filter operator!=(const assessment_field& f, std::string_view v) {
        return f.text(comparison::not_equal, v);
    }
    friend filter operator==(const assessment_field& f, const char* v) { return f.text(comparison::equal, v); }
    friend filter operator!=(const assessment_field& f, const char* v) { return f.text(comparison::not_equal, v); }
    template <class Number>
        requires std::is_arithmetic_v<Number>
    friend filter operator==(const assessment_field& f, Number v) {
        return f.text(comparison::equal, json(v));
    }
    template <class Number>
        requires std::is_arithmetic_v<Number>
    friend filter operator!=(const assessment_field& f, Number v) {
        return f.text(comparison::not_equal, json(v));
    }
    [[nodiscard]] filter exists() const { return compare(comparison::is_not_null); }
    [[nodiscard]] filter is_absent() const { return compare(comparison::is_null); }

private:
    [[nodiscard]] filter text(comparison how, std::string_view v) const { return compare_text(how, v); }
    template <class Number>
    static std::string json(Number value) {
        buffer text;
        append_json(text, value);
        return std::string(whole(text));
    }
};

} // namespace detail

/// The fields of filters. `namespace field = mlflow::trace::field;` makes filters readable: `field::user ==
/// mt::user{"user-123"} && field::status == field::error`. The fields of users, sessions and typed keys compare only
/// with values of these types.
namespace field {

/// The user.
inline const detail::key_field<trace::user> user;
/// The session.
inline const detail::key_field<trace::session> session;
/// A typed key: `field::key<segment> == segment{"pro"}`.
template <metadata_key Key>
inline const detail::key_field<Key> key;
/// The client request ID.
inline const detail::key_field<trace::client_request_id> client_request_id;

/// A metadata key that is known only at run time.
[[nodiscard]] inline detail::optional_text_field metadata(std::string_view key) {
    return detail::optional_text_field(subject::metadata, key);
}
/// A tag.
[[nodiscard]] inline detail::optional_text_field tag(std::string_view key) {
    return detail::optional_text_field(subject::tag, key);
}

/// The name of the trace.
inline const detail::text_field name{subject::name};
/// The ID of the trace.
inline const detail::listed_field trace_id{subject::trace_id};
/// The MLflow run of the trace.
inline const detail::text_field run_id{subject::run_id};
/// How the trace ended.
inline const detail::status_field status;
inline constexpr trace_status ok = trace_status::ok;                   ///< for `status`
inline constexpr trace_status error = trace_status::error;             ///< for `status`
inline constexpr trace_status in_progress = trace_status::in_progress; ///< for `status`
/// When the trace started.
inline const detail::number_field<trace_time> timestamp{subject::timestamp};
/// When the trace ended.
inline const detail::number_field<trace_time> end_time{subject::end_time};
/// How long the trace took.
inline const detail::number_field<std::chrono::milliseconds> execution_time{subject::execution_time};

// The fields below work only in searches on a server, because traces in a file have no assessments and are searched
// without their spans.
/// The name of any span.
inline const detail::listed_field span_name{subject::span, "name"};
/// The type of any span.
inline const detail::listed_field span_type{subject::span, "type"};
/// The status of any span.
inline const detail::listed_field span_status{subject::span, "status"};
/// An attribute of any span.
[[nodiscard]] inline detail::pattern_field span_attribute(std::string_view key) {
    return detail::pattern_field(subject::span_attribute, key);
}
/// The content of all spans.
inline const detail::pattern_field text{subject::text};
/// Feedback with this name.
[[nodiscard]] inline detail::assessment_field feedback(std::string_view assessment) {
    return detail::assessment_field(subject::feedback, assessment);
}
/// An expectation with this name.
[[nodiscard]] inline detail::assessment_field expectation(std::string_view assessment) {
    return detail::assessment_field(subject::expectation, assessment);
}

} // namespace field
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
