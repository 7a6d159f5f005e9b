// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/amounts.hpp>
#include <mlflow/trace/client/span_attributes.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>

#include <cctype>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

// Finds tokens, inputs and outputs under the attribute names of other conventions, as MLflow's server does (3.17,
// mlflow/tracing/otel/translation). The order of the conventions is the server's.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Python's int() of a string.
inline std::optional<long double> python_integer(std::string_view text) {
    const auto is_space = [](char c) { return std::isspace(static_cast<unsigned char>(c)) != 0; };
    while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    const bool is_negative = text.starts_with('-');
    if (is_negative || text.starts_with('+')) text.remove_prefix(1);
    long double value = 0;
    bool after_digit = false;
    for (const char c : text) {
        if (c == '_' ? !after_digit : c < '0' || c > '9') return std::nullopt;
        after_digit = c != '_';
        if (after_digit) value = value * 10 + (c - '0');
    }
    if (!after_digit) return std::nullopt;
    return is_negative ? -value : value;
}

// A count: an integer, or text with one.
inline std::optional<long double> token_count(const any_value& any) {
    switch (any.what()) {
    case any_kind::integer: return static_cast<long double>(any.integer());
    case any_kind::boolean: return any.is_true() ? 1.0L : 0.0L;
    case any_kind::text: return python_integer(stored_text(any));
    default: return std::nullopt;
    }
}

class translated_span {
public:
    translated_span(const span_attributes& attributes, json_value events) : all_(attributes), events_(events) {}

    [[nodiscard]] token_amounts usage() const {
        if (const any_value own = all_[mlflow_names::token_usage]; !own.is_none())
            return read_amounts<long double>(own, token_names);
        const auto count = [this](std::string_view key) {
            return key.empty() ? std::nullopt : token_count(all_[key]);
        };
        for (const auto& [input, output, total, read, written, written_before] : conventions)
            if (const auto found = usage_of(count(input), count(output), count(total)); found.there)
                return with_cache(found, count(read),
                                  all_[written].is_none() ? count(written_before) : count(written));
        if (const auto found = claude_code_usage(); found.there) return found;
        constexpr names traceloop{
            "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens", "llm.usage.total_tokens", {}, {}, {}};
        if (const auto found = usage_of(count(traceloop.input), count(traceloop.output), count(traceloop.total));
            found.there)
            return found;
        const auto either = [&](std::string_view key, std::string_view other) {
            return count(all_[key].is_none() ? other : key);
        };
        return usage_of(either("usage.prompt_tokens", "llm.usage.prompt_tokens"),
                        either("usage.completion_tokens", "llm.usage.completion_tokens"),
                        either("usage.total_tokens", "llm.usage.total_tokens"));
    }
    [[nodiscard]] cost_amounts cost() const { return read_amounts<double>(all_[mlflow_names::cost], cost_names); }

