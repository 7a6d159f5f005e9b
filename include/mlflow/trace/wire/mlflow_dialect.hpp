// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/wire/key_values.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <cstddef>
#include <string_view>

// The ways in which MLflow reads OTLP differently from other receivers.
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Appends an attribute. Text that MLflow would read as JSON is encoded as a JSON string, so that MLflow stores it
// unchanged.
inline bool append_text_for_mlflow(buffer& out, std::string_view key, std::string_view text) {
    // A number of more than 4300 digits makes Python raise an error that MLflow does not expect, even if the text is
    // not JSON as a whole.
    const auto is_taken_for_json = [text] { return text.size() > 4'300 || is_json_document(text); };
    if (may_be_json(text) && is_taken_for_json())
        return append_json_attribute(out, otlp::attributes, key, [&] { return append_json_string(out, text); });
    return append_text_attribute(out, otlp::attributes, key, text);
}

// MLflow's server stores some JSON that it cannot read again; every page of a search that contains such a trace then
// fails. This is JSON nested in more than 45 levels, or with an integer outside the range of a signed 64-bit integer
// (found with MLflow 3.17). The limit here is 40 levels, which leaves a margin. `json` must be well-formed.
inline bool mlflow_can_read(std::string_view value) noexcept {
    constexpr int deepest = 40;
    int depth = 0;
    for (std::size_t at = 0; at < value.size(); ++at) {
        const char c = value[at];
        if (c == '"') {
            for (++at; at < value.size() && value[at] != '"'; ++at)
                if (value[at] == '\\') ++at;
        } else if (c == '[' || c == '{') {
            if (++depth > deepest) return false;
        } else if (c == ']' || c == '}') {
            --depth;
        } else if (c >= '0' && c <= '9') {
            const std::size_t begin = at;
            while (at < value.size() && value[at] >= '0' && value[at] <= '9') ++at;
            const std::string_view digits = value.substr(begin, at - begin);
            const bool is_integer = at == value.size() || (value[at] != '.' && value[at] != 'e' && value[at] != 'E');
            const bool is_negative = begin > 0 && value[begin - 1] == '-';
            const std::string_view most = is_negative ? "9223372036854775808" : "9223372036854775807";
            if (is_integer && (digits.size() > most.size() || (digits.size() == most.size() && digits > most)))
                return false;
            if (!is_integer) // the fraction and the exponent are not integers of their own
                while (at < value.size() &&
                       std::string_view("0123456789.eE+-").find(value[at]) != std::string_view::npos)
                    ++at;
            --at;
        }
    }
    return true;
}

// JSON that MLflow cannot read is stored as text. Text that MLflow would read as JSON is encoded as a JSON string.
inline bool append_attribute_for_mlflow(buffer& out, std::string_view key_value, std::string_view raw) {
    const auto [key, text] = text_attribute(key_value);
    if (!text.data()) return out.append(raw);
    if (!is_meant_as_json(key_value)) return append_text_for_mlflow(out, key, text);
    if (mlflow_can_read(text)) return out.append(raw);
    return append_json_attribute(out, otlp::attributes, key,
                                 [&out, json = text] { return append_json_string(out, json); });
}

// Appends the body of a span that `needs_rewrite`.
inline bool append_body_for_mlflow(buffer& out, std::string_view body) {
    for (protobuf_reader at(body); at.next();) {
        const bool is_attribute = at.field() == otlp::attributes;
        if (is_attribute ? !append_attribute_for_mlflow(out, at.bytes(), at.raw()) : !out.append(at.raw()))
            return false;
    }
    return true;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
