// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/spans/span_watch.hpp>
#include <mlflow/trace/spans/span_writer.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A value with a name, for inputs, outputs and events: `mt::arg("message", message)`. Refers to the value, so use it
/// in the same expression.
template <class T>
struct named_value {
    std::string_view name; ///< the name
    const T& value;        ///< the value
};

/// Makes a `named_value`.
template <class T>
[[nodiscard]] constexpr named_value<T> arg(std::string_view name, const T& value) noexcept {
    return {name, value};
}

namespace detail {

// A text that is converted to std::string_view, so that all texts share one instantiation.
template <class T>
inline constexpr bool is_fixed_text =
    !std::is_same_v<T, std::string_view> && (std::is_same_v<T, owned_text> || (std::is_array_v<T> && text_like<T>));

// Keys that the library writes itself. As attributes of the application they could bypass the checks of user and
// session, or contradict other fields of the span.
inline constexpr std::string_view reserved_attributes[] = {
    mlflow_names::span_type, mlflow_names::span_inputs, mlflow_names::span_outputs,   mlflow_names::token_usage,
    mlflow_names::model,     mlflow_names::provider,    mlflow_names::cost,           mlflow_names::span_log_level,
    mlflow_names::user_id,   mlflow_names::session_id,  mlflow_names::conversation_id};
constexpr bool is_reserved_attribute(std::string_view key) noexcept {
    constexpr std::string_view trace = "mlflow.trace";
    if (key.size() >= trace.size() && prefix_of(key, trace.size()) == trace) return true;
    for (const std::string_view name : reserved_attributes)
        if (key == name) return true;
    return false;
}
// The same with fewer instructions for most keys.
constexpr bool is_reserved_by_initial(std::string_view key) noexcept {
    const char initial = key.front();
    if (initial == 'm') return is_reserved_attribute(key);
    return (initial == 'u' && key == mlflow_names::user_id) || (initial == 's' && key == mlflow_names::session_id) ||
           (initial == 'g' && key == mlflow_names::conversation_id);
}

constexpr bool is_ascii_key(std::string_view text) noexcept {
    for (const char c : text)
        if (static_cast<unsigned char>(c) >= 0x80) return false;
    return true;
}

// Writes into an open span. The caller owns the span.
class span_operations {
public:
    explicit span_operations(span_data& span) noexcept : span_(&span) {}

    template <class T>
    void attribute(std::string_view key, const T& value) noexcept {
        if constexpr (is_fixed_text<T>) {
            attribute(key, std::string_view(value));
        } else if (is_inert<T> && !span_->body.rules && !key.empty() && !is_reserved_by_initial(key)) [[likely]] {
            ++span_->attributes; // there is no limit, and no code of the application runs
            if constexpr (is_encoded_directly<T>)
                if (append_short_attribute(span_->body, short_key(key), value, span_->needs_rewrite)) [[likely]]
                    return;
            write_whole(*span_, [&](auto& out) {
                return append_attribute(out, otlp::attributes, key, value, span_->needs_rewrite);
            });
        } else {
            attribute_by_rules(key, value);
        }
    }

    // The key is known at compile time.
    template <fixed_string Key, class T>
    void attribute(const T& value) noexcept {
        constexpr std::string_view key = Key.view();
        if constexpr (is_fixed_text<T>) {
            attribute<Key>(std::string_view(value));
        } else {
            if constexpr (is_inert<T> && is_encoded_directly<T> && key.size() <= longest_encoded_key) {
                static constexpr encoded_key<key.size()> encoded(key);
                if (!span_->body.rules && append_short_attribute(span_->body, encoded, value, span_->needs_rewrite))
                    [[likely]] {
                    ++span_->attributes;
                    return;
                }
            }
            attribute(key, value);
        }
    }

    // Writes an attribute of the library under a reserved key.
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

    void usage(token_usage used) noexcept {
        if (used.total == 0) used.total = used.input + used.output;
        constexpr std::string_view key = mlflow_names::token_usage;
        if (((used.input | used.output | used.total | used.cache_read | used.cache_creation |
              used.cache_creation_above_1h) >>
             63U) != 0)
            return refuse(key);
        const without_rules own(span_->body);
        write_json<std::uint64_t>(key, [&](auto& out) {
            json_object object(out);
            object.member("input_tokens", used.input);
            object.member("output_tokens", used.output);
            object.member("total_tokens", used.total);
            if (used.cache_read != 0) object.member("cache_read_input_tokens", used.cache_read);
            if (used.cache_creation != 0) object.member("cache_creation_input_tokens", used.cache_creation);
            if (used.cache_creation_above_1h != 0)
                object.member("cache_creation_input_tokens_above_1hr", used.cache_creation_above_1h);
            return object.close();
        });
    }

    void cost(llm_cost spent) noexcept {
        constexpr std::string_view key = mlflow_names::cost;
        if (spent.total == 0) spent.total = spent.input + spent.output;
        if (!is_finite(spent.input) || !is_finite(spent.output) || !is_finite(spent.total)) return refuse(key);
        own_json_object(key, arg("input_cost", spent.input), arg("output_cost", spent.output),
                        arg("total_cost", spent.total));
    }

