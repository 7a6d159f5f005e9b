// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/span_data.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/wire/otlp_fields.hpp>
#include <mlflow/trace/wire/protobuf.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Translates spans into OpenTelemetry's conventions for generative AI
// (https://github.com/open-telemetry/semantic-conventions-genai, as in its Python package 0.66b2). The rules are
// those of MLflow's own exporter with MLFLOW_ENABLE_OTEL_GENAI_SEMCONV. Attributes for which the conventions have no
// name, and the name of the span, are not changed.
namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The values that a span has under MLflow's attribute names.
struct mlflow_terms {
    std::string_view name;
    std::string_view type;
    std::string_view model;
    std::string_view provider;
    std::string_view usage;   // JSON
    std::string_view tools;   // JSON
    std::string_view inputs;  // JSON
    std::string_view outputs; // JSON

    static mlflow_terms of(std::string_view body) noexcept {
        mlflow_terms said;
        for (protobuf_reader at(body); at.next();) {
            if (at.field() == otlp::name) said.name = at.bytes();
            if (at.field() != otlp::attributes) continue;
            std::string_view key, text;
            for (protobuf_reader in(at.bytes()); in.next();) {
                if (in.field() == otlp::key) key = in.bytes();
                if (in.field() != otlp::value) continue;
                for (protobuf_reader any(in.bytes()); any.next();)
                    if (any.field() == otlp::string_value) text = any.bytes();
            }
            if (key == mlflow_names::span_type) said.type = text;
            else if (key == mlflow_names::model) said.model = text;
            else if (key == mlflow_names::provider) said.provider = text;
            else if (key == mlflow_names::token_usage) said.usage = text;
            else if (key == mlflow_names::tools) said.tools = text;
            else if (key == mlflow_names::span_inputs) said.inputs = text;
            else if (key == mlflow_names::span_outputs) said.outputs = text;
        }
        return said;
    }

    [[nodiscard]] std::string_view operation() const noexcept {
        constexpr std::pair<std::string_view, std::string_view> operations[] = {
            {"CHAT_MODEL", "chat"},         {"LLM", "generate_content"}, {"EMBEDDING", "embeddings"},
            {"RETRIEVER", "retrieval"},     {"TOOL", "execute_tool"},    {"AGENT", "invoke_agent"},
            {"WORKFLOW", "invoke_workflow"}};
        for (const auto& [own, theirs] : operations)
            if (own == type) return theirs;
        return {};
    }
    [[nodiscard]] bool is_inference() const noexcept {
        return type == "CHAT_MODEL" || type == "LLM" || type == "EMBEDDING";
    }
};

// Converts messages to the form of the conventions, [{"role": …, "parts": [{"type": "text", "content": …}]}]. Accepts
// the messages of OpenAI's API, or a text; for any other value, `append…` returns false.
class gen_ai_messages {
public:
    explicit gen_ai_messages(buffer& out) noexcept : out_(out) {}

    bool append_inputs(std::string_view value) {
        if (value.starts_with('"')) return append_one("user", value);
        const std::string_view messages = value.starts_with('[') ? value : json_find(value, {"messages"});
        return append_list(messages, [&](std::string_view message) { return append_message(message, {}); });
    }
    bool append_outputs(std::string_view value) {
        if (value.starts_with('"')) return append_one("assistant", value);
        if (const auto choices = json_find(value, {"choices"}); !choices.empty())
            return append_list(choices, [&](std::string_view choice) {
                return append_message(json_find(choice, {"message"}), json_find(choice, {"finish_reason"}));
            });
        if (value.starts_with('[')) return append_inputs(value);
        out_.push_back('[');
        return append_message(value, {}) && out_.push_back(']');
    }

private:
    bool append_one(std::string_view role, std::string_view text) {
        return out_.append(R"([{"role":")") && out_.append(role) &&
               out_.append(R"(","parts":[{"type":"text","content":)") && out_.append(text) && out_.append("}]}]");
    }

    template <class Append>
    bool append_list(std::string_view array, const Append& append) {
        if (!array.starts_with('[')) return false;
        bool is_good = out_.push_back('[');
        char separator = 0;
        for_each_element(array, [&](std::string_view element) {
            if (std::exchange(separator, ',')) out_.push_back(',');
            is_good = is_good && append(element);
        });
        return is_good && separator != 0 && out_.push_back(']');
    }

    bool append_message(std::string_view message, std::string_view finish_reason) {
        const std::string_view role = json_find(message, {"role"});
        if (!role.starts_with('"')) return false;
        const std::string_view content = json_find(message, {"content"});
        out_.append(R"({"role":)");
        out_.append(role);
        out_.append(R"(,"parts":[)");
        is_first_part_ = true;
        if (role == R"("tool")")
            append_part(R"("type":"tool_call_response","id":)", json_find(message, {"tool_call_id"}),
                        R"(,"response":)", content);
        else if (content.starts_with('['))
            for_each_element(content, [this](std::string_view part) { append_content(part); });
        else if (!content.empty() && content != "null") append_part(R"("type":"text","content":)", content);
        for_each_element(json_find(message, {"tool_calls"}), [this](std::string_view call) { append_call(call); });
        out_.push_back(']');
        if (finish_reason.starts_with('"')) {
            out_.append(R"(,"finish_reason":)");
            out_.append(finish_reason);
        }
        return out_.push_back('}');
    }
    void append_content(std::string_view part) {
        const std::string_view text = json_find(part, {"text"});
        if (json_find(part, {"type"}) == R"("text")" && !text.empty())
            append_part(R"("type":"text","content":)", text);
        else append_raw_part(part); // other types are allowed by the conventions
    }
    void append_call(std::string_view call) {
        begin_part();
        out_.append(R"({"type":"tool_call")");
        const auto add = [this](std::string_view name, std::string_view value) {
            if (value.empty()) return;
            out_.append(name);
            out_.append(value);
        };
        add(R"(,"id":)", json_find(call, {"id"}));
        add(R"(,"name":)", json_find(call, {"function", "name"}));
        add(R"(,"arguments":)", json_find(call, {"function", "arguments"}));
        out_.push_back('}');
    }

    void begin_part() {
        if (!std::exchange(is_first_part_, false)) out_.push_back(',');
    }
    template <class... Text>
    void append_part(const Text&... pieces) {
        begin_part();
        out_.push_back('{');
        (out_.append(std::string_view(pieces).empty() ? "null" : std::string_view(pieces)), ...);
        out_.push_back('}');
    }
    void append_raw_part(std::string_view value) {
        begin_part();
        out_.append(value);
    }

    buffer& out_;
    bool is_first_part_ = true;
};

