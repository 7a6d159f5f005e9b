// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/result.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/metadata/check.hpp>
#include <mlflow/trace/spans/span_operations.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/values/json_value.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// A text that must be given: it has no default.
class given_text {
public:
    template <class Text>
        requires std::convertible_to<const Text&, std::string_view>
    given_text(const Text& text) : text_(std::string_view(text)) {}
    given_text(std::nullptr_t) = delete;

    [[nodiscard]] const std::string& view() const noexcept { return text_; }

private:
    std::string text_;
};

// Declared, never defined. A constructor calls one of these for a literal that fails its check, so that the
// compiler's error message shows its name.
void a_tool_name_has_1_to_128_ascii_letters_digits_and_dots_dashes_underscores_colons_slashes();
void the_parameters_of_a_tool_are_a_JSON_schema_that_is_an_object();

constexpr bool is_tool_name(std::string_view name) noexcept {
    return !name.empty() && name.size() <= 128 && ascii_word<"_-.:/">::allows(name);
}
constexpr bool is_json_object(std::string_view text) noexcept {
    json_cursor at(text);
    at.whitespace();
    return at.rest().starts_with('{') && is_json_document(text) &&
           scan_utf8(text).invalid_at == std::string_view::npos;
}

struct tool_name {
    std::string_view text;

    template <std::size_t N>
    consteval tool_name(const char (&literal)[N]) : text(literal, N - 1) {
        if (!is_tool_name(text))
            a_tool_name_has_1_to_128_ascii_letters_digits_and_dots_dashes_underscores_colons_slashes();
    }
};
struct tool_schema {
    std::string_view text;

    template <std::size_t N>
    consteval tool_schema(const char (&literal)[N]) : text(literal, N - 1) {
        if (!is_json_object(text)) the_parameters_of_a_tool_are_a_JSON_schema_that_is_an_object();
    }
};

// JSON that is written unchanged.
struct json_document {
    std::string_view text;
};

} // namespace detail

/// A tool that the model may call. `parameters` is a JSON schema, which must be an object. Literals are checked at
/// compile time:
///
///     constexpr mt::tool_definition price("price", "What a ride costs", R"({"type": "object", "properties": {}})");
///
/// It views its texts. MLflow's page omits a tool if the `type` of one of its properties is a list.
class tool_definition {
public:
    /// Makes a tool of literals.
    constexpr tool_definition(detail::tool_name name, std::string_view description,
                              detail::tool_schema parameters) noexcept
        : tool_definition(name.text, description, parameters.text, nullptr) {}

    /// Makes a tool of texts that are only known at run time. `error_kind::not_allowed` names the part that is
    /// invalid.
    static constexpr result<tool_definition> parse(std::string_view name, std::string_view description,
                                                   std::string_view parameters) noexcept {
        if (!detail::is_tool_name(name)) return failure{error{error_kind::not_allowed, "name of a tool"}};
        if (!detail::is_json_object(parameters))
            return failure{error{error_kind::not_allowed, "parameters of a tool"}};
        return tool_definition(name, description, parameters, nullptr);
    }

    /// The name: 1 to 128 ASCII letters, digits, and `_-.:/`.
    [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }
    /// What the tool does, for the model.
    [[nodiscard]] constexpr std::string_view description() const noexcept { return description_; }
    /// The JSON schema of the arguments.
    [[nodiscard]] constexpr std::string_view parameters() const noexcept { return parameters_; }

private:
    constexpr tool_definition(std::string_view name, std::string_view description, std::string_view parameters,
                              std::nullptr_t) noexcept
        : name_(name), description_(description), parameters_(parameters) {}

    std::string_view name_, description_, parameters_;
};

/// A call of a tool by the model, shown as a card with the tool's name and arguments. `arguments` is JSON as the
/// model wrote it.
struct tool_call {
    detail::given_text id;        ///< the ID of the call
    detail::given_text name;      ///< the name of the tool
    detail::given_text arguments; ///< the arguments, as JSON
};

/// Makes the JSON of a call's arguments: `mt::json_text(mt::arg("minutes", 30))`. Returns `{}` when memory runs out.
template <class... T>
[[nodiscard]] std::string json_text(const named_value<T>&... members) {
    detail::buffer text;
    json_object object(text);
    (object.member(members.name, members.value), ...);
    return object.close() ? std::string(text.view()) : std::string("{}"); // out of memory
}

/// Records the tools that are available to the model of a span. MLflow's page lists them, and its judges of tool
/// calls read them. `tools` is a range of `mt::tool_definition`.
template <class Span, class Tools>
void set_tools(Span& span, const Tools& tools) noexcept {
    constexpr bool is_range = detail::range_like<Tools>;
    static_assert(is_range, "set_tools: pass a range of mt::tool_definition");
    if constexpr (is_range) {
        static_assert(std::same_as<detail::element_of<Tools>, tool_definition>,
                      "set_tools: each element must be an mt::tool_definition(name, description, parameters)");
        span.attribute(detail::mlflow_names::tools, tools);
    }
}

template <>
struct json_encoder<detail::given_text> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::given_text& value) {
        return append_json(out, value.view());
    }
};

template <>
struct json_encoder<detail::json_document> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::json_document& value) {
        return detail::append_bytes(out, value.text);
    }
};

namespace detail {
struct tool_function {
    const tool_definition& tool;
};
struct called_function {
    const tool_call& call;
};
} // namespace detail

template <>
struct json_encoder<detail::tool_function> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::tool_function& value) {
        return json_object(out)
            .member("name", value.tool.name())
            .member("description", value.tool.description())
            .member("parameters", detail::json_document{value.tool.parameters()})
            .close();
    }
};
/// Writes a tool in OpenAI's form.
template <>
struct json_encoder<tool_definition> {
    template <class Buffer>
    static bool append(Buffer& out, const tool_definition& value) {
        return json_object(out).member("type", "function").member("function", detail::tool_function{value}).close();
    }
};

template <>
struct json_encoder<detail::called_function> {
    template <class Buffer>
    static bool append(Buffer& out, const detail::called_function& value) {
        return json_object(out).member("name", value.call.name).member("arguments", value.call.arguments).close();
    }
};
/// Writes a call in OpenAI's form.
template <>
struct json_encoder<tool_call> {
    template <class Buffer>
    static bool append(Buffer& out, const tool_call& value) {
        return json_object(out)
            .member("id", value.id)
            .member("type", "function")
            .member("function", detail::called_function{value})
            .close();
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
