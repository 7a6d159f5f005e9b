// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Decodes the content of a JSON string. Invalid UTF-8 and unpaired surrogates become U+FFFD.
inline std::string unescaped(std::string_view raw) {
    if (raw.find('\\') == std::string_view::npos && is_valid_utf8(raw)) return std::string(raw);
    buffer text;
    unescape_json(raw, [&text](std::string_view piece) { append_utf8(text, piece); });
    return std::string(whole(text));
}

struct json_node {
    enum class kind : std::uint8_t { null, boolean, number, text, array, object };

    std::string_view raw{};  // of a string, the text between its quotes; of other scalars, the whole text
    std::string_view key{};  // of a member of an object, between its quotes
    std::uint32_t count = 1; // nodes from this one to its last descendant
    kind what = kind::null;
};

// A value in a json_tree, which must outlive it. A missing value is null.
class json_value {
public:
    using kind = json_node::kind;

    json_value() noexcept : at_(&nothing()) {}
    explicit json_value(const json_node& at) noexcept : at_(&at) {}

    [[nodiscard]] kind what() const noexcept { return at_->what; }
    [[nodiscard]] bool is(kind which) const noexcept { return at_->what == which; }
    [[nodiscard]] bool is_true() const noexcept { return at_->raw == "true"; }
    [[nodiscard]] std::string_view raw() const noexcept { return at_->raw; }
    [[nodiscard]] std::string key() const { return unescaped(at_->key); }
    [[nodiscard]] bool is_named(std::string_view name) const noexcept {
        return at_->key == name || (at_->key.find('\\') != std::string_view::npos && is_json_key(at_->key, name));
    }
    [[nodiscard]] bool empty() const noexcept { return at_->count == 1; }

    [[nodiscard]] std::string text() const { return is(kind::text) ? unescaped(at_->raw) : std::string(); }

    // Whether it is a number without fraction and exponent.
    [[nodiscard]] bool is_integer() const noexcept {
        return is(kind::number) && at_->raw.find_first_of(".eEN") == std::string_view::npos &&
               !at_->raw.ends_with("Infinity");
    }
    // The value of a number that fits into 64 bits with a sign, also if it is written as 5.0 or 5e0.
    [[nodiscard]] std::optional<std::int64_t> integer() const noexcept {
        if (!is(kind::number)) return std::nullopt;
        return is_integer() ? integer_in(at_->raw) : integer_in(number());
    }
    [[nodiscard]] double number() const noexcept {
        const std::string_view raw = at_->raw;
        if (!is(kind::number) || raw == "NaN") return std::numeric_limits<double>::quiet_NaN();
        if (raw.ends_with("Infinity"))
            return raw.starts_with('-') ? -std::numeric_limits<double>::infinity()
                                        : std::numeric_limits<double>::infinity();
        double read = 0;
        const auto [end, error] = std::from_chars(raw.data(), raw.data() + raw.size(), read);
        if (error != std::errc::result_out_of_range) return read;
        const auto exponent = raw.find_first_of("eE");
        const bool is_tiny = exponent != std::string_view::npos && raw.substr(exponent + 1).starts_with('-');
        const double huge = is_tiny ? 0 : std::numeric_limits<double>::infinity();
        return raw.starts_with('-') ? -huge : huge;
    }

    static std::optional<std::int64_t> integer_in(std::string_view digits) noexcept {
        std::int64_t read = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), read);
        if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
        return read;
    }
    static std::optional<std::int64_t> integer_in(double number) noexcept {
        constexpr double end = 9223372036854775808.0; // 2^63
        if (!(number >= -end && number < end) || std::trunc(number) != number) return std::nullopt;
        return static_cast<std::int64_t>(number);
    }

    class iterator {
    public:
        explicit iterator(const json_node* at) noexcept : at_(at) {}
        json_value operator*() const noexcept { return json_value(*at_); }
        iterator& operator++() noexcept {
            at_ += at_->count;
            return *this;
        }
        bool operator==(const iterator&) const noexcept = default;

    private:
        const json_node* at_;
    };
    // The members of an object or the elements of an array, in order; empty for other values.
    [[nodiscard]] iterator begin() const noexcept { return iterator(at_ + 1); }
    [[nodiscard]] iterator end() const noexcept { return iterator(at_ + at_->count); }

    // The last member with this name.
    [[nodiscard]] json_value operator[](std::string_view name) const noexcept {
        json_value found;
        if (is(kind::object))
            for (const json_value member : *this)
                if (member.is_named(name)) found = member;
        return found;
    }
    // For OTLP's fields, which have a second spelling.
    [[nodiscard]] json_value any_of(std::string_view name, std::string_view other) const noexcept {
        const json_value found = (*this)[name];
        return found.is(kind::null) ? (*this)[other] : found;
    }
    [[nodiscard]] bool contains(std::string_view name) const noexcept {
        if (is(kind::object))
            for (const json_value member : *this)
                if (member.is_named(name)) return true;
        return false;
    }