inline bool append_body_in_gen_ai_terms(buffer& out, const span_data& span) {
    const std::string_view body = span.body.view();
    const auto said = mlflow_terms::of(body);
    const std::string_view operation = said.operation();
    buffer inputs, outputs;
    const bool has_inputs = said.is_inference() && gen_ai_messages(inputs).append_inputs(said.inputs);
    const bool has_outputs = said.is_inference() && gen_ai_messages(outputs).append_outputs(said.outputs);
    // Out of memory, so whether there are messages is unknown.
    if (inputs.overflowed() || outputs.overflowed()) return false;

    // Attributes that the application itself set under these names take precedence.
    std::vector<std::string_view> own;
    for (protobuf_reader at(body); at.next();) {
        std::string_view key;
        if (at.field() == otlp::attributes)
            for (protobuf_reader in(at.bytes()); in.next();)
                if (in.field() == otlp::key) key = in.bytes();
        if (key.starts_with("gen_ai.")) own.push_back(key);
        if ((has_inputs && key == mlflow_names::span_inputs) || (has_outputs && key == mlflow_names::span_outputs))
            continue;
        constexpr char client = 3; // SPAN_KIND_CLIENT: the conventions require it for calls of a model
        if (at.field() == otlp::kind && said.is_inference()) {
            if (!out.push_back(short_tag(otlp::kind, wire_type::varint)) || !out.push_back(client)) return false;
        } else if (!out.append(at.raw())) {
            return false;
        }
    }
    const auto is_said = [&own](std::string_view key) {
        for (const std::string_view said_already : own)
            if (said_already == key) return true;
        return false;
    };
    const auto append = [&](std::string_view key, std::string_view text) {
        return text.empty() || is_said(key) || append_text_attribute(out, otlp::attributes, key, text);
    };
    const auto append_count = [&](std::string_view key, std::string_view member) {
        const std::string digits(json_find(said.usage, {member}));
        if (is_said(key) || digits.empty() || digits.find_first_not_of("0123456789") != std::string::npos)
            return true;
        char encoded[1 + max_varint_size] = {short_tag(otlp::int_value, wire_type::varint)};
        const char* const end = write_varint(encoded + 1, std::strtoull(digits.c_str(), nullptr, 10));
        return append_encoded_attribute(out, otlp::attributes, key,
                                        {encoded, static_cast<std::size_t>(end - encoded)});
    };
    const bool is_tool = said.type == "TOOL";
    return append("gen_ai.operation.name", operation) && append("gen_ai.request.model", said.model) &&
           append("gen_ai.provider.name", said.provider) && append("gen_ai.tool.definitions", said.tools) &&
           append_count("gen_ai.usage.input_tokens", "input_tokens") &&
           append_count("gen_ai.usage.output_tokens", "output_tokens") &&
           append_count("gen_ai.usage.cache_read.input_tokens", "cache_read_input_tokens") &&
           append_count("gen_ai.usage.cache_creation.input_tokens", "cache_creation_input_tokens") &&
           append("gen_ai.input.messages", has_inputs ? inputs.view() : std::string_view()) &&
           append("gen_ai.output.messages", has_outputs ? outputs.view() : std::string_view()) &&
           append("gen_ai.tool.name", is_tool ? said.name : std::string_view()) &&
           append("gen_ai.tool.call.arguments", is_tool ? said.inputs : std::string_view()) &&
           append("gen_ai.tool.call.result", is_tool ? said.outputs : std::string_view()) &&
           append("gen_ai.agent.name", said.type == "AGENT" ? said.name : std::string_view());
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
