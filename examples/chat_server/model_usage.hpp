// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/json_tree.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <string_view>

namespace chat_server {

/// Reads token counts under the names that various servers use. Counts in `usage` take precedence over others. Among
/// several chunks the highest count is used, since some servers repeat an empty field and others count up.
class usage_reader {
public:
    void read(mlflow::trace::detail::json_value document) {
        own_.take(document["usage"], 3);
        other_.take(document, 4);
    }
    void write(std::size_t& input, std::size_t& output) const {
        input = own_.input != 0 ? own_.input : other_.input;
        output = own_.output != 0 ? own_.output : other_.output;
        const std::size_t total = own_.total != 0 ? own_.total : other_.total;
        if (input == 0 && output < total) input = output == 0 ? 0 : total - output;
        else if (output == 0 && input < total) output = total - input;
    }

private:
    using json_value = mlflow::trace::detail::json_value;

    static bool is_one_of(json_value member, std::initializer_list<const char*> names) {
        return std::any_of(names.begin(), names.end(), [&](const char* name) { return member.is_named(name); });
    }
    // 12, 12.0 and "12" are 12; anything that is not a count is 0.
    static std::size_t count_of(json_value value) {
        double number = value.number();
        if (value.is(json_value::kind::text))
            std::from_chars(value.raw().data(), value.raw().data() + value.raw().size(), number);
        return number >= 0 && number < 9007199254740992.0 ? static_cast<std::size_t>(std::llround(number)) : 0;
    }

    struct counts {
        std::size_t input = 0, output = 0, total = 0;

        void take(json_value object, int levels) {
            if (!object.is(json_value::kind::object) && !object.is(json_value::kind::array)) return;
            std::size_t cached = 0, processed = 0; // llama.cpp's timings
            for (const json_value member : object) {
                const auto note = [&](std::size_t& to) { to = std::max(to, count_of(member)); };
                if (is_one_of(member, {"prompt_tokens", "input_tokens", "prompt_eval_count", "tokens_evaluated",
                                       "promptTokens", "inputTokens", "promptTokenCount", "prompt_token_count"}))
                    note(input);
                else if (is_one_of(member, {"completion_tokens", "output_tokens", "eval_count", "tokens_predicted",
                                            "predicted_n", "completionTokens", "outputTokens", "candidatesTokenCount",
                                            "candidates_token_count", "generated_tokens"}))
                    note(output);
                else if (is_one_of(member, {"total_tokens", "totalTokens", "totalTokenCount"})) note(total);
                else if (member.is_named("prompt_n")) note(processed);
                else if (member.is_named("cache_n")) note(cached);
                else if (levels > 0 && !is_one_of(member, {"delta", "message", "logprobs"})) take(member, levels - 1);
            }
            if (processed != 0) input = std::max(input, processed + cached);
        }
    };

    counts own_, other_;
};

} // namespace chat_server
