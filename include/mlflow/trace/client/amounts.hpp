// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/any_value.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Token counts or costs of a span, or their sums for a trace.
template <class Number, std::size_t Count>
struct amounts {
    bool there = false; // the attribute exists, even if it is empty
    std::uint8_t known = 0;
    Number values[Count]{};

    void set(std::size_t which, Number value) noexcept {
        there = true;
        known = static_cast<std::uint8_t>(known | 1U << which);
        values[which] = value;
    }
    [[nodiscard]] bool has(std::size_t which) const noexcept { return (known >> which & 1U) != 0; }
};
// Exact for 64-bit integers.
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

// Reads an attribute with amounts: JSON text, or an OTLP key-value list.
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
