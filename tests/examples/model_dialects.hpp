// SPDX-License-Identifier: Apache-2.0
// What model servers send: one answer in many forms, and what is no answer.
#pragma once

#include "examples/chat_server/model_answer.hpp"

#include <cstddef>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

namespace dialects {

using chat_server::model_answer;

enum class framing {
    to_close,
    length,
    chunked,
    with_trailers,
    without_last_chunk,
    stays_open,
};

struct dialect {
    std::string name;
    std::string body;
    model_answer wanted{};      // where there is no error
    std::string error{};        // what the message must hold
    std::string so_far{};       // the text that is kept beside an error
    std::string before{};       // the header of the answer
    std::string status = "200"; // of the answer
    std::string headers{};
    framing framed = framing::to_close;
};

inline std::string chunked(std::string_view body) {
    std::string all;
    const auto add = [&all](std::string_view part) {
        constexpr char digits[] = "0123456789abcdef";
        all += std::string{digits[part.size() >> 4U & 15U], digits[part.size() & 15U]} + "\r\n";
        all += std::string(part) + "\r\n";
    };
    for (; body.size() > 200; body.remove_prefix(200)) add(body.substr(0, 200));
    if (!body.empty()) add(body);
    return all;
}

inline std::string bytes_of(const dialect& one) {
    const std::string head = one.before + "HTTP/1.1 " + one.status + " x\r\n" + one.headers;
    switch (one.framed) {
    case framing::length: return head + "Content-Length: " + std::to_string(one.body.size()) + "\r\n\r\n" + one.body;
    case framing::chunked: return head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(one.body) + "0\r\n\r\n";
    case framing::with_trailers:
        return head + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n" + chunked(one.body) +
               "0;last=yes\r\nX-Sum: 1\r\n\r\n";
    case framing::without_last_chunk: return head + "Transfer-Encoding: chunked\r\n\r\n" + chunked(one.body);
    case framing::to_close:
    case framing::stays_open: break;
    }
    return head + "\r\n" + one.body;
}

inline std::string gzipped(const std::string& plain) {
    std::string packed(plain.size() + 128, '\0');
    z_stream stream{};
    gz_header header{};
    std::string name = "answer";
    header.name = reinterpret_cast<Bytef*>(name.data());
    deflateInit2(&stream, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY);
    deflateSetHeader(&stream, &header);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    deflate(&stream, Z_FINISH);
    packed.resize(stream.total_out);
    deflateEnd(&stream);
    return packed;
}

// A chunk with one piece of the answer, or with more of the JSON of its delta.
inline std::string delta(const std::string& members, const std::string& finish = "null") {
    return R"({"id":"c-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{)" + members +
           R"(},"finish_reason":)" + finish + "}]}";
}
inline std::string said(const std::string& raw) { return delta(R"("content":")" + raw + '"'); }
inline const std::string stop = delta("", R"("stop")");
inline const std::string usage =
    R"({"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}})";

inline std::string events(const std::vector<std::string>& data, const std::string& end = "\n") {
    std::string all;
    for (const auto& each : data) all += "data: " + each + end + end;
    return all;
}
inline std::string done(const std::vector<std::string>& data) { return events(data) + "data: [DONE]\n\n"; }

inline std::string whole(const std::string& message, const std::string& more = R"(,"finish_reason":"stop")",
                         const std::string& beside = R"(,"usage":{"prompt_tokens":11,"completion_tokens":3})") {
    return R"({"id":"c-1","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant",)" +
           message + "}" + more + "}]" + beside + "}";
}

inline std::string with(std::string text, std::string_view what, std::string_view by) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
        text.replace(at, what.size(), by);
    return text;
}

inline model_answer berlin() {
    return {.text = "Berlin.", .finish_reason = "stop", .input_tokens = 11, .output_tokens = 3};
}
inline model_answer berlin(std::size_t input, std::size_t output) {
    auto answer = berlin();
    answer.input_tokens = input;
    answer.output_tokens = output;
    return answer;
}

inline const std::vector<std::string> plain_chunks = {delta(R"("role":"assistant","content":"")"), said("Ber"),
                                                      said("lin."), stop, usage};

