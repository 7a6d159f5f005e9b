// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../chat/model.hpp"
#include "gzip_body.hpp"
#include "model_connection.hpp"
#include "model_stream.hpp"
#include <mlflow/trace/http/check.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chat_server {

/// A model behind an OpenAI-compatible server, over HTTP: `POST <base>/chat/completions`. `model_stream` describes
/// the accepted responses. Streamed and complete requests give the same answer.
///
/// Errors: chat::broken_answer with the reason and the partial answer. Thread-safety: any number of threads may use
/// one model.
class openai_model {
public:
    struct options {
        std::string base_url; ///< for example http://127.0.0.1:8000/v1
        std::string api_key{};
        std::string model = "gpt-4o-mini";
        std::chrono::milliseconds connect_timeout{10'000};
        std::chrono::milliseconds silence_timeout{600'000}; ///< without a byte, also before the first one
        std::chrono::milliseconds closing_timeout{2'000};   ///< the same once the answer may be complete
    };

    /// Throws std::invalid_argument if the base URL is invalid.
    explicit openai_model(options chosen) : options_(std::move(chosen)) {
        auto server = mlflow::trace::endpoint::parse(options_.base_url);
        if (!server) throw std::invalid_argument("OPENAI_BASE_URL: " + server.error().message());
        if (server->scheme != "http")
            throw std::invalid_argument("OPENAI_BASE_URL: https is not supported; use a local proxy that adds TLS");
        if (!mlflow::trace::detail::is_field_value(options_.api_key))
            throw std::invalid_argument("OPENAI_API_KEY: contains a control character");
        server_ = std::move(*server);
    }

    const std::string& name() const { return options_.model; }

    /// `stop` cancels the request immediately.
    chat::completion complete(const std::vector<chat::message>& prompt, std::stop_token stop = {}) const {
        return ask(question(prompt, false), model_stream(), std::move(stop));
    }
    template <class OnChunk>
    chat::completion stream(const std::vector<chat::message>& prompt, OnChunk&& on_chunk,
                            std::stop_token stop = {}) const {
        return ask(question(prompt, true), model_stream([&](std::string_view piece) { on_chunk(piece); }),
                   std::move(stop));
    }

private:
    using json = nlohmann::json;

    json question(const std::vector<chat::message>& prompt, bool stream) const {
        json messages = json::array();
        for (const auto& [role, content] : prompt) {
            // A message with the role "tool" would have to answer a call made by the server itself.
            if (role == "tool") messages.push_back({{"role", "system"}, {"content", "Result of a tool: " + content}});
            else messages.push_back({{"role", role}, {"content", content}});
        }
        json body{{"model", options_.model}, {"messages", std::move(messages)}};
        if (stream) body.update({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
        return body;
    }

    static chat::completion completion_of(model_answer answer) {
        chat::completion made;
        made.text = std::move(answer.text);
        made.input_tokens = answer.input_tokens;
        made.output_tokens = answer.output_tokens;
        made.finish_reason = std::move(answer.finish_reason);
        made.reasoning = std::move(answer.reasoning);
        for (auto& call : answer.tool_calls)
            made.tool_calls.push_back({std::move(call.id), std::move(call.name), std::move(call.arguments)});
        return made;
    }

    chat::completion ask(const json& question, model_stream reader, std::stop_token stop) const {
        try {
            model_connection server(server_, std::move(stop));
            const std::string cut = post(server, question, reader);
            auto answer = completion_of(reader.end(cut));
            if (answer.text.empty())
                throw model_error("called the tool " + answer.tool_calls.front().name +
                                  ", although no tools were offered");
            return answer;
        } catch (const model_cancelled& error) {
            throw chat::broken_answer(error.what(), completion_of(reader.so_far()), true);
        } catch (const model_error& error) {
            throw chat::broken_answer(error.what(), completion_of(reader.so_far()));
        }
    }

    // Returns what ended the response early, if anything.
    std::string post(model_connection& server, const json& question, model_stream& reader) const {
        http::request<http::string_body> asked(http::verb::post, server_.path + "/chat/completions", 11);
        asked.set(http::field::host, server_.authority());
        asked.set(http::field::content_type, "application/json");
        asked.set(http::field::accept, "application/json, text/event-stream");
        asked.set(http::field::accept_encoding, "identity");
        if (!options_.api_key.empty()) asked.set(http::field::authorization, "Bearer " + options_.api_key);
        asked.body() = question.dump(-1, ' ', false, json::error_handler_t::replace);
        asked.keep_alive(false);
        asked.prepare_payload();

        server.connect(options_.connect_timeout);
        server.send(asked, options_.silence_timeout);
        server.read_header(options_.silence_timeout);
        if (server.status() / 100 != 2) refuse(server);
        gzip_body plain;
        std::string cut;
        while (cut.empty() && !server.is_at_end() && !reader.is_done()) {
            cut = server.read(
                [&](std::string_view bytes) { plain.write(bytes, [&](auto part) { reader.write(part); }); },
                reader.may_be_whole() ? options_.closing_timeout : options_.silence_timeout);
        }
        if (reader.is_unread() && !plain.is_whole()) throw model_error("sent an incomplete response: truncated gzip");
        if (reader.is_unread() && !server.coding().empty())
            throw model_error("used the content coding " + server.coding() + ", which was not requested");
        return cut;
    }

    // Reports an unsuccessful status, with details from the body.
    [[noreturn]] void refuse(model_connection& server) const {
        constexpr std::size_t most = 65536;
        std::string body;
        gzip_body plain;
        while (!server.is_at_end() && body.size() < most)
            if (!server
                     .read([&](std::string_view bytes) { plain.write(bytes, [&](auto part) { body += part; }); },
                           options_.closing_timeout)
                     .empty())
                break;
        json_tree tree;
        const std::string said =
            read_json(tree, body) ? message_in(tree.root()) : mlflow::trace::detail::displayed(body, 300);
        throw model_error("answered " + std::to_string(server.status()) + ": " + said);
    }

    options options_;
    mlflow::trace::endpoint server_;
};

/// The built-in model, or the one at OPENAI_BASE_URL.
class served_model {
public:
    served_model() = default;
    explicit served_model(openai_model::options upstream)
        : upstream_(std::make_shared<openai_model>(std::move(upstream))), name(upstream_->name()) {}

    chat::completion complete(const std::vector<chat::message>& prompt, std::stop_token stop = {}) const {
        return upstream_ ? upstream_->complete(prompt, std::move(stop)) : builtin_.complete(prompt);
    }
    template <class OnChunk>
    chat::completion stream(const std::vector<chat::message>& prompt, OnChunk&& on_chunk,
                            std::stop_token stop = {}) const {
        return upstream_ ? upstream_->stream(prompt, on_chunk, std::move(stop)) : builtin_.stream(prompt, on_chunk);
    }

private:
    chat::model builtin_;
    std::shared_ptr<const openai_model> upstream_;

public:
    std::string name{chat::model::name};
};

} // namespace chat_server
