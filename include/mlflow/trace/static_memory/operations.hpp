// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/detail/fixed_string.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/spans/span_operations.hpp>
#include <mlflow/trace/static_memory/core.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Integers that fit into 32 bits with a sign.
template <class T>
inline constexpr bool is_int32 = std::is_integral_v<T> && kind<T> == value_kind::number &&
                                 (sizeof(T) < 4 || (sizeof(T) == 4 && std::is_signed_v<T>));

// Text that can be viewed where it is.
template <class T>
inline constexpr bool is_view_of_text =
    kind<T> == value_kind::text && !has_encoder<T> && std::is_convertible_v<const T&, std::string_view>;

// Writes into an open span of a tracer with fixed memory. Has the functions of `span_operations`.
template <class Core>
class static_operations {
public:
    static_operations(Core& core, span_place place) noexcept : core_(core), place_(place) {}

    template <class T>
    void attribute(std::string_view key, const T& value) noexcept {
        set_attribute(key, value, owner::application);
    }
    template <fixed_string Key, class T>
    void attribute(const T& value) noexcept {
        set_attribute(Key.view(), value, owner::library); // checked at compile time
    }
    template <class T>
    void own_attribute(std::string_view key, const T& value) noexcept {
        set_attribute(key, value, owner::library);
    }

    void usage(token_usage used) noexcept {
        if (used.total == 0) used.total = used.input + used.output;
        constexpr std::string_view key = mlflow_names::token_usage;
        if (((used.input | used.output | used.total | used.cache_read | used.cache_creation |
              used.cache_creation_above_1h) >>
             63U) != 0)
            return core_.report(error_kind::out_of_range, key);
        const auto write_object = [&](field_writer& out) {
            const auto member = [&out](char before, std::string_view name, std::uint64_t count) {
                return out.push_back(before) && append_json_string(out, name) && out.push_back(':') &&
                       append_json_uint(out, count);
            };
            return member('{', "input_tokens", used.input) && member(',', "output_tokens", used.output) &&
                   member(',', "total_tokens", used.total) &&
                   (used.cache_read == 0 || member(',', "cache_read_input_tokens", used.cache_read)) &&
                   (used.cache_creation == 0 || member(',', "cache_creation_input_tokens", used.cache_creation)) &&
                   (used.cache_creation_above_1h == 0 ||
                    member(',', "cache_creation_input_tokens_above_1hr", used.cache_creation_above_1h)) &&
                   out.push_back('}');
        };
        write_json(key, write_object);
    }
    void cost(llm_cost spent) noexcept {
        constexpr std::string_view key = mlflow_names::cost;
        if (spent.total == 0) spent.total = spent.input + spent.output;
        if (!is_finite(spent.input) || !is_finite(spent.output) || !is_finite(spent.total))
            return core_.report(error_kind::out_of_range, key);
        json_object_attribute(key, arg("input_cost", spent.input), arg("output_cost", spent.output),
                              arg("total_cost", spent.total));
    }

    template <class... T>
    void json_object_attribute(std::string_view key, const named_value<T>&... members) noexcept {
        write_json(key, [&](field_writer& out) {
            json_object object(out);
            (object.member(members.name, members.value), ...);
            return object.close();
        });
    }
    template <class T>
    void json_attribute(std::string_view key, const T& value) noexcept {
        if constexpr (is_view_of_text<T>) {
            if (!detail::is_null(value)) return text_attribute(key, value, owner::library, true);
            write_json(key, [&](field_writer& out) { return mlflow::trace::append_json(out, nullptr); });
        } else if constexpr (kind<T> == value_kind::content) {
            evaluate(key, value, [&](const auto& content) { json_attribute(key, content); });
        } else if constexpr (kind<T> == value_kind::number && !std::is_same_v<T, std::nullptr_t>) {
            own_attribute(key, value); // MLflow would keep a number in JSON text as text
        } else {
            write_json(key, [&](field_writer& out) { return mlflow::trace::append_json(out, value); });
        }
    }

    template <class... T>
    void event(std::uint64_t unix_nano, std::string_view name, const named_value<T>&... attributes) noexcept {
        write(name, [&](field_writer& out) {
            const std::size_t whole = out.open(otlp::events);
            out.push_back(short_tag(otlp::event_time, wire_type::fixed64));
            out.fixed64(unix_nano);
            out.text_field(otlp::event_name, name);
            return (append_value(out, otlp::event_attributes, attributes.name, attributes.value) && ...) &&
                   out.close(whole);
        });
    }
    template <class T>
    void chunk(std::uint64_t unix_nano, const T& value) noexcept {
        constexpr std::string_view prefix = "mlflow.chunk.item.";
        char name[prefix.size() + 5];
        field_writer text(name, sizeof name);
        text.append(prefix);
        append_json_uint(text, core_.span_of(place_).chunks++);
        event(unix_nano, text.view(), arg("mlflow.chunk.value", as_json<T>{value}));
    }
    template <class... T>
    void link(const trace_id& trace, span_id span, const named_value<T>&... attributes) noexcept {
        write("link", [&](field_writer& out) {
            const std::size_t whole = out.open(otlp::links);
            char ids[ids_size];
            write_ids(ids, trace, span);
            out.append({ids, sizeof ids});
            return (append_value(out, otlp::link_attributes, attributes.name, attributes.value) && ...) &&
                   out.close(whole);
        });
    }

