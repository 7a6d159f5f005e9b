// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client.hpp>

#include <string>
#include <string_view>

// What a span says of an exception: an event named `exception`, as OpenTelemetry and MLflow record it.
namespace exceptions {

namespace mt = mlflow::trace;

// A text that MLflow stores as JSON.
inline std::string unquoted(const std::string& stored) {
    if (!stored.starts_with('"')) return stored;
    const auto text = mt::detail::parse_json(stored);
    return text && text->is_string() ? text->get<std::string>() : stored;
}

struct thrown {
    std::string type;
    std::string message;
    std::string stack;

    /// The message of a status, with the type and the text of the exception where it lacks them.
    [[nodiscard]] std::string told_with(const std::string& status) const {
        const auto has = [](std::string_view text, std::string_view part) {
            return text.find(part) != std::string_view::npos;
        };
        std::string text = has(message, type) ? message : message.empty() ? type : type + ": " + message;
        if (has(status, text)) return status;
        if (has(text, status)) return text;
        if (!message.empty() && has(status, message)) return has(status, type) ? status : type + ": " + status;
        return status + " (" + text + ')';
    }
};

// The last one of a span, from either source: the cause of a failure is the exception that left the span.
template <class Text>
void tell(thrown& last, std::string_view event, Text text_of) {
    if (event == "exception")
        last = {text_of("exception.type"), text_of("exception.message"), text_of("exception.stacktrace")};
}

inline thrown last_of(const mt::stored_span& span) {
    thrown last;
    for (const mt::stored_span::event& one : span.events)
        tell(last, one.name, [&](const char* key) {
            const auto found = one.attributes.find(key);
            return found == one.attributes.end() ? std::string() : unquoted(found->second);
        });
    return last;
}

inline thrown last_of(mt::detail::json_value events) {
    thrown last;
    if (!events.is(mt::detail::json_value::kind::array)) return last;
    for (const auto event : events) {
        const mt::detail::span_attributes all(event["attributes"]);
        tell(last, event["name"].text(), [&](const char* key) {
            const auto value = all[key];
            return value.is_none() ? std::string() : value.text();
        });
    }
    return last;
}

} // namespace exceptions
