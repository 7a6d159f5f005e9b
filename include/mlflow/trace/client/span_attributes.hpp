// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/any_value.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The attributes of a span or an event. Of equal keys the last one counts; one without a value is not there.
class span_attributes {
public:
    explicit span_attributes(json_value list = {}) {
        if (!list.is(json_value::kind::array)) return;
        for (const json_value one : list) {
            const json_value key = one["key"];
            if (!key.is(json_value::kind::text)) continue;
            const bool is_plain = key.raw().find('\\') == std::string_view::npos;
            entries_.push_back({is_plain ? key.raw() : std::string_view(), is_plain ? "" : key.text(), one["value"]});
        }
    }

    [[nodiscard]] any_value operator[](std::string_view key) const {
        for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry)
            if (entry->key() == key) return any_value(entry->value);
        return any_value();
    }
    // The first of these whose value is not empty.
    [[nodiscard]] any_value first_of(std::initializer_list<std::string_view> keys) const {
        for (const std::string_view key : keys)
            if (const any_value found = (*this)[key]; !is_nothing(found)) return found;
        return any_value();
    }
    // Calls visit(key, value) in the order in which the keys come first.
    template <class Visit>
    void for_each(std::string_view prefix, Visit visit) const {
        for (std::size_t at = 0; at < entries_.size(); ++at) {
            const std::string_view key = entries_[at].key();
            if (!key.starts_with(prefix)) continue;
            bool is_again = false;
            for (std::size_t before = 0; before < at && !is_again; ++before) is_again = entries_[before].key() == key;
            if (is_again) continue;
            if (const any_value value = (*this)[key]; !value.is_none()) visit(key, value);
        }
    }

private:
    struct attribute {
        std::string_view plain;
        std::string unescaped;
        json_value value;
        [[nodiscard]] std::string_view key() const noexcept { return plain.data() ? plain : unescaped; }
    };
    std::vector<attribute> entries_;
};

// What a span says of tokens or costs, and the sums of a trace.
template <class Number, std::size_t Count>
struct amounts {
    bool there = false; // an object of that name is there, also an empty one
    std::uint8_t known = 0;
    Number values[Count]{};

    void set(std::size_t which, Number value) noexcept {
        there = true;
        known = static_cast<std::uint8_t>(known | 1U << which);
        values[which] = value;
    }
    [[nodiscard]] bool has(std::size_t which) const noexcept { return (known >> which & 1U) != 0; }
};
// As exact as an integer of 64 bits.
using token_amounts = amounts<long double, 6>;
using cost_amounts = amounts<double, 3>;

inline constexpr std::string_view token_names[] = {"input_tokens",
                                                   "output_tokens",
                                                   "total_tokens",
                                                   "cache_read_input_tokens",
                                                   "cache_creation_input_tokens",
                                                   "cache_creation_input_tokens_above_1hr"};
inline constexpr std::string_view cost_names[] = {"input_cost", "output_cost", "total_cost"};

template <class Number>
Number amount_of(json_value value) noexcept {
    if (value.is(json_value::kind::boolean)) return value.is_true() ? 1 : 0;
    if (const auto whole = value.integer()) return static_cast<Number>(*whole);
    return static_cast<Number>(value.number());
}
template <class Number>
Number amount_of(const any_value& value) noexcept {
    if (value.what() == any_kind::boolean) return value.is_true() ? 1 : 0;
    return value.what() == any_kind::integer ? static_cast<Number>(value.integer())
                                             : static_cast<Number>(value.number());
}

// The object of amounts in an attribute: JSON text, or OTLP's own object.
template <class Number, std::size_t Count>
amounts<Number, Count> read_amounts(const any_value& any, const std::string_view (&names)[Count]) {
    using kind = json_value::kind;
    amounts<Number, Count> read;
    const auto take = [&](std::string_view key, auto value, bool is_number) {
        for (std::size_t i = 0; i < Count; ++i)
            if (key == names[i] && is_number) read.set(i, amount_of<Number>(value));
    };
    if (any.what() == any_kind::object) {
        read.there = true;
        for (const json_value one : any.values())
            if (const any_value value(one["value"]); true)
                take(one["key"].text(), value,
                     value.what() == any_kind::boolean || value.what() == any_kind::integer ||
                         value.what() == any_kind::number);
    } else if (any.what() == any_kind::text) {
        const std::string text = any.text();
        json_tree tree;
        if (!tree.read(text) || !tree.root().is(kind::object)) return read;
        read.there = true;
        for (const json_value one : tree.root()) take(one.key(), one, one.is(kind::number) || one.is(kind::boolean));
    }
    return read;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