    // As JSON text; empty if there are none.
    [[nodiscard]] std::string inputs() const {
        if (const any_value own = all_[mlflow_names::span_inputs]; !own.is_none()) return stored_json(own);
        if (auto found = of_keys({"input.value"}); !found.empty()) return found;
        auto messages = of_keys({"gen_ai.input.messages", "gen_ai.tool.call.arguments"});
        if (is_gemini() && !messages.empty()) return gemini_inputs(messages);
        if (auto found = claude_code_inputs(); !found.empty()) return found;
        if (!messages.empty()) return messages;
        if (auto found = of_keys({"traceloop.entity.input"}); !found.empty()) return found;
        if (auto found = of_numbered("gen_ai.prompt.", {".content"}); !found.empty()) return found;
        if (auto found = of_numbered("gen_ai.completion.", {".tool_calls.", ".arguments"}); !found.empty())
            return found;
        if (auto found = of_keys({"gcp.vertex.agent.llm_request", "gcp.vertex.agent.tool_call_args"}); !found.empty())
            return found;
        if (auto found = is_vercel_chat() ? vercel("ai.prompt.")
                                          : of_keys({"ai.prompt", "ai.toolCall.args", "ai.value", "ai.values"});
            !found.empty())
            return found;
        if (auto found = of_keys({"agent.messages", "llm.messages", "input", "lk.user_input", "lk.user_transcript",
                                  "lk.chat_ctx", "lk.input_text", "lmnr.span.input", "langfuse.observation.input"});
            !found.empty())
            return found;
        if (auto found = of_event("gen_ai.content.prompt", "gen_ai.prompt"); !found.empty()) return found;
        return of_messages({{"gen_ai.system.message", "system"},
                            {"gen_ai.user.message", "user"},
                            {"gen_ai.assistant.message", "assistant"}});
    }
    [[nodiscard]] std::string outputs() const {
        if (const any_value own = all_[mlflow_names::span_outputs]; !own.is_none()) return stored_json(own);
        if (auto found = of_keys({"output.value"}); !found.empty()) return found;
        auto messages = of_keys({"gen_ai.output.messages", "gen_ai.tool.call.result"});
        if (is_gemini() && !messages.empty()) return gemini_outputs(messages);
        if (auto found = claude_code_outputs(); !found.empty()) return found;
        if (!messages.empty()) return messages;
        if (auto found = of_keys({"traceloop.entity.output"}); !found.empty()) return found;
        if (auto found = of_numbered("gen_ai.completion.", {".content"}); !found.empty()) return found;
        if (auto found = of_keys({"gcp.vertex.agent.llm_response", "gcp.vertex.agent.tool_response"}); !found.empty())
            return found;
        if (auto found = is_vercel_chat() ? vercel("ai.response.")
                                          : of_keys({"ai.response.text", "ai.toolCall.result", "ai.response.object",
                                                     "ai.embedding", "ai.embeddings"});
            !found.empty())
            return found;
        if (auto found = of_keys({"output", "lk.response.text", "lk.response.function_calls", "lmnr.span.output",
                                  "langfuse.observation.output"});
            !found.empty())
            return found;
        if (auto found = of_event("gen_ai.content.completion", "gen_ai.completion"); !found.empty()) return found;
        if (auto found = of_messages({{"gen_ai.choice", {}}}); !found.empty()) return found;
        return claude_code_event();
    }

private:
    struct names {
        std::string_view input, output, total, cache_read, cache_written, cache_written_before;
    };
    // OpenInference; OpenTelemetry's conventions for generative AI.
    static constexpr names conventions[] = {{"llm.token_count.prompt",
                                             "llm.token_count.completion",
                                             "llm.token_count.total",
                                             "llm.token_count.prompt_details.cache_read",
                                             "llm.token_count.prompt_details.cache_write",
                                             {}},
                                            {"gen_ai.usage.input_tokens",
                                             "gen_ai.usage.output_tokens",
                                             {},
                                             "gen_ai.usage.cache_read.input_tokens",
                                             "gen_ai.usage.cache_write.input_tokens",
                                             "gen_ai.usage.cache_creation.input_tokens"}};

    using count_type = std::optional<long double>;
    static token_amounts usage_of(count_type input, count_type output, count_type total) {
        token_amounts found;
        if (!total && input && output) total = *input + *output;
        if (input) found.set(0, *input);
        if (output) found.set(1, *output);
        if (total) found.set(2, *total);
        return found;
    }
    static token_amounts with_cache(token_amounts found, count_type read, count_type written) {
        if (read) found.set(3, *read);
        if (written) found.set(4, *written);
        return found;
    }

    [[nodiscard]] std::string of_keys(std::initializer_list<std::string_view> keys) const {
        const any_value found = all_.first_of(keys);
        return found.is_none() ? std::string() : stored_json(found);
    }

    // Keys such as gen_ai.prompt.0.content: a number follows the prefix and each part except the last.
    [[nodiscard]] std::string of_numbered(std::string_view prefix,
                                          std::initializer_list<std::string_view> parts) const {
        std::string found;
        all_.for_each(prefix, [&](std::string_view key, const any_value& value) {
            key.remove_prefix(prefix.size());
            for (const std::string_view part : parts) {
                const std::size_t digits = key.find_first_not_of("0123456789");
                if (digits == 0 || digits == std::string_view::npos || !key.substr(digits).starts_with(part)) return;
                key.remove_prefix(digits + part.size());
            }
            if (found.empty() && !is_nothing(value)) found = stored_json(value);
        });
        return found;
    }

