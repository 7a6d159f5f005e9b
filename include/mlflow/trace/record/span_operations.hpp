// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/record/span_writer.hpp>
#include <mlflow/trace/record/trace_state.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// A named value among the inputs of a span: `mt::arg("message", message)`. Refers to the value: use it in the same
/// expression.
template <class T>
struct named_value {
    std::string_view name;
    const T& value;
};

template <class T>
[[nodiscard]] constexpr named_value<T> arg(std::string_view name, const T& value) noexcept {
    return {name, value};
}

namespace detail {

// What the library writes itself. By another way these would make a user or session unchecked, or a span contradict
// itself.
constexpr bool is_reserved_attribute(std::string_view key) noexcept {
    const auto is_one_of = [key](auto... names) { return ((key == std::string_view(names)) || ...); };
    switch (key.front()) {
    case 'u': return key == "user.id";
    case 's': return key == "session.id";
    case 'g': return key == "gen_ai.conversation.id";
    case 'm':
        return key.starts_with("mlflow.") &&
               (key.starts_with("mlflow.trace") ||
                is_one_of("mlflow.spanType", "mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tokenUsage",
                          "mlflow.llm.model", "mlflow.llm.provider", "mlflow.llm.cost", "mlflow.spanLogLevel"));
    default: return false;
    }
}

// What writes into an open span, whoever owns it.
class span_operations {
public:
    explicit span_operations(span_data& span) noexcept : span_(&span) {}

    template <class T>
    void attribute(std::string_view key, const T& value) noexcept {
        if (key.empty() || is_reserved_attribute(key))
            return span_->trace->owner->report({key.empty() ? fault::empty : fault::reserved, key});
        if constexpr (std::is_invocable_v<const T&>) {
            evaluate(value, [&](const auto& result) { attribute(key, result); });
        } else {
            const auto* const rules = span_->body.rules;
            const bool is_one_too_many = rules && span_->attributes >= rules->limits.attributes;
            const bool written = !is_one_too_many && write_attribute(key, value);
            ++(written ? span_->attributes : span_->dropped_attributes);
        }
    }

    // The library's own, under a key that is reserved.
    template <class T>
    void own_attribute(std::string_view key, const T& value) noexcept {
        const without_rules own(span_->body);
        write_attribute(key, value);
    }
    template <class... T>
    void own_json_object(std::string_view key, const named_value<T>&... members) noexcept {
        const without_rules own(span_->body);
        json_object_attribute(key, members...);
    }

    template <class... T>
    void json_object_attribute(std::string_view key, const named_value<T>&... members) noexcept {
        span_->look_closer = span_->look_closer || !(is_plain<T> && ...);
        write_json(key, [&](auto& out) {
            json_object object(out);
            (object.member(members.name, members.value), ...);
            return object.close();
        });
    }

    template <class T>
    void json_attribute(std::string_view key, const T& value) noexcept {
        if constexpr (std::is_invocable_v<const T&>) {
            evaluate(value, [&](const auto& result) { json_attribute(key, result); });
        } else if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, char>) {
            if (!write_attribute(key, value)) cut(key); // of a number in a JSON text, MLflow would keep the text
        } else {
            if constexpr (nlohmann_like<T>) {
                if (value.is_boolean()) return json_attribute(key, value.template get<bool>());
                if (value.is_number_unsigned())
                    return json_attribute(key, value.template get<typename T::number_unsigned_t>());
                if (value.is_number_integer())
                    return json_attribute(key, value.template get<typename T::number_integer_t>());
                if (value.is_number_float())
                    return json_attribute(key, value.template get<typename T::number_float_t>());
            } else if constexpr (optional_like<T> && !has_encoder<T>) {
                if (value.has_value()) return json_attribute(key, *value);
            }
            span_->look_closer = span_->look_closer || !is_plain<T>;
            write_json(key, [&](auto& out) { return append_json(out, value); });
        }
    }

