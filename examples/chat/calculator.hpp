// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace chat {

/// A recursive-descent parser that evaluates + - * / with the usual precedence, signs and parentheses.
class calculator {
public:
    /// The value of `expression`. Throws std::invalid_argument with the position of a syntax error, std::domain_error
    /// for a division by zero, and std::overflow_error for a result that is too large for a double.
    static double evaluate(std::string_view expression) {
        calculator parser{expression};
        const double value = parser.sum();
        if (parser.next() != end) parser.refuse("an operator");
        if (!std::isfinite(value)) throw std::overflow_error("the result is too large");
        return value;
    }

private:
    static constexpr char end = '\0';
    static constexpr int deepest = 100; ///< nested signs and parentheses; limits the stack

    explicit calculator(std::string_view text) : text_(text) {}

    double sum() {
        double value = product();
        for (;;) {
            if (take('+')) value += product();
            else if (take('-')) value -= product();
            else return value;
        }
    }

    double product() {
        double value = factor();
        for (;;) {
            if (take('*')) {
                value *= factor();
            } else if (take('/')) {
                const double divisor = factor();
                if (divisor == 0) throw std::domain_error("division by zero in " + std::string{text_});
                value /= divisor;
            } else {
                return value;
            }
        }
    }

    double factor() {
        if (depth_ == deepest) refuse("less nesting");
        ++depth_;
        const double value = take('-') ? -factor() : take('+') ? factor() : take('(') ? parenthesis() : number();
        --depth_;
        return value;
    }

    double parenthesis() {
        const double value = sum();
        if (!take(')')) refuse("')'");
        return value;
    }

    double number() {
        double value = 0;
        next();
        const char* first = text_.data() + at_;
        const auto parsed = std::from_chars(first, text_.data() + text_.size(), value, std::chars_format::fixed);
        if (parsed.ec == std::errc::result_out_of_range) throw std::overflow_error("a number is too large");
        if (parsed.ec != std::errc{} || !std::isfinite(value)) refuse("a number");
        at_ += static_cast<std::size_t>(parsed.ptr - first);
        return value;
    }

    char next() {
        at_ = std::min(text_.find_first_not_of(" \t", at_), text_.size());
        return at_ < text_.size() ? text_[at_] : end;
    }

    bool take(char wanted) {
        if (next() != wanted) return false;
        ++at_;
        return true;
    }

    [[noreturn]] void refuse(const std::string& expected) const {
        throw std::invalid_argument("expected " + expected + " at position " + std::to_string(at_ + 1) + " of \"" +
                                    std::string{text_} + '"');
    }

    std::string_view text_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

} // namespace chat