inline std::vector<dialect> good_ones() {
    const std::string plain = done(plain_chunks);
    const std::string answer = R"("content":"Berlin.")";
    const auto own = [](model_answer wanted, auto change) {
        change(wanted);
        return wanted;
    };
    const model_answer emoji = own(berlin(), [](auto& a) { a.text = "Hi \xF0\x9F\x98\x80!"; });
    const model_answer weather = own(berlin(), [](auto& a) {
        a.text = "";
        a.finish_reason = "tool_calls";
        a.tool_calls = {{"t-1", "weather", R"({"city":"Berlin","days":2})"}, {"t-2", "clock", "{}"}};
    });
    const model_answer reasoned = own(berlin(), [](auto& a) { a.reasoning = "A capital."; });
    const model_answer refused = own(berlin(), [](auto& a) { a.text = a.refusal = "I cannot."; });
    const auto ends = [](const char* reason) {
        auto a = berlin();
        a.finish_reason = reason;
        return a;
    };
    const auto unsaid = [](model_answer a) {
        a.finish_reason = "";
        return a;
    };
    std::string big = "Berlin.";
    for (int i = 0; i < 3000; ++i) big += " Berlin.";

    return {
        // A body by itself.
        {"stream", plain, berlin()},
        {"whole", whole(answer), berlin()},
        {"whole_with_white_space", "\r\n  " + with(whole(answer), ",", " ,\n\t") + "\n\n", berlin()},
        {"error_null",
         done({with(said("Ber"), "{\"id\"", "{\"error\":null,\"id\""),
               with(said("lin."), "{\"id\"", "{\"error\":{},\"id\""), with(stop, "{\"id\"", "{\"error\":\"\",\"id\""),
               usage}),
         berlin()},
        {"whole_error_null", with(whole(answer), "{\"id\"", "{\"error\":null,\"id\""), berlin()},
        {"whole_error_of_empty_members",
         with(whole(answer), "{\"id\"", R"({"error":{"code":0,"message":"","type":null},"id")"), berlin()},
        {"without_newline", plain.substr(0, plain.size() - 2), berlin()},
        {"without_done", events(plain_chunks), berlin()},
        {"without_done_and_newline", events(plain_chunks).substr(0, events(plain_chunks).size() - 2), berlin()},
        {"without_finish_reason", done({said("Ber"), said("lin."), usage}), unsaid(berlin())},
        {"blank_behind_done", with(plain, "[DONE]", " [DONE] \t"), berlin()},
        {"more_behind_done", plain + events({said("x"), R"({"error":"late"})"}), berlin()},
        {"no_space_behind_the_colon", with(plain, "data: ", "data:"), berlin()},
        {"crlf", with(plain, "\n", "\r\n"), berlin()},
        {"cr", with(plain, "\n", "\r"), berlin()},
        {"mixed_line_ends", with(with(plain, "null}]}\n\n", "null}]}\r\n\r"), "stop\"}]}\n", "stop\"}]}\r"),
         berlin()},
        {"one_newline_between_events", with(plain, "\n\n", "\n"), berlin()},
        {"done_in_quotes", with(plain, "[DONE]", "\"[DONE]\""), berlin()},
        {"null_events", with(plain, "data: {\"choices\":[]", "data: null\n\ndata: {\"choices\":[]"), berlin()},
        {"byte_order_mark", "\xEF\xBB\xBF" + plain, berlin()},
        {"whole_byte_order_mark", "\xEF\xBB\xBF" + whole(answer), berlin()},
        {"several_data_lines", with(plain, ",\"choices\"", ",\ndata: \"choices\""), berlin()},
        {"pretty_printed_data_lines", with(with(plain, ",", ",\r\ndata:   "), ":[{", ":[\r\ndata:{"), berlin()},
        {"comments_and_other_fields",
         ": hello\n\nretry: 10\n\n" + with(plain, "data: {", ":\nevent: message\nid: 7\ndata: {") + ": bye\n\n",
         berlin()},
        {"fields_behind_the_data", with(plain, "}\n\n", "}\nid\nretry: 1\nunknown: x\n\n"), berlin()},
        {"pings",
         with(plain, "data: {\"id\"",
              "event: ping\ndata: 12:00 [x]\n\nevent: ping\ndata: {\"type\":\"ping\"}"
              "\n\ndata:\n\ndata: {\"id\""),
         berlin()},
        {"comments_before_it", "\n\n\n" + plain, berlin()},
        {"documents_by_lines", with(with(plain, "data: ", ""), "[DONE]", ""), berlin()},
        {"documents_in_a_row", with(with(with(plain, "data: ", ""), "[DONE]", ""), "\n", ""), berlin()},
        {"array_of_chunks", "[" + said("Berlin.") + "," + stop + ",\n" + usage + "]", berlin()},
        {"documents_of_ollama",
         R"({"model":"m","message":{"role":"assistant","content":"Ber"},"done":false})"
         "\n"
         R"({"model":"m","message":{"role":"assistant","content":"lin."},"done":false})"
         "\n"
         R"({"model":"m","message":{"role":"assistant","content":""},"done":true,"done_reason":"stop",)"
         R"("total_duration":5000,"prompt_eval_count":11,"eval_count":3})"
         "\n",
         berlin()},
        {"whole_answer_in_an_event", done({whole(answer)}), berlin()},
        {"whole_message_behind_its_pieces", done({said("Ber"), said("lin."), whole(answer)}), berlin()},
        {"text_of_old_completions",
         done({R"({"choices":[{"text":"Ber"}]})", R"({"choices":[{"text":"lin.","finish_reason":"stop"}]})", usage}),
         berlin()},

        // Texts.
        {"parts",
         done({delta(R"("content":[{"type":"text","text":"Ber"}])"),
               delta(R"("content":[{"type":"text","text":"lin"},{"type":"text","text":"."}])"), stop, usage}),
         berlin()},
        {"whole_parts", whole(R"("content":[{"type":"text","text":"Ber"},"lin",{"type":"output_text","text":"."}])"),
         berlin()},
        {"parts_with_reasoning",
         whole(R"("content":[{"type":"thinking","thinking":[{"type":"text","text":"A capital."}]},)"
               R"({"type":"text","text":"Berlin."}])"),
         reasoned},
        {"refusal", done({delta(R"("refusal":"I can")"), delta(R"("content":null,"refusal":"not.")"), stop, usage}),
         refused},
        {"whole_refusal", whole(R"("content":null,"refusal":"I cannot.")"), refused},
        {"part_of_refusal", whole(R"("content":[{"type":"refusal","refusal":"I cannot."}])"), refused},
        {"reasoning_content",
         done({delta(R"("reasoning_content":"A cap")"), delta(R"("reasoning_content":"ital.")"), said("Berlin."),
               stop, usage}),
         reasoned},
        {"reasoning",
         done({delta(R"("reasoning":"A cap","content":"")"), delta(R"("reasoning":"ital.")"), said("Berlin."), stop,
               usage}),
         reasoned},
        {"reasoning_by_two_names", whole(R"("reasoning":"A capital.","reasoning_content":"A capital.",)" + answer),
         reasoned},
        {"emoji_as_escapes", done({said("Hi \\ud83d"), said("\\ude00!"), stop, usage}), emoji},
        {"emoji_with_nothing_between",
         done({said("Hi \\ud83d"), said(""), delta("\"content\":null"), said("\\uDE00!"), stop, usage}), emoji},
        {"emoji_as_bytes", done({said("Hi \xF0\x9F"), said("\x98"), said("\x80!"), stop, usage}), emoji},
        {"whole_emoji", whole(R"("content":"Hi \uD83D\uDE00!")"), emoji},
        {"half_an_emoji", done({said("\\ud83d"), said("x \\\\ud83d"), said("\xF0\x9F"), stop, usage}),
         own(berlin(), [](auto& a) { a.text = "\xEF\xBF\xBDx \\ud83d\xEF\xBF\xBD"; })},
        {"whole_half_an_emoji", whole("\"content\":\"\\ud83dx \\\\ud83d\xF0\x9F\""),
         own(berlin(), [](auto& a) { a.text = "\xEF\xBF\xBDx \\ud83d\xEF\xBF\xBD"; })},
        {"not_a_number",
         done({with(said("Berlin."), "\"id\"", R"("a":NaN,"b":[-Infinity,Infinity,1e400],"id")"),
               with(stop, "\"id\"", R"("a":nan,"b":-inf,"c":-nan,"text":"nan\"inf","id")"), usage}),
         berlin()},
        {"whole_not_a_number", whole(answer, R"(,"finish_reason":"stop","logprobs":{"x":[NaN,-inf,1e-400]})"),
         berlin()},
        {"deep", whole(answer, R"(,"finish_reason":"stop","x":)" + std::string(5000, '[') + std::string(5000, ']')),
         berlin()},
        {"deep_event",
         done({with(said("Berlin."), "\"id\"", "\"x\":" + std::string(600, '[') + std::string(600, ']') + ",\"id\""),
               stop, usage}),
         berlin()},
        {"control_characters", done({said("a\tb\x01"), said("\x1f\\\"c"), stop, usage}),
         own(berlin(), [](auto& a) { a.text = "a\tb\x01\x1f\"c"; })},
        {"message_as_text",
         R"({"choices":[{"message":"Berlin.","finish_reason":"stop"}],"prompt_eval_count":11,"eval_count":3})",
         berlin()},
        {"duplicate_keys", whole(R"("content":"x","content":"Berlin.")"), berlin()},
        {"huge_event", done({said(big), stop, usage}), own(berlin(), [&](auto& a) { a.text = big; })},
        {"escaped_keys", with(whole(answer), "\"content\"", "\"c\\u006fntent\""), berlin()},

        // Tokens.
        {"usage_as_floating_point",
         whole(answer, R"(,"finish_reason":"stop")", R"(,"usage":{"prompt_tokens":11.0,"completion_tokens":3e0})"),
         berlin()},
        {"usage_as_text",
         whole(answer, R"(,"finish_reason":"stop")", R"(,"usage":{"prompt_tokens":"11","completion_tokens":"3"})"),
         berlin()},
        {"usage_input_output", with(with(plain, "prompt_tokens", "input_tokens"), "completion_", "output_"),
         berlin()},
        {"usage_of_ollama", whole(answer, R"(,"finish_reason":"stop")", R"(,"prompt_eval_count":11,"eval_count":3)"),
         berlin()},
        {"usage_of_groq",
         done({said("Berlin."), with(stop, "\"id\"",
                                     R"("x_groq":{"id":"r","usage":{"queue_time":0.1,)"
                                     R"("prompt_tokens":11,"completion_tokens":3}},"id")")}),
         berlin()},
        {"usage_in_the_choice",
         done({said("Berlin."),
               with(stop, "\"index\"", R"("usage":{"prompt_tokens":11,"completion_tokens":3},"index")")}),
         berlin()},
        {"timings",
         done({said("Berlin."), with(stop, "\"id\"",
                                     R"("timings":{"cache_n":4,"prompt_n":7,"prompt_ms":1.5,)"
                                     R"("predicted_n":3,"predicted_ms":2.5},"id")")}),
         berlin()},
        {"usage_beside_timings",
         done({said("Berlin."), stop,
               with(usage, "\"choices\"", R"("timings":{"prompt_n":1,"predicted_n":2},"choices")")}),
         berlin()},
        {"usage_of_gemini",
         whole(answer, R"(,"finish_reason":"stop")",
               R"(,"usageMetadata":{"promptTokenCount":11,"candidatesTokenCount":3})"),
         berlin()},
        {"usage_of_cohere",
         whole(answer, R"(,"finish_reason":"stop")", R"(,"usage":{"tokens":{"input_tokens":11,"output_tokens":3}})"),
         berlin()},
        {"usage_by_total",
         whole(answer, R"(,"finish_reason":"stop")", R"(,"usage":{"prompt_tokens":11,"total_tokens":14})"), berlin()},
        {"emptier_usage_behind_it",
         done({said("Berlin."), stop, usage, with(with(usage, ":11", ":0"), ":3", ":0"),
               R"({"choices":[],"usage":null})", R"({"choices":[],"usage":{}})"}),
         berlin()},
        {"usage_that_counts_up",
         done({with(said("Ber"), "\"id\"", R"("usage":{"prompt_tokens":11,"completion_tokens":1},"id")"),
               with(said("lin."), "\"id\"", R"("usage":{"prompt_tokens":11,"completion_tokens":2},"id")"), stop,
               usage}),
         berlin()},
        {"usage_with_details",
         with(plain, "\"total_tokens\":14",
              R"("total_tokens":14,"completion_tokens_details":{"reasoning_tokens":9},"prompt_tokens_details":null)"),
         berlin()},
        {"usage_that_is_none",
         whole(answer, R"(,"finish_reason":"stop")", R"(,"usage":{"prompt_tokens":-1,"completion_tokens":1e400})"),
         berlin(0, 0)},
        {"choices_null_beside_usage", with(plain, "\"choices\":[],", "\"choices\":null,"), berlin()},
        {"no_choices_beside_usage", with(plain, "\"choices\":[],", ""), berlin()},

        // Choices and their ends.
        {"several_choices",
         done({R"({"choices":[{"index":1,"delta":{"content":"Pa"}},{"index":0,"delta":{"content":"Ber"}}]})",
               R"({"choices":[{"index":0,"delta":{"content":"lin."}},{"index":1,"delta":{"content":"ris"}}]})",
               R"({"choices":[{"index":1,"delta":{},"finish_reason":"length"}]})", stop, usage}),
         berlin()},
        {"whole_choices",
         R"({"choices":[{"index":1,"message":{"content":"Paris"}},{"index":0,"message":)"
         R"({"content":"Berlin."},"finish_reason":"stop"}],"usage":{"input_tokens":11,"output_tokens":3}})",
         berlin()},
        {"another_choice_alone",
         done({with(said("Berlin."), "\"index\":0", "\"index\":2"), with(stop, "\"index\":0", "\"index\":2"), usage}),
         berlin()},
        {"finish_length", with(plain, "\"stop\"", "\"length\""), ends("length")},
        {"finish_content_filter", with(plain, "\"stop\"", "\"content_filter\""), ends("content_filter")},
        {"finish_with_the_last_piece", done({said("Ber"), delta(R"("content":"lin.")", "\"stop\""), usage}),
         berlin()},
        {"last_chunk_twice",
         done({said("Ber"), delta(R"("content":"lin.")", "\"stop\""), delta(R"("content":"lin.")", "\"stop\""), usage,
               usage}),
         berlin()},
        {"finish_reason_empty", with(plain, "\"finish_reason\":null", "\"finish_reason\":\"\""), berlin()},
        {"delta_null", with(plain, "\"delta\":{},", "\"delta\":null,"), berlin()},

        // Tools.
        {"tool_calls",
         done({delta(R"("role":"assistant","content":null,"tool_calls":[{"index":0,"id":"t-1","type":"function",)"
                     R"("function":{"name":"weather","arguments":""}}])"),
               delta(R"("tool_calls":[{"index":0,"function":{"arguments":"{\"city\":"}}])"),
               delta(R"("tool_calls":[{"index":1,"id":"t-2","function":{"name":"clock","arguments":"{"}}])"),
               delta(R"("tool_calls":[{"index":0,"function":{"arguments":"\"Berlin\",\"days\":2}"}},)"
                     R"({"index":1,"function":{"arguments":"}"}}])"),
               delta("", R"("tool_calls")"), usage}),
         weather},
        {"tool_calls_without_index",
         done(
             {delta(
                  R"("tool_calls":[{"id":"t-1","function":{"name":"weather","arguments":"{\"city\":\"Berlin\""}}])"),
              delta(R"("tool_calls":[{"function":{"arguments":",\"days\":2}"}}])"),
              delta(R"("tool_calls":[{"id":"t-2","function":{"name":"clock","arguments":"{}"}}])", R"("tool_calls")"),
              usage}),
         weather},
        {"tool_calls_of_one_index",
         done({delta(R"("tool_calls":[{"index":0,"id":"t-1","function":{"name":"weather","arguments":)"
                     R"("{\"city\":\"Berlin\",\"days\":2}"}}])"),
               delta(R"("tool_calls":[{"index":0,"id":"t-2","function":{"name":"clock","arguments":"{}"}}])",
                     R"("tool_calls")"),
               usage}),
         weather},
        {"whole_tool_calls",
         whole(
             R"("content":null,"tool_calls":[{"id":"t-1","type":"function","function":{"name":"weather",)"
             R"("arguments":"{\"city\":\"Berlin\",\"days\":2}"}},{"id":"t-2","function":{"name":"clock","arguments":"{}"}}])",
             R"(,"finish_reason":"tool_calls")"),
         weather},
        {"arguments_as_object",
         whole(R"("content":"","tool_calls":[{"id":"t-1","function":{"name":"weather","arguments":)"
               R"({"city":"Berlin","days":2}}},{"id":"t-2","function":{"name":"clock","arguments":{}}}])",
               R"(,"finish_reason":"tool_calls")"),
         weather},

        // HTTP.
        {"content_length", whole(answer), berlin(), "", "", "", "200", "Content-Type: application/json\r\n",
         framing::length},
        {"chunked", plain, berlin(), "", "", "", "200", "Content-Type: text/event-stream\r\n", framing::chunked},
        {"trailers", plain, berlin(), "", "", "", "200", "", framing::with_trailers},
        {"without_the_last_chunk", plain, berlin(), "", "", "", "200", "", framing::without_last_chunk},
        {"without_done_and_the_last_chunk", events(plain_chunks), berlin(), "", "", "", "200", "",
         framing::without_last_chunk},
        {"stays_open", plain, berlin(), "", "", "", "200", "", framing::stays_open},
        {"stays_open_without_done", events(plain_chunks), berlin(), "", "", "", "200", "", framing::stays_open},
        {"stays_open_in_the_last_line", plain.substr(0, plain.size() - 2), berlin(), "", "", "", "200", "",
         framing::stays_open},
        {"whole_stays_open", whole(answer), berlin(), "", "", "", "200", "", framing::stays_open},
        {"continue_and_early_hints", plain, berlin(), "", "",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "200", "", framing::chunked},
        {"whole_as_event_stream", whole(answer), berlin(), "", "", "", "200", "Content-Type: text/event-stream\r\n"},
        {"stream_as_json", plain, berlin(), "", "", "", "200", "Content-Type: application/json\r\n"},
        {"stream_as_html", plain, berlin(), "", "", "", "201", "Content-Type: text/html\r\n"},
        {"gzip", gzipped(plain), berlin(), "", "", "", "200", "Content-Encoding: gzip\r\n", framing::chunked},
        {"whole_gzip_that_nobody_names", gzipped(whole(answer)), berlin()},
        {"wrong_coding", plain, berlin(), "", "", "", "200", "Content-Encoding: br\r\n"},
        {"wide_header", plain, berlin(), "", "", "", "200", "X-Wide: " + std::string(20'000, 'x') + "\r\n"},
    };
}

