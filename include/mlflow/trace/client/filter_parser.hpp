// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/filter.hpp>

#include <charconv>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Parses MLflow's grammar, as far as `filter` can express it. Stricter than MLflow's parser, which guesses in some
// cases.
class filter_parser {
public:
    explicit filter_parser(std::string_view text) noexcept : rest_(text) {}

    result<filter> parse() {
        filter parsed;
        if (skip_spaces(); rest_.empty()) return parsed;
        do {
            auto next = parse_clause();
            if (!next) return refuse();
            parsed = std::move(parsed) && filter(std::move(*next));
        } while (take_word("AND"));
        if (skip_spaces(); rest_.empty()) return parsed;
        if (take_word("OR")) say("OR is not in MLflow's grammar; run one search for each side");
        say("expected AND");
        return refuse();
    }

private:
    failure refuse() const {
        return failure{error(error_kind::bad_request, "filter",
                             fault_ + ", before \"" + displayed(first_code_points(rest_, 40)) + '"')};
    }
    std::nullopt_t say(std::string_view fault) {
        if (fault_.empty()) fault_ = fault;
        return std::nullopt;
    }
    void skip_spaces() noexcept {
        const auto begin = rest_.find_first_not_of(" \t\r\n");
        rest_.remove_prefix(begin == std::string_view::npos ? rest_.size() : begin);
    }
    static bool is_word(char c) noexcept {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    std::string_view take_bare() noexcept {
        std::size_t size = 0;
        while (size < rest_.size() && is_word(rest_[size])) ++size;
        const auto word = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return word;
    }
    bool take_word(std::string_view upper) {
        skip_spaces();
        const auto before = rest_;
        std::string word(take_bare());
        for (char& c : word)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
        if (word == upper) return true;
        rest_ = before;
        return false;
    }
    bool take(std::string_view sign) noexcept {
        skip_spaces();
        if (!rest_.starts_with(sign)) return false;
        rest_.remove_prefix(sign.size());
        return true;
    }

    // Parses a key: words separated by dots, or any text in backticks.
    std::optional<std::string> parse_key() {
        if (rest_.starts_with('`')) {
            rest_.remove_prefix(1);
            const auto end = rest_.find('`');
            if (end == std::string_view::npos) return say("a backtick is not closed");
            std::string key(rest_.substr(0, end));
            rest_.remove_prefix(end + 1);
            return key;
        }
        std::string key;
        do {
            const auto word = take_bare();
            if (word.empty() && key == span_attributes) return key; // followed by a key in backticks
            if (word.empty())
                return say(
                    "expected a key; one with characters other than letters, digits and _ must be in backticks");
            key += word;
            if (!rest_.starts_with('.')) return key;
            key += '.';
            rest_.remove_prefix(1);
        } while (true);
    }

    std::optional<clause> parse_subject() {
        skip_spaces();
        const std::string_view first = take_bare();
        const bool is_qualified = rest_.starts_with('.');
        if (is_qualified) rest_.remove_prefix(1);
        if (first.empty()) return say("expected a field such as trace.status or metadata.`key`");
        clause found{.what = subject::metadata, .how = comparison::equal};
        std::string_view attribute = first;
        if (is_qualified) {
            auto key = parse_key();
            if (!key) return std::nullopt;
            found.key = std::move(*key);
            if (first == "trace" || first == "attribute" || first == "attributes") {
                attribute = found.key;
            } else {
                if (first == "tag" || first == "tags") found.what = subject::tag;
                else if (first == "span") return parse_span(std::move(found));
                else if (first == "feedback") found.what = subject::feedback;
                else if (first == "expectation") found.what = subject::expectation;
                else if (first != "metadata" && first != "request_metadata")
                    return say("fields are trace.…, metadata.…, tag.…, span.…, feedback.… and expectation.…");
                return found;
            }
        }
        constexpr std::pair<std::string_view, subject> attributes[] = {
            {"status", subject::status},
            {"name", subject::name},
            {"request_id", subject::trace_id},
            {"client_request_id", subject::client_request_id},
            {"run_id", subject::run_id},
            {"timestamp", subject::timestamp},
            {"timestamp_ms", subject::timestamp},
            {"execution_time", subject::execution_time},
            {"execution_time_ms", subject::execution_time},
            {"end_time", subject::end_time},
            {"end_time_ms", subject::end_time},
            {"text", subject::text}};
        for (const auto& [name, what] : attributes)
            if (name == attribute) return clause{.what = what, .how = comparison::equal};
        return say("unknown attribute of a trace");
    }

    std::optional<clause> parse_span(clause found) {
        if (found.key.starts_with(span_attributes)) {
            found.what = subject::span_attribute;
            found.key.erase(0, span_attributes.size());
            if (!found.key.empty()) return found;
            auto key = parse_key();
            if (!key) return std::nullopt;
            found.key = std::move(*key);
            return found;
        }
        if (found.key != "name" && found.key != "type" && found.key != "status")
            return say("for spans, only name, type, status and attributes.… can be searched");
        found.what = subject::span;
        return found;
    }

    std::optional<comparison> parse_comparison() {
        constexpr std::pair<std::string_view, comparison> signs[] = {
            {"!=", comparison::not_equal}, {"<=", comparison::less_equal}, {">=", comparison::greater_equal},
            {"=", comparison::equal},      {"<", comparison::less},        {">", comparison::greater}};
        for (const auto& [sign, how] : signs)
            if (take(sign)) return how;
        if (take_word("LIKE")) return comparison::like;
        if (take_word("ILIKE")) return comparison::ilike;
        if (take_word("RLIKE")) return comparison::rlike;
        if (take_word("IN")) return comparison::in;
        if (take_word("NOT") && take_word("IN")) return comparison::not_in;
        if (take_word("IS")) {
            const bool is_not = take_word("NOT");
            if (take_word("NULL")) return is_not ? comparison::is_not_null : comparison::is_null;
        }
        return say("expected an operator");
    }

    // MLflow's parser treats a doubled quote, and a backslash before a quote, as part of the value.
    std::optional<std::string> parse_text() {
        skip_spaces();
        if (!rest_.starts_with('\'') && !rest_.starts_with('"')) return say("expected a value in quotes");
        const char quote = rest_.front();
        const auto end = rest_.find(quote, 1);
        if (end == std::string_view::npos) return say("a quote is not closed");
        std::string value(rest_.substr(1, end - 1));
        if (value.ends_with('\\') || rest_.substr(end + 1).starts_with(quote))
            return say("the value contains a quote; use the other kind of quotes");
        rest_.remove_prefix(end + 1);
        return value;
    }

    bool parse_list(clause& found) {
        if (!take("(")) return say("expected a list in parentheses"), false;
        do {
            auto value = parse_text();
            if (!value) return false;
            found.values.push_back(std::move(*value));
        } while (take(","));
        return take(")") || (say("a list is not closed"), false);
    }

    bool parse_number(clause& found) {
        skip_spaces();
        std::int64_t number = 0;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
        if (error != std::errc{}) return say("expected a number of milliseconds"), false;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        if (!rest_.empty() && (is_word(rest_.front()) || rest_.front() == '.'))
            return say("expected a whole number"), false;
        found.milliseconds = number;
        return true;
    }

    static bool is_number(subject what) noexcept {
        return what == subject::timestamp || what == subject::execution_time || what == subject::end_time;
    }

    // The operators that MLflow 3.17 accepts, from its VALID_…_COMPARATORS.
    static bool may_compare(const clause& c) noexcept {
        const bool is_pattern = c.how == comparison::like || c.how == comparison::ilike;
        if (is_number(c.what)) return c.how <= comparison::greater_equal;
        if (c.what == subject::text || c.what == subject::span_attribute) return is_pattern;
        const bool is_equality = c.how == comparison::equal || c.how == comparison::not_equal;
        if (is_equality || is_pattern || c.how == comparison::rlike) return true;
        const bool is_null = c.how == comparison::is_null || c.how == comparison::is_not_null;
        const bool is_list = c.how == comparison::in || c.how == comparison::not_in;
        switch (c.what) {
        case subject::metadata:
        case subject::tag:
        case subject::feedback:
        case subject::expectation: return is_null;
        case subject::status:
        case subject::trace_id:
        case subject::client_request_id:
        case subject::span: return is_list;
        default: return false;
        }
    }

    std::optional<clause> parse_clause() {
        auto found = parse_subject();
        if (!found) return std::nullopt;
        const auto how = parse_comparison();
        if (!how) return std::nullopt;
        found->how = *how;
        if (!may_compare(*found)) return say("MLflow does not support this operator for this field");
        if (*how == comparison::is_null || *how == comparison::is_not_null) return found;
        if (*how == comparison::in || *how == comparison::not_in)
            return parse_list(*found) ? std::move(found) : std::nullopt;
        if (is_number(found->what)) return parse_number(*found) ? std::move(found) : std::nullopt;
        auto value = parse_text();
        if (!value) return std::nullopt;
        found->values.push_back(std::move(*value));
        if (auto fault = fault_of(*found); !fault.empty()) return say(fault);
        return found;
    }

    static constexpr std::string_view span_attributes = "attributes.";
    std::string_view rest_;
    std::string fault_;
};

} // namespace detail

/// Parses a filter in MLflow's grammar, such as trace.status = 'OK' AND metadata.`app.segment` = 'pro'.
///
/// Errors, with reason and position: everything that MLflow would reject, and quotes inside quotes, which MLflow does
/// not parse as expected. A filter from outside therefore cannot hide clauses that are added to it.
[[nodiscard]] inline result<filter> parse_filter(std::string_view text) {
    return detail::filter_parser(text).parse();
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
