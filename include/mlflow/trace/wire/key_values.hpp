// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

struct key_and_value {
    std::string_view key;
    std::string_view any_value;
};

inline key_and_value split_key_value(std::string_view key_value) noexcept {
    key_and_value found;
    for (protobuf_reader at(key_value); at.next();) {
        if (at.field() == otlp::key) found.key = at.bytes();
        else if (at.field() == otlp::value) found.any_value = at.bytes();
    }
    return found;
}

// The key and the text of a KeyValue. The text's data() is null if the value is of another type.
inline std::pair<std::string_view, std::string_view> text_attribute(std::string_view key_value) noexcept {
    const auto [key, any_value] = split_key_value(key_value);
    std::pair<std::string_view, std::string_view> found(key, {});
    for (protobuf_reader any(any_value); any.next();)
        if (any.field() == otlp::string_value) found.second = any.bytes();
    return found;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
