// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../chat/agent.hpp"
#include "connection.hpp"
#include <mlflow/trace.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace chat_server {

namespace mt = mlflow::trace;

/// The user, session and request ID of a request. Without a user the turn is anonymous; a missing session or request
/// ID is generated.
using identity =
    mt::http_headers<mt::header<"X-User-ID", mt::user>,
                     mt::header<"X-Session-ID", mt::session, mt::generate_absent<mt::hosted_platform>>,
                     mt::header<"X-Request-ID", mt::client_request_id, mt::generate_absent<mt::hosted_platform>>>;

/// The response to one turn: complete, or as Server-Sent Events (a `delta` for each piece, then `done` or `error`).
/// It contains the IDs of the turn.
template <class Trace>
class turn_reply {
public:
    turn_reply(Trace& trace, const identity& who, bool is_streamed, exchange& to)
        : trace_(trace), id_(trace.trace_id()), who_(who), is_streamed_(is_streamed), to_(to) {}

    /// Sends a piece of the answer.
    void add(std::string_view piece) {
        if (!is_streamed_) return;
        begin();
        to_.send(event("delta", {{"delta", piece}}));
    }
    /// Prepares the complete answer while the trace is open. `send` sends it.
    void complete(const std::string& text) {
        body_ = {{"response", text}, {"trace_id", id_.mlflow_id().view()}};
        if (const auto* const lost = who_.lost()) body_["warning"] = lost->message();
        if (!is_streamed_) return;
        begin();
        body_["time_to_first_token_ms"] = *first_ms_;
    }
    void send(const std::string& rating_key) {
        if (!rating_key.empty()) body_["rating_key"] = rating_key;
        if (!is_streamed_) return to_.reply(identified(json_reply(http::status::ok, body_)));
        to_.send(event("done", body_));
        to_.end_stream();
    }
    void fail(const std::exception& error) {
        if (!first_ms_) return to_.reply(identified(error_reply(status_of(error), error.what())));
        to_.send(event("error", {{"error", error.what()}}));
        to_.end_stream();
    }

private:
    static std::string event(const char* name, const nlohmann::json& data) {
        return std::string("event: ") + name + "\ndata: " + text_of_json(data) + "\n\n";
    }
    static http::status status_of(const std::exception& error) {
        if (dynamic_cast<const std::invalid_argument*>(&error)) return http::status::bad_request;
        if (dynamic_cast<const std::length_error*>(&error)) return http::status::payload_too_large;
        return http::status::bad_gateway;
    }

    void begin() {
        if (first_ms_) return;
        const std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - started_;
        first_ms_ = passed.count();
        trace_.attribute("app.time_to_first_token_ms", *first_ms_);
        response header(http::status::ok, 11);
        header.set(http::field::content_type, "text/event-stream");
        header.set(http::field::cache_control, "no-store");
        to_.begin_stream(identified(std::move(header)));
    }

    response identified(response answer) const {
        const auto set = [&](const char* name, std::string_view value) {
            answer.set(name, boost::beast::string_view(value.data(), value.size()));
        };
        if (const auto* const id = who_.get<mt::client_request_id>().get()) set("X-Request-ID", id->view());
        set("X-Session-ID", who_.get<mt::session>().view());
        set("X-Trace-ID", id_.mlflow_id().view());
        return answer;
    }

    Trace& trace_;
    const mt::trace_id id_;
    const identity& who_;
    const bool is_streamed_;
    exchange& to_;
    const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
    std::optional<double> first_ms_; // empty until something is sent
    nlohmann::json body_;
};

} // namespace chat_server
