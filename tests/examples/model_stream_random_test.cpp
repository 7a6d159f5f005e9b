// SPDX-License-Identifier: Apache-2.0
// Random answers, each written as a stream and as one document in a random dialect and cut at random: the reader must
// give back the answer that was written. By the seed that is printed a run can be had again.
#include "examples/chat_server/model_stream.hpp"
#include "support/environment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

using chat_server::model_answer;

class random_dialect {
public:
    explicit random_dialect(std::uint64_t seed) : random_(seed) {}

    void run() {
        const model_answer answer = make_answer();
        read(answer, document(answer));
        read(answer, stream(answer));
    }

private:
    std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_() % end); }
    bool one_in(std::size_t n) { return below(n) == 0; }
    template <class T>
    T one_of(std::initializer_list<T> all) {
        return *(all.begin() + static_cast<std::ptrdiff_t>(below(all.size())));
    }

    std::string make_text(std::size_t most) {
        std::string text;
        for (std::size_t i = 1 + below(most); i > 0; --i)
            text += one_of<std::string_view>({"a",
                                              "B",
                                              " ",
                                              "\n",
                                              "\t",
                                              "\"",
                                              "\\",
                                              "\\u",
                                              "\\ud83d",
                                              "/",
                                              "{",
                                              "}",
                                              "[",
                                              "]",
                                              "data: ",
                                              "[DONE]",
                                              "\x7f",
                                              "\x01",
                                              "\r",
                                              "\xC3\xBC",
                                              "\xE2\x82\xAC",
                                              "\xE2\x80\xA8",
                                              "\xEF\xBB\xBF",
                                              "\xF0\x9F\x98\x80",
                                              "\xF4\x8F\xBF\xBF"});
        return text;
    }

    model_answer make_answer() {
        model_answer answer;
        if (one_in(8)) answer.text = answer.refusal = make_text(20);
        else if (!one_in(8)) answer.text = make_text(one_in(10) ? 400 : 30);
        if (one_in(3)) answer.reasoning = make_text(20);
        if (answer.text.empty() || one_in(6))
            for (std::size_t i = 1 + below(3); i > 0; --i)
                answer.tool_calls.push_back(
                    {"t-" + std::to_string(i), "tool" + std::to_string(i), "{\"x\":\"" + make_text(3) + "\"}"});
        answer.finish_reason = one_of<const char*>({"stop", "length", "content_filter", "tool_calls"});
        answer.input_tokens = 1 + below(100'000);
        answer.output_tokens = 1 + below(5'000);
        return answer;
    }

    // What may stand between the quotes of JSON for a text, as parts that may go into different strings.
    std::vector<std::string> units(std::string_view text) {
        std::vector<std::string> all;
        const auto escape = [&](std::uint32_t unit) {
            const char* const digits = one_of<const char*>({"0123456789abcdef", "0123456789ABCDEF"});
            std::string escaped = "\\u";
            for (unsigned shift = 16; shift > 0; shift -= 4) escaped += digits[unit >> (shift - 4) & 15U];
            all.push_back(escaped);
        };
        while (!text.empty()) {
            const auto step = mlflow::trace::detail::decode_utf8(text);
            const std::uint32_t c = step.code_point;
            if (c == '"' || c == '\\') all.push_back(std::string("\\") + text[0]);
            else if (c >= 0x10000 && one_in(2))
                escape(0xD800 + ((c - 0x10000) >> 10U)), escape(0xDC00 + (c & 0x3FFU));
            else if (c < 0x20 || (c < 0x10000 && one_in(6))) escape(c);
            else
                for (const char byte : text.substr(0, step.length)) all.emplace_back(1, byte);
            text.remove_prefix(step.length);
        }
        return all;
    }
    std::string quoted(std::string_view text) {
        std::string all = "\"";
        for (const auto& unit : units(text)) all += unit;
        return all + '"';
    }
    // The same, over several strings.
    std::vector<std::string> pieces(std::string_view text) {
        std::vector<std::string> all;
        const std::size_t longest = one_of<std::size_t>({1, 3, 20, 1000});
        std::string piece;
        std::size_t left = 1 + below(longest);
        for (const auto& unit : units(text)) {
            piece += unit;
            if (--left != 0) continue;
            all.push_back('"' + piece + '"');
            if (one_in(9)) all.emplace_back("\"\"");
            piece.clear();
            left = 1 + below(longest);
        }
        if (!piece.empty()) all.push_back('"' + piece + '"');
        return all;
    }

    std::string number(std::size_t value) {
        const auto digits = std::to_string(value);
        return one_of<std::string>({digits, digits + ".0", digits + "e0", '"' + digits + '"'});
    }
    std::string usage_members(const model_answer& answer) {
        const auto [input, output] =
            one_of<std::pair<const char*, const char*>>({{"prompt_tokens", "completion_tokens"},
                                                         {"input_tokens", "output_tokens"},
                                                         {"prompt_eval_count", "eval_count"}});
        return '"' + std::string(input) + "\":" + number(answer.input_tokens) + ",\"" + output +
               "\":" + number(answer.output_tokens);
    }
    // As members of the document, with a comma behind.
    std::string usage(const model_answer& answer) {
        const std::string members = usage_members(answer);
        return one_of<std::string>(
            {"\"usage\":{" + members + "},", "\"usage\":{" + members + ",\"details\":{\"cached\":9}},",
             "\"x_vendor\":{\"usage\":{" + members + "}},", members + ",",
             "\"timings\":{\"cache_n\":1,\"prompt_n\":" + std::to_string(answer.input_tokens - 1) +
                 ",\"predicted_n\":" + std::to_string(answer.output_tokens) + "},\"usage\":{" + members + "},"});
    }
    // What nobody asked for, with a comma behind.
    std::string extra() {
        return one_of<std::string>({"", "", "", "\"error\":null,", "\"error\":{},", "\"error\":\"\",", "\"x\":NaN,",
                                    "\"x\":[-Infinity,1e400,{}],", "\"y\":\"}]{[\\\"\",",
                                    "\"system_fingerprint\":null,",
                                    "\"logprobs\":{\"content\":[{\"token\":\"x\",\"logprob\":-inf}]},"});
    }
    std::string other_choice() {
        return one_in(6) ? ",{\"index\":1,\"delta\":{\"content\":\"other\"},\"message\":{\"content\":\"other\"}}"
                         : "";
    }

    std::string content(const std::string& text) {
        if (!one_in(6)) return text;
        return one_of<std::string>({"[{\"type\":\"text\",\"text\":" + text + "}]", "[" + text + "]",
                                    "[{\"type\":\"text\",\"text\":\"\"},{\"text\":" + text + ",\"type\":\"text\"}]"});
    }
    std::string reasoning_name() { return one_of<const char*>({"reasoning", "reasoning_content"}); }

    std::string document(const model_answer& answer) {
        std::string message = "\"role\":\"assistant\"";
        const bool is_refusal = !answer.refusal.empty();
        message += ",\"content\":" + (is_refusal || answer.text.empty() ? "null" : content(quoted(answer.text)));
        if (is_refusal) message += ",\"refusal\":" + quoted(answer.refusal);
        if (!answer.reasoning.empty()) message += ",\"" + reasoning_name() + "\":" + quoted(answer.reasoning);
        std::string calls;
        for (const auto& call : answer.tool_calls)
            calls += (calls.empty() ? "" : ",") + ("{\"id\":" + quoted(call.id)) +
                     ",\"function\":{\"name\":" + quoted(call.name) + ",\"arguments\":" + quoted(call.arguments) +
                     "}}";
        if (!calls.empty()) message += ",\"tool_calls\":[" + calls + "]";
        return one_of<const char*>({"", "\xEF\xBB\xBF", "\n "}) +
               ("{" + extra() + usage(answer) + "\"choices\":[{\"index\":0,\"message\":{" + message +
                "},\"finish_reason\":" + quoted(answer.finish_reason) + "}" + other_choice() + "]}") +
               one_of<const char*>({"", "\n", "\r\n\r\n"});
    }

    std::string chunk(const std::string& delta, const std::string& finish = "null", const std::string& beside = "") {
        return "{" + extra() + beside + "\"choices\":[{\"index\":0,\"delta\":{" + delta +
               "},\"finish_reason\":" + finish + "}" + other_choice() + "]}";
    }

    std::vector<std::string> chunks(const model_answer& answer) {
        std::vector<std::string> all;
        if (one_in(2)) all.push_back(chunk("\"role\":\"assistant\",\"content\":\"\""));
        const std::string name = reasoning_name();
        for (const auto& piece : pieces(answer.reasoning)) all.push_back(chunk("\"" + name + "\":" + piece));
        const bool is_refusal = !answer.refusal.empty();
        for (const auto& piece : pieces(answer.text))
            all.push_back(chunk(is_refusal ? "\"refusal\":" + piece : "\"content\":" + content(piece)));
        const bool has_index = one_in(2);
        for (std::size_t i = 0; i < answer.tool_calls.size(); ++i) {
            const auto& call = answer.tool_calls[i];
            const std::string index = has_index ? "\"index\":" + std::to_string(i) + "," : "";
            all.push_back(chunk("\"tool_calls\":[{" + index + "\"id\":" + quoted(call.id) +
                                ",\"function\":{\"name\":" + quoted(call.name) + ",\"arguments\":\"\"}}]"));
            for (const auto& piece : pieces(call.arguments))
                all.push_back(chunk("\"tool_calls\":[{" + index + "\"function\":{\"arguments\":" + piece + "}}]"));
        }
        const std::string finish = quoted(answer.finish_reason);
        if (one_in(2)) {
            all.push_back(chunk("", finish, usage(answer)));
        } else {
            all.push_back(chunk("", finish));
            if (one_in(4)) all.push_back(all.back());
            all.push_back("{" + usage(answer) + "\"choices\":[]}");
        }
        if (one_in(4)) all.push_back(R"({"choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0}})");
        return all;
    }

    std::string stream(const model_answer& answer) {
        const std::string end = one_of<const char*>({"\n", "\r\n", "\r"});
        const std::string name = one_of<const char*>({"data: ", "data:"});
        std::string all = one_in(5) ? "\xEF\xBB\xBF" : "";
        const bool is_done = one_in(2);
        auto data = chunks(answer);
        if (is_done) data.emplace_back("[DONE]");
        for (auto each : data) {
            if (one_in(8)) all += ": a comment" + end + (one_in(2) ? end : "");
            if (one_in(8))
                all += one_of<const char*>({"id: 1", "retry: 5", "event: message", "event", "other: {"}) + end;
            if (one_in(20)) all += "event: ping" + end + "data: {\"type\":\"ping\"}" + end + end;
            if (one_in(8) && each[0] == '{') each.replace(1, 0, end + name);
            all += name + each + end + end;
        }
        if (one_in(3)) all.resize(all.size() - one_of<std::size_t>({1, 2}) * end.size());
        else if (one_in(3)) all += is_done ? end + " " : ": bye" + end;
        return all;
    }

    void read(const model_answer& wanted, const std::string& body) {
        std::string said;
        chat_server::model_stream reader([&](std::string_view piece) { said += piece; });
        std::string_view rest = body;
        const std::size_t longest = one_of<std::size_t>({1, 10, 100, 10'000});
        try {
            while (!rest.empty()) {
                const std::size_t size = std::min(1 + below(longest), rest.size());
                reader.write(rest.substr(0, size));
                rest.remove_prefix(size);
            }
            const auto got = reader.end();
            EXPECT_EQ(got.text, wanted.text);
            EXPECT_TRUE(got == wanted) << body;
            EXPECT_EQ(said, wanted.text) << body;
        } catch (const chat_server::model_error& error) {
            ADD_FAILURE() << error.what() << "\n" << body;
        }
    }

    std::mt19937_64 random_;
};

TEST(model_stream_random, gives_back_what_was_written) {
    const std::uint64_t first = support::number_from("MLFLOW_TRACE_SEED", std::random_device{}());
    const std::uint64_t runs = support::number_from("MLFLOW_TRACE_SCHEDULES", 2'000);
    std::cout << "MLFLOW_TRACE_SEED=" << first << "\n";
    for (std::uint64_t seed = first; seed < first + runs && !HasFailure(); ++seed) {
        SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(seed));
        random_dialect(seed).run();
    }
}

} // namespace