inline std::vector<dialect> bad_ones() {
    const auto cut = [](std::string name, std::string body, std::string so_far = "Ber",
                        framing framed = framing::to_close) {
        return dialect{.name = std::move(name),
                       .body = std::move(body),
                       .error = "sent an incomplete response",
                       .so_far = std::move(so_far),
                       .framed = framed};
    };
    const auto bad = [](std::string name, std::string body, std::string error, std::string so_far = "",
                        std::string status = "200", std::string headers = "") {
        return dialect{.name = std::move(name),
                       .body = std::move(body),
                       .error = std::move(error),
                       .so_far = std::move(so_far),
                       .status = std::move(status),
                       .headers = std::move(headers)};
    };
    const std::string deltas = events({said("Be"), said("r")});
    const std::string slow_down = R"({"error":{"message":"slow down","type":"rate_limit","code":429}})";
    return {
        cut("cut_between_events", deltas),
        cut("cut_in_an_event", deltas + events({said("lin.")}).substr(0, 90)),
        cut("cut_in_done", deltas + "data: [DO"),
        cut("cut_at_data", deltas + "data: "),
        cut("cut_in_a_chunked_body", deltas, "Ber", framing::without_last_chunk),
        cut("cut_with_a_last_chunk", deltas, "Ber", framing::chunked),
        cut("cut_in_a_document", whole(R"("content":"Berlin.")").substr(0, 100), ""),
        cut("cut_in_documents", said("Ber") + "\n" + said("lin.").substr(0, 70)),
        cut("cut_in_gzip", gzipped(whole(R"("content":"Berlin.")")).substr(0, 40), ""),
        bad("nothing", "", "sent no answer"),
        bad("no_content", "", "sent no answer", "", "204"),
        bad("white_space", "\r\n \n", "sent no answer"),
        bad("comments_only", ": ping\n\n: ping\n\n", "sent neither JSON nor events: : ping"),
        bad("done_only", "data: [DONE]\n\n", "sent no choices: data: [DONE]"),
        bad("usage_only", done({usage}), "sent no choices"),
        bad("html", "<html><body>Login</body></html>", "sent neither JSON nor events: <html><body>Login"),
        bad("text", "upstream timed out\n", "sent neither JSON nor events: upstream timed out"),
        bad("json_text", "\"overloaded\"", "sent neither JSON nor events: \"overloaded\""),
        bad("no_json", "data: hello\n\n", "sent no JSON: hello"),
        bad("broken_json", deltas + "data: {\"choices\":[{]}\n\n", "sent no JSON: {\"choices\":[{]}", "Ber"),
        bad("broken_document", "{\"choices\": yes}", "sent no JSON: {\"choices\": yes}"),
        bad("other_json", R"({"object":"list","data":[]})", R"(sent no choices: {"object":"list")"),
        bad("empty_choices", R"({"choices":[]})", "sent no choices"),
        bad("empty_answer", whole(R"("content":"")"), "sent an empty answer with the finish reason stop"),
        bad("empty_stream", done({delta(R"("role":"assistant","content":"")"), stop, usage}),
            "sent an empty answer with the finish reason stop"),
        bad("null_answer", whole(R"("content":null)", R"(,"finish_reason":"content_filter")"),
            "with the finish reason content_filter"),
        bad("reasoning_only", done({delta(R"("reasoning_content":"A cap")"), delta("", "\"length\""), usage}),
            "with the finish reason length, with reasoning only"),
        bad("whole_reasoning_only", whole(R"("reasoning":"A cap","content":null)", R"(,"finish_reason":"length")"),
            "with the finish reason length, with reasoning only"),
        bad("error", slow_down, "sent an error: slow down"),
        bad("error_as_text", R"({"error":"model not loaded"})", "sent an error: model not loaded"),
        bad("error_beside_choices", whole(R"("content":"Berlin.")", "", R"(,"error":{"code":500}})"),
            R"(sent an error: {"code":500})"),
        bad("error_in_an_array", "[" + slow_down + "]", "sent an error: slow down"),
        bad("error_in_a_choice", R"({"choices":[{"index":0,"message":{"content":""},"error":{"message":"boom"}}]})",
            "sent an error: boom"),
        bad("error_in_the_middle", deltas + events({slow_down}), "sent an error: slow down", "Ber"),
        bad("error_then_done", deltas + done({slow_down}), "sent an error: slow down", "Ber"),
        bad("error_text_in_the_middle", deltas + events({R"({"error":"boom"})"}), "sent an error: boom", "Ber"),
        bad("error_object_in_the_middle", deltas + events({R"({"object":"error","message":"boom","code":400})"}),
            "sent an error: boom", "Ber"),
        bad("error_of_message_and_code", deltas + events({R"({"code":20012,"message":"boom","data":null})"}),
            "sent an error: boom", "Ber"),
        bad("error_event", deltas + "event: error\ndata: {\"detail\":\"boom\"}\n\n", "sent an error: boom", "Ber"),
        bad("error_event_of_text", deltas + "event: error\ndata: boom\n\n", "sent an error: boom", "Ber"),
        bad("error_event_cut", deltas + "event: error\ndata: boom", "sent an error: boom", "Ber"),
        bad("error_field", deltas + "error: {\"code\":500,\"message\":\"boom\"}\n\n", "sent an error: boom", "Ber"),
        bad("error_without_a_field", deltas + slow_down + "\n", "sent an error: slow down", "Ber"),
        bad("finish_error", deltas + done({delta("", "\"error\"")}), "sent an error", "Ber"),
        bad("status_429", slow_down, "answered 429: slow down", "", "429"),
        bad("status_500_of_text", R"({"error":"boom"})", "answered 500: boom", "", "500"),
        bad("status_422_of_fastapi", R"({"detail":[{"loc":["body"],"msg":"field required"}]})",
            R"(answered 422: [{"loc":["body"],"msg":"field required"}])", "", "422"),
        bad("status_502_of_html", "<html>\r\n<head><title>502 Bad Gateway</title></head>",
            "answered 502: <html>  <head><title>502 Bad Gateway", "", "502", "Content-Type: text/html\r\n"),
        bad("status_503_of_gzip", gzipped(slow_down), "answered 503: slow down", "", "503"),
        bad("status_401_of_nothing", "", "answered 401", "", "401"),
        bad("redirect", "", "answered 307", "", "307", "Location: /v2\r\n"),
        bad("unknown_coding", "\x1B\x03\x80\x01", "used the content coding br, which was not requested", "", "200",
            "Content-Encoding: br\r\n"),
    };
}

} // namespace dialects
