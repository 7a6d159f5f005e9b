// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "event_lines.hpp"
#include "model_answer.hpp"
#include <mlflow/trace/text/displayed.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

/// Reads the body of a model server's response, in pieces that may be split anywhere. Detects the format from the
/// content, independent of the request and the Content-Type: Server-Sent Events, one JSON document, or several in
/// sequence.
///
/// Errors: model_error if the server sends an error, if the response is incomplete, and if it contains no answer;
/// `so_far()` then has the partial answer. Thread-safety: one thread at a time.
class model_stream {
public:
    /// `on_piece` is called with each new piece of the answer's text.
    explicit model_stream(answer_builder::piece_handler on_piece = {}) : builder_(std::move(on_piece)) {}

    void write(std::string_view bytes) {
        if (shown_.size() < most_shown) shown_ += bytes.substr(0, most_shown - shown_.size());
        if (form_ == form::unknown) {
            start_ += bytes;
            if (!find_form()) return;
            return feed(std::exchange(start_, {}));
        }
        feed(bytes);
    }

    /// Whether the answer is complete; later bytes are ignored.
    [[nodiscard]] bool is_done() const { return is_done_; }
    /// Whether the answer may be complete. A server that is silent now may only have failed to close the connection.
    [[nodiscard]] bool may_be_whole() const {
        return is_done_ || builder_.is_finished() || trimmed(lines_.line()).ends_with("[DONE]");
    }
    /// Whether no answer has been found in the body so far.
    [[nodiscard]] bool is_unread() const { return !builder_.has_choice(); }
    [[nodiscard]] model_answer so_far() const { return builder_.answer(); }

    /// The complete answer. `why` is what ended the response early, if anything.
    model_answer end(const std::string& why = {}) {
        const std::string cause = why.empty() ? "" : ": " + why;
        if (form_ == form::events && !is_done_) {
            lines_.end([this](auto name, auto value) { take_field(name, value); });
            if (!is_done_) end_event(true);
        }
        if (form_ == form::documents && !trimmed(documents_.rest()).empty() && !builder_.is_finished())
            throw model_error("sent an incomplete response" + cause);
        const model_answer all = builder_.answer();
        if (!builder_.has_choice()) {
            if (trimmed(shown_).empty()) throw model_error("sent no answer" + cause);
            if (form_ == form::unknown || (form_ == form::events && !has_data_))
                throw model_error("sent neither JSON nor events: " + shown());
            throw model_error("sent no choices: " + shown());
        }
        if (!is_done_ && !builder_.is_finished()) throw model_error("sent an incomplete response" + cause);
        builder_.end();
        if (all.text.empty() && all.tool_calls.empty())
            throw model_error(
                "sent an empty answer" +
                (all.finish_reason.empty() ? "" : " with the finish reason " + shown(all.finish_reason)) +
                (all.reasoning.empty() ? "" : ", with reasoning only"));
        return all;
    }

private:
    enum class form : std::uint8_t { unknown, events, documents };
    static constexpr std::size_t most_shown = 200;
    static constexpr std::size_t most_waiting = std::size_t{16} * 1024 * 1024; // of one event or document

    static std::string_view trimmed(std::string_view text) {
        const auto begin = text.find_first_not_of(" \t\r\n");
        if (begin == std::string_view::npos) return {};
        return text.substr(begin, text.find_last_not_of(" \t\r\n") + 1 - begin);
    }
    static bool is_done_mark(std::string_view text) {
        return text == "[DONE]" || text == "[done]" || text == "\"[DONE]\"";
    }
    static std::string shown(std::string_view text) { return mlflow::trace::detail::displayed(text, most_shown); }
    [[nodiscard]] std::string shown() const { return shown(trimmed(shown_)); }

    // Determined by the first byte that is neither white space nor part of a byte order mark.
    bool find_form() {
        constexpr std::string_view mark = "\xEF\xBB\xBF";
        if (mark.starts_with(start_)) return false;
        if (start_.starts_with(mark)) start_.erase(0, mark.size());
        const auto begin = start_.find_first_not_of(" \t\r\n");
        if (begin == std::string::npos) {
            start_.clear(); // a keep-alive before a document or event
            return false;
        }
        form_ = start_[begin] == '{' || start_[begin] == '[' ? form::documents : form::events;
        return true;
    }

    void feed(std::string_view bytes) {
        if (is_done_) return;
        if (form_ == form::documents)
            documents_.write(bytes, [this](std::string&& text) { take_document(std::move(text)); });
        else
            lines_.write(
                bytes, [this](auto name, auto value) { take_field(name, value); }, [this] { end_event(false); });
        if (lines_.line().size() + documents_.rest().size() > most_waiting)
            throw model_error("sent more than 16 MiB in one piece");
    }

    void take_field(std::string_view name, std::string_view value) {
        if (is_done_) return;
        if (name == "event") event_ = value;
        else if (name == "data") take_data(value);
        else if (name == "error") { // sent by older servers of llama.cpp
            event_ = "error";
            take_data(value);
        } else if (name.starts_with('{')) { // a document without a field name
            take_data(std::string(name) + ":" + std::string(value));
        }
    }

    // Complete documents are processed at once, because some servers send no blank line between events.
    void take_data(std::string_view value) {
        has_data_ = true;
        if (documents_.rest().empty()) {
            const auto text = trimmed(value);
            is_done_ = is_done_mark(text);
            if (is_done_ || text == "null") return;
        }
        const auto take = [this](std::string&& text) { take_document(std::move(text)); };
        documents_.write(value, take);
        if (!trimmed(documents_.rest()).empty()) documents_.write("\n", take);
        else documents_.take_rest();
    }

    void end_event(bool is_last) {
        const std::string rest = documents_.take_rest();
        const std::string_view text = trimmed(rest);
        const std::string event = std::exchange(event_, {});
        if (is_done_ || text.empty()) return;
        if (event == "error") throw model_error("sent an error: " + shown(text));
        if (is_last) { // truncated at the end
            if (text.starts_with('{') || std::string_view("[DONE]").starts_with(text)) return;
        } else if (!event.empty() && event != "message" && !text.starts_with('{')) {
            return; // an event of another kind, such as a ping
        }
        throw model_error("sent no JSON: " + shown(text));
    }

    void take_document(std::string&& text) {
        if (is_done_) return;
        json_tree tree;
        is_done_ = is_done_mark(trimmed(text));
        if (is_done_) return;
        if (!read_json(tree, text)) throw model_error("sent no JSON: " + shown(trimmed(text)));
        if (event_ == "error") throw model_error("sent an error: " + message_in(tree.root()));
        builder_.take(tree.root());
    }

    answer_builder builder_;
    event_lines lines_;
    json_documents documents_;
    form form_ = form::unknown;
    std::string start_; // until the format is known
    std::string shown_; // the beginning of the body
    std::string event_;
    bool has_data_ = false;
    bool is_done_ = false;
};

} // namespace chat_server