    template <class... T>
    void json_object_attribute(std::string_view key, const named_value<T>&... members) noexcept {
        span_->needs_rewrite = span_->needs_rewrite || !(is_plain<T> && ...);
        write_json<T...>(key, [&](auto& out) {
            json_object object(out);
            (object.member(members.name, members.value), ...);
            return object.close();
        });
    }

    template <class T>
    void json_attribute(std::string_view key, const T& value) noexcept {
        if constexpr (is_fixed_text<T>) {
            json_attribute(key, std::string_view(value));
        } else if constexpr (kind<T> == value_kind::content) {
            evaluate(key, value, [&](const auto& content) { json_attribute(key, content); });
        } else if constexpr (kind<T> == value_kind::number && !std::is_same_v<T, std::nullptr_t>) {
            if (!write_attribute(key, value)) cut(key); // MLflow would keep a number in JSON text as text
        } else {
            if constexpr (nlohmann_like<T>) {
                if (value.is_boolean()) return json_attribute(key, value.template get<bool>());
                if (value.is_number_unsigned())
                    return json_attribute(key, value.template get<typename T::number_unsigned_t>());
                if (value.is_number_integer())
                    return json_attribute(key, value.template get<typename T::number_integer_t>());
                if (value.is_number_float())
                    return json_attribute(key, value.template get<typename T::number_float_t>());
            }
            span_->needs_rewrite = span_->needs_rewrite || !is_plain<T>;
            write_json<T>(key, [&](auto& out) { return mlflow::trace::append_json(out, value); });
        }
    }

    template <class... T>
    void event(std::uint64_t unix_nano, std::string_view name, const named_value<T>&... attributes) noexcept {
        const auto write_event = [&](auto& out) {
            if (!out.push_back(short_tag(otlp::events, wire_type::length_delimited))) return false;
            late_length length(out);
            [[maybe_unused]] bool ignored = false; // MLflow does not read attributes of events as JSON
            return append_fixed64_field(out, otlp::event_time, unix_nano) &&
                   append_text_field(out, otlp::event_name, name) &&
                   (append_attribute(out, otlp::event_attributes, attributes.name, attributes.value, ignored) &&
                    ...) &&
                   length.close();
        };
        count(&recording_limits::events, &span_data::events, &span_data::dropped_events,
              [&] { return write<T...>(name, write_event); });
    }

    template <class T>
    void chunk(std::uint64_t unix_nano, const T& value) noexcept {
        constexpr std::string_view prefix = "mlflow.chunk.item.";
        char name[40];
        char* end = write_bytes(name, prefix);
        char digits[10];
        char* digit = digits + sizeof digits;
        std::uint32_t index = span_->chunks++;
        do *--digit = static_cast<char>('0' + index % 10);
        while (index /= 10);
        end = write_bytes(end, {digit, static_cast<std::size_t>(digits + sizeof digits - digit)});
        const as_json<T> as_text{value}; // MLflow's Python client stores the JSON of the chunk as text
        event(unix_nano, {name, static_cast<std::size_t>(end - name)}, arg("mlflow.chunk.value", as_text));
    }

    void refuse(std::string_view key) noexcept { span_->trace->owner->report({error_kind::out_of_range, key}); }

