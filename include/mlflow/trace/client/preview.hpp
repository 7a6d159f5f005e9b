// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <optional>
#include <string>
#include <string_view>

// The previews of a trace's inputs and outputs, as MLflow computes them (3.17, mlflow/tracing/utils/truncation.py).

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The last message with this role in an object of OpenAI's format; without one, the last message.
inline std::optional<json_value> message_to_show(json_value object, std::string_view role) {
    using kind = json_value::kind;
    const auto is_message = [](json_value item) { return item.contains("role") && item.contains("content"); };
    const auto of_list = [&](json_value list) {
        std::optional<json_value> last;
        bool has_role = false;
        for (const json_value item : list) {
            if (!is_message(item)) continue;
            const bool is_of_role = item["role"].is(kind::text) && item["role"].text() == role;
            if (is_of_role || !has_role) last = item;
            has_role = has_role || is_of_role;
        }
        return last;
    };
    for (int level = 0; level < 64 && object.is(kind::object); ++level) {
        if (const json_value list = object["messages"]; list.is(kind::array) && !list.empty()) return of_list(list);
        if (const json_value choices = object["choices"]; choices.is(kind::array) && !choices.empty())
            if (const json_value message = (*choices.begin())["message"]; is_message(message)) return message;
        for (const char* const key : {"input", "output"})
            if (const json_value list = object[key]; list.is(kind::array) && !list.empty()) return of_list(list);
        object = object["request"];
    }
    return std::nullopt;
}

inline std::string text_of_message(json_value message) {
    using kind = json_value::kind;
    const json_value content = message["content"];
    if (!content.is(kind::array)) return content.text();
    for (const json_value part : content) {
        if (part.is(kind::text)) return part.text();
        if (const std::string type = part["type"].text(); type == "text" || type == "output_text")
            return part["text"].text();
    }
    return {};
}

inline std::string shortened(std::string_view text) {
    constexpr std::size_t longest = 1000; // MLflow's limit
    const auto head = first_code_points(text, longest);
    return head.size() == text.size() ? std::string(text) : std::string(first_code_points(text, longest - 3)) + "...";
}

// `stored` is JSON as MLflow stores it.
inline std::string preview_of(const std::string& stored, std::string_view role) {
    if (stored.find('{') != std::string::npos && stored.find_first_not_of(" \t\n\r") == stored.find('{'))
        if (json_tree tree; tree.read(stored))
            if (const auto message = message_to_show(tree.root(), role))
                if (const std::string text = text_of_message(*message); !text.empty()) return shortened(text);
    return shortened(stored);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
