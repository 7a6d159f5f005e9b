// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../chat/model.hpp"
#include <mlflow/trace/core/http_check.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace chat_server {

/// A model behind an OpenAI-compatible server, over HTTP: `POST <base>/chat/completions`.
///
/// Errors: std::runtime_error that says what the server did. Thread-safety: any number of threads may use one model.
class openai_model {
public:
    struct options {
        std::string base_url; ///< such as http://127.0.0.1:8000/v1
        std::string api_key{};
        std::string model = "gpt-4o-mini";
        std::chrono::seconds timeout{60}; ///< for a whole answer
    };

    /// Throws std::invalid_argument for a base URL that is not one.
    explicit openai_model(options chosen) : options_(std::move(chosen)) {
        auto server = mlflow::trace::endpoint::parse(options_.base_url);
        if (!server) throw std::invalid_argument("OPENAI_BASE_URL: " + server.error().message);
        if (server->scheme != "http")
            throw std::invalid_argument("OPENAI_BASE_URL: https needs a proxy on this machine that speaks TLS");
        if (!mlflow::trace::detail::is_field_value(options_.api_key))
            throw std::invalid_argument("OPENAI_API_KEY: holds a control character");
        server_ = std::move(*server);
    }

    const std::string& name() const { return options_.model; }

    chat::completion complete(const std::vector<chat::message>& prompt) const {
        std::string body;
        post(question(prompt, false), [&](std::string_view part) { body += part; });
        const auto answer = parsed(body);
        chat::completion done;
        done.text = text_at(answer, "/choices/0/message/content");
        read_usage(answer, done);
        return done;
    }

    template <class OnChunk>
    chat::completion stream(const std::vector<chat::message>& prompt, OnChunk&& on_chunk) const {
        chat::completion done;
        std::string waiting;
        bool is_whole = false;
        post(question(prompt, true), [&](std::string_view part) {
            waiting += part;
            for (auto end = waiting.find('\n'); end != std::string::npos; end = waiting.find('\n')) {
                std::string line = waiting.substr(0, end);
                waiting.erase(0, end + 1);
                if (!line.empty() && line.back() == '\r') line.pop_back();
                if (!line.starts_with("data:")) continue;
                line.erase(0, line.starts_with("data: ") ? 6 : 5);
                if (line == "[DONE]") is_whole = true;
                else take_chunk(parsed(line), done, on_chunk);
            }
        });
        if (!is_whole) throw std::runtime_error("the model's server ended its answer early");
        return done;
    }

private:
    using json = nlohmann::json;
    using tcp = boost::asio::ip::tcp;

    json question(const std::vector<chat::message>& prompt, bool stream) const {
        json messages = json::array();
        for (const auto& [role, content] : prompt) {
            // A tool's message would have to answer a call that the server has made itself.
            if (role == "tool") messages.push_back({{"role", "system"}, {"content", "Result of a tool: " + content}});
            else messages.push_back({{"role", role}, {"content", content}});
        }
        json body{{"model", options_.model}, {"messages", std::move(messages)}};
        if (stream) body.update({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
        return body;
    }

    static json parsed(const std::string& text) {
        auto value = json::parse(text, nullptr, false);
        if (value.is_discarded()) throw std::runtime_error("the model's server sent no JSON");
        if (value.contains("error")) throw std::runtime_error("the model's server: " + value["error"].dump());
        return value;
    }

    static std::string text_at(const json& value, const char* path) {
        const json::json_pointer at(path);
        if (!value.contains(at) || !value[at].is_string())
            throw std::runtime_error(std::string("the model's server sent no ") + path);
        return value[at];
    }

    static void read_usage(const json& answer, chat::completion& done) {
        const auto usage = answer.find("usage");
        if (usage == answer.end() || !usage->is_object()) return;
        const auto count = [&](const char* key) {
            const auto found = usage->find(key);
            return found != usage->end() && found->is_number_unsigned() ? found->get<std::size_t>() : 0;
        };
        done.input_tokens = count("prompt_tokens");
        done.output_tokens = count("completion_tokens");
    }

    template <class OnChunk>
    static void take_chunk(const json& chunk, chat::completion& done, OnChunk& on_chunk) {
        read_usage(chunk, done);
        const json::json_pointer at("/choices/0/delta/content");
        if (!chunk.contains(at) || !chunk[at].is_string()) return; // the role, or the usage
        const std::string piece = chunk[at];
        if (piece.empty()) return;
        done.text += piece;
        on_chunk(std::string_view(piece));
    }

    // One request on a connection of its own. `on_data` gets the body of a good reply in pieces.
    template <class OnData>
    void post(const json& question, OnData&& on_data) const {
        namespace http = boost::beast::http;
        http::request<http::string_body> asked(http::verb::post, server_.path + "/chat/completions", 11);
        asked.set(http::field::host, server_.authority());
        asked.set(http::field::content_type, "application/json");
        asked.set(http::field::accept, "application/json, text/event-stream");
        if (!options_.api_key.empty()) asked.set(http::field::authorization, "Bearer " + options_.api_key);
        asked.body() = question.dump(-1, ' ', false, json::error_handler_t::replace);
        asked.keep_alive(false);
        asked.prepare_payload();

        boost::asio::io_context io;
        boost::beast::tcp_stream stream(io);
        stream.expires_after(options_.timeout);
        const auto wait = [&](boost::beast::error_code& error) {
            io.restart();
            io.run();
            if (error)
                throw std::runtime_error("the model's server at " + server_.authority() + ": " + error.message());
        };
        boost::beast::error_code error;
        const auto done = [&error](boost::beast::error_code failed, auto&&...) { error = failed; };
        tcp::resolver resolver(io);
        const auto addresses = resolver.resolve(server_.host, std::to_string(server_.port), error);
        wait(error);
        stream.async_connect(addresses, done);
        wait(error);
        http::async_write(stream, asked, done);
        wait(error);
        boost::beast::flat_buffer buffer;
        http::response_parser<http::string_body> parser;
        parser.body_limit(16 * 1024 * 1024);
        http::async_read_header(stream, buffer, parser, done);
        wait(error);
        const bool is_good = http::to_status_class(parser.get().result()) == http::status_class::successful;
        std::string refusal;
        while (!parser.is_done()) {
            http::async_read_some(stream, buffer, parser, done);
            wait(error);
            const std::string part = std::exchange(parser.get().body(), {});
            if (is_good) on_data(part);
            else refusal += part;
        }
        if (!is_good)
            throw std::runtime_error("the model's server answered " + std::to_string(parser.get().result_int()) +
                                     ": " + refusal.substr(0, 200));
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

    chat::completion complete(const std::vector<chat::message>& prompt) const {
        return upstream_ ? upstream_->complete(prompt) : builtin_.complete(prompt);
    }
    template <class OnChunk>
    chat::completion stream(const std::vector<chat::message>& prompt, OnChunk&& on_chunk) const {
        return upstream_ ? upstream_->stream(prompt, on_chunk) : builtin_.stream(prompt, on_chunk);
    }

private:
    chat::model builtin_;
    std::shared_ptr<const openai_model> upstream_;

public:
    std::string name{chat::model::name};
};

} // namespace chat_server