    template <class... T>
    void event(std::uint64_t unix_nano, std::string_view name, const named_value<T>&... attributes) noexcept {
        const auto* const rules = span_->body.rules;
        const bool is_one_too_many = rules && span_->events >= rules->limits.events;
        const bool written = !is_one_too_many && write_whole(*span_, [&](auto& out) {
            if (!out.push_back(short_tag(otlp::events, wire_type::length_delimited))) return false;
            late_length length(out);
            [[maybe_unused]] bool ignored = false; // MLflow does not read the attributes of events as JSON
            return append_fixed64_field(out, otlp::event_time, unix_nano) &&
                   append_text_field(out, otlp::event_name, name) &&
                   (append_attribute(out, otlp::event_attributes, attributes.name, attributes.value, ignored) &&
                    ...) &&
                   length.close();
        });
        ++(written ? span_->events : span_->dropped_events);
    }

    void refuse(std::string_view key) noexcept { span_->trace->owner->report({fault::out_of_range, key}); }

    template <class... T>
    void link(const trace_id& trace, span_id span, const named_value<T>&... attributes) noexcept {
        write_whole(*span_, [&](auto& out) {
            if (!out.push_back(short_tag(otlp::links, wire_type::length_delimited))) return false;
            late_length length(out);
            [[maybe_unused]] bool ignored = false; // as in events
            return append_ids(out, trace, span) &&
                   (append_attribute(out, otlp::link_attributes, attributes.name, attributes.value, ignored) &&
                    ...) &&
                   length.close();
        });
    }

    void set_status(status code, std::string_view message) noexcept {
        span_->code = code;
        const ruled_text recorded(span_->body.rules, "status.message", message);
        const without_rules own(span_->body);
        write_whole(*span_, [&](auto& out) { return append_status(out, code, recorded.view()); });
    }

    // As MLflow's own client puts it: the type of the exception, and its message.
    void fail(std::string_view exception_type, std::string_view message) noexcept {
        if (span_->level < log_level::error) level(log_level::error);
        buffer both;
        const bool is_whole = exception_type.empty() || (both.append(exception_type) && both.append(": "));
        set_status(status::error, is_whole && both.append(message) ? both.view() : message);
    }

    void type(span_type type) noexcept {
        if (!span_->has_own_level) span_->level = default_log_level(type);
        own_attribute("mlflow.spanType", type.name());
    }

    void level(log_level level) noexcept {
        span_->level = level;
        span_->has_own_level = true;
    }

    void end(std::uint64_t unix_nano) noexcept {
        own_attribute("mlflow.spanLogLevel", span_->level);
        const without_rules own(span_->body);
        write_whole(*span_, [&](auto& out) {
            using namespace otlp;
            return append_dropped(out, dropped_attributes, "mlflow_trace.dropped_attributes",
                                  span_->dropped_attributes) &&
                   append_dropped(out, dropped_events, "mlflow_trace.dropped_events", span_->dropped_events) &&
                   append_fixed64_field(out, end_time, unix_nano);
        });
    }

private:
    // What the callable throws does not reach the application.
    template <class T, class Use>
    void evaluate(const T& callable, const Use& use) noexcept {
        guarded([&] { use(callable()); }, [this] { span_->lost_something = true; });
    }

    template <class T>
    bool write_attribute(std::string_view key, const T& value) noexcept {
        return write_whole(*span_, [&](auto& out) {
            return append_attribute(out, otlp::attributes, key, value, span_->look_closer);
        });
    }
    template <class Write>
    void write_json(std::string_view key, Write&& write) noexcept {
        const bool written = write_whole(*span_, [&](auto& out) {
            const key_scope named(out, key);
            return append_json_attribute(out, otlp::attributes, key, [&] { return write(out); });
        });
        if (!written) cut(key);
    }
    void cut(std::string_view key) noexcept { own_attribute(key, std::string_view("[cut: the span is full]")); }

    span_data* span_;
};

} // namespace detail
} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