    void set_status(status code, std::string_view message) noexcept { set_status(code, {}, message); }
    void fail(std::string_view exception_type, std::string_view message) noexcept {
        if (core_.span_of(place_).level < log_level::error) level(log_level::error);
        set_status(status::error, exception_type, message);
    }
    void type(span_type type) noexcept {
        static_span& span = core_.span_of(place_);
        if (!span.has_own_level) span.level = default_log_level(type);
        text_attribute(mlflow_names::span_type, type.name(), owner::library);
    }
    void level(log_level level) noexcept {
        static_span& span = core_.span_of(place_);
        span.level = level;
        span.has_own_level = true;
    }

private:
    enum class owner : bool { application, library }; // whose key it is

    template <class T>
    void set_attribute(std::string_view key, const T& value, owner of) noexcept {
        if constexpr (is_view_of_text<T>) {
            text_attribute(key, detail::is_null(value) ? std::string_view() : std::string_view(value), of);
        } else if constexpr (is_int32<T>) {
            integer_attribute(key, std::is_same_v<T, bool> ? otlp::bool_value : otlp::int_value,
                              static_cast<std::int32_t>(value), of);
        } else if constexpr (kind<T> == value_kind::content) {
            if (is_allowed(key, of))
                evaluate(key, value, [&](const auto& made) { set_attribute(key, made, owner::library); });
        } else if (is_allowed(key, of)) {
            write(key, [&](field_writer& out) { return append_value(out, otlp::attributes, key, value); });
        }
    }
    [[gnu::noinline]] bool is_allowed(std::string_view key, owner of) noexcept {
        if (of == owner::library) return true;
        const auto fault = key.empty()                  ? error_kind::empty
                           : is_reserved_attribute(key) ? error_kind::reserved
                                                        : error_kind::none;
        if (fault != error_kind::none) core_.report(fault, key);
        return fault == error_kind::none;
    }
    [[gnu::noinline]] void told(error_kind fault, std::string_view key) noexcept {
        if (fault != error_kind::none) core_.report(fault, key);
    }
    template <class Write>
    void write(std::string_view key, const Write& write) noexcept {
        told(core_.write(place_, write), key);
    }
    template <class Write>
    void write_json(std::string_view key, const Write& write_text) noexcept {
        write(key, [&](field_writer& out) {
            return append_json_field(out, otlp::attributes, key, [&] { return write_text(out); });
        });
    }

    [[gnu::noinline]] void integer_attribute(std::string_view key, unsigned type, std::int32_t value,
                                             owner of) noexcept {
        if (!is_allowed(key, of)) return;
        write(key, [&](field_writer& out) {
            return append_integer(out, otlp::attributes, key, type, static_cast<std::uint64_t>(std::int64_t{value}));
        });
    }
    // Writes as much of the text as there is room for.
    [[gnu::noinline]] void text_attribute(std::string_view key, std::string_view text, owner of,
                                          bool is_json = false) noexcept {
        if (!is_allowed(key, of)) return;
        std::string_view mark;
        const auto write_text = [&](field_writer& out) {
            return append_text(out, otlp::attributes, key, text, is_json, mark);
        };
        const error_kind fault = core_.write(place_, write_text);
        if (fault == error_kind::none) return;
        mark = "… [cut]";
        std::size_t size = text.size();
        if (const std::size_t room = core_.room(place_); size > room) size = room;
        while (size > 8) {
            size -= size / 8;
            while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80U) --size; // in a character
            text = prefix_of(text, size);
            if (core_.write(place_, write_text) == error_kind::none) break;
        }
        told(fault, key);
    }

    void set_status(status code, std::string_view type, std::string_view message) noexcept {
        static_span& span = core_.span_of(place_);
        const bool is_same = span.code == code || !span.has_status;
        span.code = code;
        if (message.empty() && type.empty() && is_same) return;
        span.has_status = false;
        const error_kind fault = core_.write(place_, [&](field_writer& out) {
            const std::size_t whole = out.open(otlp::span_status);
            const std::size_t text = out.open(otlp::status_message);
            out.text(type);
            if (!type.empty()) out.append(": ");
            out.text(message);
            out.close(text);
            out.push_back(short_tag(otlp::status_code, wire_type::varint));
            out.push_back(static_cast<char>(code));
            return out.close(whole);
        });
        if (fault == error_kind::none) span.has_status = code != status::unset;
        told(fault, "status.message");
    }

    // Evaluates a value before anything of it is written, because the application's code may record meanwhile.
    template <class T, class Use>
    void evaluate(std::string_view key, const T& value, const Use& use) noexcept {
        const auto make_and_use = [&] {
            detail::with_content(value, [&](const auto& made) {
                if (core_.is_open(place_)) use(made);
                else core_.report(error_kind::span_ended, key);
            });
        };
        guarded(make_and_use, [&] {
            if (core_.is_open(place_)) core_.span_of(place_).flags |= spool_format::lost_something;
            core_.report(error_kind::callback_failed, key);
        });
    }

    Core& core_;
    span_place place_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