    [[nodiscard]] std::string of_event(std::string_view name, std::string_view key) const {
        std::string found;
        for_each_event([&](std::string_view event, const span_attributes& attributes) {
            if (event != name || !found.empty()) return;
            const any_value value = attributes[key];
            if (value.what() == any_kind::text) found = value.text();
        });
        return found;
    }
    template <class Visit>
    void for_each_event(Visit visit) const {
        if (!events_.is(json_value::kind::array)) return;
        for (const json_value event : events_) visit(event["name"].text(), span_attributes(event["attributes"]));
    }

    struct role_of_event {
        std::string_view event, role;
    };
    [[nodiscard]] std::string of_messages(std::initializer_list<role_of_event> roles) const {
        std::string list;
        for_each_event([&](std::string_view event, const span_attributes& attributes) {
            for (const auto& [name, role] : roles) {
                const any_value content = attributes["content"];
                if (event != name || is_empty_in_python(content)) continue;
                list += list.empty() ? "[{\"role\": " : ", {\"role\": ";
                if (const any_value told = attributes["role"]; role.empty() && !told.is_none())
                    append_decoded(list, told);
                else append_python_text(list, role.empty() ? "assistant" : role, true);
                list += ", \"content\": ";
                append_decoded(list, content);
                list += '}';
            }
        });
        return list.empty() ? list : list + ']';
    }
    static bool is_empty_in_python(const any_value& any) {
        return any.what() == any_kind::text ? any.text().empty() : is_nothing(any);
    }
    static void append_decoded(std::string& out, const any_value& any) {
        json_tree tree;
        if (any.what() != any_kind::text) return append_python(out, any, true);
        const std::string text = any.text();
        if (tree.read(text)) append_python(out, tree.root(), true);
        else append_python_text(out, text, true);
    }

    // Gemini CLI.
    [[nodiscard]] bool is_gemini() const { return stored_text(all_["gen_ai.agent.name"]) == "gemini-cli"; }
    static std::string gemini_inputs(const std::string& messages) {
        json_tree tree;
        if (!tree.read(messages)) return messages;
        const json_value told = tree.root();
        if (!told.is(json_value::kind::array) && !told.is(json_value::kind::text)) return messages;
        std::string wrapped = "{\"contents\": ";
        append_python(wrapped, told, true);
        return wrapped + '}';
    }
    static std::string gemini_outputs(const std::string& messages) {
        json_tree tree;
        if (!tree.read(messages) || !tree.root().is(json_value::kind::array)) return messages;
        std::string parts;
        for (const json_value message : tree.root())
            if (const json_value list = message["parts"]; list.is(json_value::kind::array))
                for (const json_value part : list) {
                    if (!parts.empty()) parts += ", ";
                    append_python(parts, part, true);
                }
        if (parts.empty()) return messages;
        return R"({"candidates": [{"content": {"role": "model", "parts": [)" + parts + "]}}]}";
    }