private:
    static const json_node& nothing() noexcept {
        static const json_node none{};
        return none;
    }
    const json_node* at_;
};

// The client's JSON parser. It accepts what Python's json.loads accepts. Values are views of the parsed text.
class json_tree {
public:
    // Returns false if the text is not a JSON document. Values nested deeper than `deepest` levels become null.
    [[nodiscard]] bool read(std::string_view text, std::size_t deepest = json_cursor::max_depth) {
        const auto first = read_whole(text, deepest);
        is_too_deep_ = first == json_cursor::outcome::too_deep;
        if (!is_too_deep_) return first == json_cursor::outcome::complete;
        shallow_ = without_what_is_too_deep(text, deepest);
        return read_whole(shallow_, deepest) == json_cursor::outcome::complete;
    }
    // As `read`, but returns false if a value is nested deeper.
    [[nodiscard]] bool read_no_deeper(std::string_view text, std::size_t deepest) {
        return read_whole(text, deepest) == json_cursor::outcome::complete;
    }
    // Whether values of the last text that was read are null because they are nested too deep.
    [[nodiscard]] bool is_too_deep() const noexcept { return is_too_deep_; }
    [[nodiscard]] json_value root() const noexcept { return nodes_.empty() ? json_value() : json_value(nodes_[0]); }

private:
    struct builder {
        std::vector<json_node>& nodes;
        std::vector<std::uint32_t>& open;
        std::string_view name{};

        void key(std::string_view raw) { name = raw; }
        void scalar(std::string_view raw) {
            using kind = json_node::kind;
            json_node& added = add();
            added.what = raw[0] == '"'                    ? kind::text
                         : raw[0] == 'n'                  ? kind::null
                         : raw[0] == 't' || raw[0] == 'f' ? kind::boolean
                                                          : kind::number;
            added.raw = added.what == kind::text ? raw.substr(1, raw.size() - 2) : raw;
        }
        void begin(bool is_object) {
            open.push_back(static_cast<std::uint32_t>(nodes.size()));
            add().what = is_object ? json_node::kind::object : json_node::kind::array;
        }
        void end() {
            nodes[open.back()].count = static_cast<std::uint32_t>(nodes.size()) - open.back();
            open.pop_back();
        }
        json_node& add() {
            json_node& added = nodes.emplace_back();
            added.key = name;
            name = {};
            return added;
        }
    };

    json_cursor::outcome read_whole(std::string_view text, std::size_t deepest) {
        nodes_.clear();
        open_.clear();
        json_cursor cursor(text);
        const auto outcome = cursor.read(deepest, builder{nodes_, open_});
        if (outcome != json_cursor::outcome::complete) return outcome;
        cursor.whitespace();
        return cursor.rest().empty() ? outcome : json_cursor::outcome::malformed;
    }

    static std::string without_what_is_too_deep(std::string_view text, std::size_t deepest) {
        std::string kept;
        std::size_t depth = 0;
        bool in_text = false;
        for (std::size_t at = 0; at < text.size(); ++at) {
            const char c = text[at];
            const bool is_opening = !in_text && (c == '{' || c == '[');
            const bool is_closing = !in_text && (c == '}' || c == ']') && depth > 0;
            if (is_opening && depth++ == deepest) kept += "null";
            if (depth <= deepest) kept += c;
            if (is_closing) --depth;
            if (in_text && c == '\\' && at + 1 < text.size() && ++at && depth <= deepest) kept += text[at];
            if (c == '"') in_text = !in_text;
        }
        return kept;
    }

    std::vector<json_node> nodes_;
    std::vector<std::uint32_t> open_;
    std::string shallow_;
    bool is_too_deep_ = false;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