    template <class... T>
    void link(const trace_id& trace, span_id span, const named_value<T>&... attributes) noexcept {
        write<T...>("link", [&](auto& out) {
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
        if (message.empty() && code == span_->code) return; // keeps the message
        span_->code = code;
        if (message.empty() || !span_->body.rules) return write_status(code, message);
        const span_watch watch(*span_);
        const ruled_text recorded(span_->body.rules, "status.message", message);
        span_ = watch.span(); // null if the redactor has ended it
        if (span_) write_status(code, recorded.view());
    }

    // Sets the status message to the type of the exception and its text, as MLflow's own client does.
    void fail(std::string_view exception_type, std::string_view message) noexcept {
        if (span_->level < log_level::error) level(log_level::error);
        buffer both;
        const bool is_whole = exception_type.empty() || (both.append(exception_type) && both.append(": "));
        set_status(status::error, is_whole && both.append(message) ? both.view() : message);
    }

    void type(span_type type) noexcept {
        if (!span_->has_own_level) span_->level = default_log_level(type);
        static constexpr encoded_key<mlflow_names::span_type.size()> key(mlflow_names::span_type);
        const without_rules own(span_->body);
        if (!append_short_attribute(span_->body, key, type.name(), span_->needs_rewrite))
            write_attribute(mlflow_names::span_type, type.name());
    }

    void level(log_level level) noexcept {
        span_->level = level;
        span_->has_own_level = true;
    }

    // Writes the status too, unless it is set.
    void end(std::uint64_t unix_nano) noexcept {
        span_watch::release(*span_);
        static constexpr encoded_key<mlflow_names::span_log_level.size()> level_key(mlflow_names::span_log_level);
        const without_rules own(span_->body);
        write_whole(*span_, [&](auto& out) {
            using namespace otlp;
            if (!append_dropped(out, dropped_attributes, "mlflow_trace.dropped_attributes",
                                span_->dropped_attributes) ||
                !append_dropped(out, dropped_events, "mlflow_trace.dropped_events", span_->dropped_events))
                return false;
            char* const begin = out.ensure(longest_short_attribute + status_size + fixed64_field_size);
            if (!begin) return false;
            char* to = write_short_attribute(level_key, begin, std::int64_t{static_cast<int>(span_->level)});
            if (span_->code == status::unset) to = write_status_field(to, span_->code = status::ok);
            to = write_fixed64_field(to, end_time, unix_nano);
            out.commit(static_cast<std::size_t>(to - begin));
            return true;
        });
    }

private:
    template <class T>
    __attribute__((noinline)) void attribute_by_rules(std::string_view key, const T& value) noexcept {
        if (key.empty() || is_reserved_attribute(key))
            return span_->trace->owner->report({key.empty() ? error_kind::empty : error_kind::reserved, key});
        if constexpr (kind<T> == value_kind::content)
            evaluate(key, value, [&](const auto& result) { attribute(key, result); });
        else
            count(&recording_limits::attributes, &span_data::attributes, &span_data::dropped_attributes,
                  [&] { return write_attribute(key, value); });
    }

    // Evaluates the value before anything of it is written. An exception of the application's code is caught.
    template <class T, class Use>
    void evaluate(std::string_view key, const T& value, const Use& use) noexcept {
        const span_watch watch(*span_);
        const auto make_and_use = [&] {
            detail::with_content(value, [&](const auto& made) {
                span_ = watch.span();
                if (span_) use(made);
                else watch.report({error_kind::span_ended, key});
            });
        };
        guarded(make_and_use, [&] { leave_out(watch, key); });
    }

    void leave_out(const span_watch& watch, std::string_view key) noexcept {
        span_ = watch.span();
        if (span_) span_->lost_something = true;
        watch.report({error_kind::callback_failed, key});
    }

    // Counts the field before it is written, because code that makes the value may record other fields. `write_one`
    // returns false at a limit.
    template <class Write>
    void count(std::uint32_t recording_limits::* limit, std::uint32_t span_data::* counted,
               std::uint32_t span_data::* dropped, const Write& write_one) noexcept {
        const auto* const rules = span_->body.rules;
        if (rules && span_->*counted >= rules->limits.*limit) {
            ++(span_->*dropped);
            return;
        }
        ++(span_->*counted);
        if (write_one() || !span_) return;
        --(span_->*counted);
        ++(span_->*dropped);
    }

    // Writes one field with values of these types. Returns false if a limit was the reason that the field was
    // omitted. Afterwards `span_` is null if code of the application has ended the span.
    template <class... Values, class Writer>
    bool write(std::string_view key, const Writer& writer) noexcept {
        const auto* const rules = span_->body.rules;
        if ((is_inert<Values> && ...) && (!rules || !rules->redact)) return write_whole(*span_, writer);
        auto& parts = pool<field_part>::instance();
        field_part* const part = parts.take();
        if (!part) {
            span_->lost_something = true;
            return true;
        }
        const bool within_limit = write_part(*part, key, writer);
        parts.give_back(part);
        return within_limit;
    }
    // Writes the field to a separate buffer and appends it when it is complete, because code that runs meanwhile may
    // write other fields.
    template <class Writer>
    bool write_part(field_part& part, std::string_view key, const Writer& writer) noexcept {
        const span_watch watch(*span_);
        part.body.rules = span_->body.rules;
        const bool written = guarded([&] { return bool{writer(part.body)}; }, [] { return false; });
        span_ = watch.span();
        if (!written && !part.body.overflowed()) leave_out(watch, key);
        else if (!span_) watch.report({error_kind::span_ended, key});
        else return write_whole(*span_, [&](auto& out) { return written && out.append(part.body.view()); });
        return true;
    }

    void write_status(status code, std::string_view message) noexcept {
        const without_rules own(span_->body);
        write_whole(*span_, [&](auto& out) { return append_status(out, code, message); });
    }

    template <class T>
    bool write_attribute(std::string_view key, const T& value) noexcept {
        bool needs_rewrite = span_->needs_rewrite;
        const bool within_limit = write<T>(
            key, [&](auto& out) { return append_attribute(out, otlp::attributes, key, value, needs_rewrite); });
        if (span_) span_->needs_rewrite = span_->needs_rewrite || needs_rewrite;
        return within_limit;
    }
    template <class... Values, class Writer>
    void write_json(std::string_view key, const Writer& writer) noexcept {
        const bool within_limit = write<Values...>(key, [&](auto& out) {
            const key_scope named(out, key);
            return append_json_attribute(out, otlp::attributes, key, [&] { return writer(out); });
        });
        if (!within_limit) cut(key);
    }
    void cut(std::string_view key) noexcept { own_attribute(key, std::string_view("[cut: the span is full]")); }

    span_data* span_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