    // Vercel's AI SDK.
    [[nodiscard]] bool is_vercel_chat() const {
        const std::string operation = stored_text(all_["ai.operationId"]);
        return operation == "ai.generateText.doGenerate" || operation == "ai.streamText.doStream";
    }
    [[nodiscard]] std::string vercel(std::string_view prefix) const {
        std::string object;
        all_.for_each(prefix, [&](std::string_view key, const any_value& value) {
            key.remove_prefix(prefix.size());
            object += object.empty() ? "{" : ", ";
            append_python_text(object, key, true);
            object += ": ";
            append_loaded(object, stored_json(value), 2, key == "tools");
        });
        return object.empty() ? object : object + '}';
    }
    static void append_loaded(std::string& out, const std::string& text, int times, bool each) {
        using kind = json_value::kind;
        json_tree tree;
        if (!tree.read(text)) return each ? append_letters(out, text) : append_python_text(out, text, true);
        const json_value told = tree.root();
        if (told.is(kind::text) && times > 0) return append_loaded(out, told.text(), times - 1, each);
        if (told.is(kind::text) && each) return append_letters(out, told.text());
        if (!each || (!told.is(kind::array) && !told.is(kind::object))) return append_python(out, told, true);
        std::string list;
        for (const json_value one : told) {
            list += list.empty() ? "[" : ", ";
            if (told.is(kind::object)) append_loaded(list, one.key(), 2, false);
            else if (one.is(kind::text)) append_loaded(list, one.text(), 2, false);
            else append_python(list, one, true);
        }
        out += list.empty() ? "[]" : list + ']';
    }
    // What Python produces for a string where a list was expected.
    static void append_letters(std::string& out, std::string_view text) {
        std::string list;
        while (!text.empty()) {
            const auto letter = first_code_points(text, 1);
            list += list.empty() ? "[" : ", ";
            append_loaded(list, std::string(letter), 2, false);
            text.remove_prefix(letter.size());
        }
        out += list.empty() ? "[]" : list + ']';
    }

    // Claude Code. Its spans may omit the prefix of their type.
    [[nodiscard]] std::string claude_code_type() const {
        std::string type = stored_text(all_["span.type"]);
        if (type.starts_with("claude_code.")) type.erase(0, 12);
        return type == "interaction" || type == "llm_request" || type == "tool" ? type : std::string();
    }
    [[nodiscard]] std::string content(std::string_view key) const {
        const any_value found = all_[key];
        return is_nothing(found) || stored_text(found) == "<REDACTED>" ? std::string() : stored_json(found);
    }
    [[nodiscard]] token_amounts claude_code_usage() const {
        if (claude_code_type() != "llm_request") return {};
        const auto count = [this](std::string_view key) -> count_type {
            const any_value any = all_[key];
            if (any.what() == any_kind::number && is_finite(any.number())) return std::trunc(any.number());
            return token_count(any);
        };
        auto input = count("input_tokens");
        const auto read = count("cache_read_tokens");
        const auto written = count("cache_creation_tokens");
        if (input) *input += read.value_or(0) + written.value_or(0);
        const auto found = usage_of(input, count("output_tokens"), std::nullopt);
        return found.there ? with_cache(found, read, written) : found;
    }
    [[nodiscard]] std::string claude_code_inputs() const {
        const std::string type = claude_code_type();
        if (type == "interaction")
            if (auto prompt = content("user_prompt"); !prompt.empty()) return prompt;
        if (type == "interaction" || type == "llm_request") return content("new_context");
        if (type != "tool") return {};
        if (auto input = content("tool_input"); !input.empty()) return input;
        std::string details;
        for (const std::string_view key : {"full_command", "file_path", "skill_name", "subagent_type"})
            if (const auto detail = content(key); !detail.empty()) {
                details += details.empty() ? "{" : ", ";
                append_python_text(details, key, true);
                details += ": ";
                append_loaded(details, detail, 0, false);
            }
        return details.empty() ? details : details + '}';
    }
    [[nodiscard]] std::string claude_code_outputs() const {
        const std::string type = claude_code_type();
        return type == "llm_request" ? content("response.model_output")
               : type == "tool"      ? content("new_context")
                                     : "";
    }
    [[nodiscard]] std::string claude_code_event() const {
        std::string found;
        if (claude_code_type() != "tool") return found;
        for_each_event([&](std::string_view event, const span_attributes& attributes) {
            if (event != "tool.output") return;
            for (const std::string_view key : {"output", "content", "diff"}) {
                const any_value value = attributes[key];
                if (!found.empty() || is_nothing(value) || stored_text(value) == "<REDACTED>") continue;
                json_tree tree;
                const std::string text = value.what() == any_kind::text ? value.text() : stored_json(value);
                if (tree.read(text)) append_python(found, tree.root(), false);
                else append_python_text(found, text, false);
            }
        });
        return found;
    }

    const span_attributes& all_;
    json_value events_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
