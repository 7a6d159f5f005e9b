// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../chat/agent.hpp"
#include "../chat/input.hpp"
#include "connection.hpp"
#include "feedback.hpp"
#include "openai.hpp"
#include "raters.hpp"
#include "reply.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

namespace chat_server {

namespace mt = mlflow::trace;

/// Handles POST /chat, POST /feedback and GET /health. The server's threads deliver the requests; worker threads of
/// this object answer them.
template <class Tracer>
class application {
public:
    struct options {
        std::filesystem::path corpus;
        served_model model{};
        std::optional<feedback_store> feedback{};
        std::size_t threads = 4;
        raters::options rating{};
        std::chrono::milliseconds rating_timeout{10'000}; ///< for the turn to reach MLflow
    };

    application(Tracer& tracer, options chosen)
        : tracer_(tracer), agent_(tracer, chosen.corpus, std::move(chosen.model)), workers_(chosen.threads),
          background_(1), feedback_(std::move(chosen.feedback)), rating_timeout_(chosen.rating_timeout),
          raters_(chosen.rating) {}
    virtual ~application() { finish(); }

    void handle(request asked, std::shared_ptr<exchange> to) {
        asio::post(workers_, [this, asked = std::move(asked), to = std::move(to)] {
            guarded([&] { route(asked, to); }); // otherwise the exchange answers 500
        });
    }

    /// Waits for all work, including background work.
    virtual void finish() {
        workers_.join();
        raters_.join();
        background_.join();
    }

protected:
    // Runs on a worker thread. The turn may be answered later, by an override that keeps the arguments.
    // NOLINTNEXTLINE(performance-unnecessary-value-param)
    virtual void answer(chat::turn turn, identity who, std::shared_ptr<exchange> to) {
        auto trace = start(who);
        turn_reply reply(trace, who, turn.stream, *to);
        try {
            const std::string text = agent_.answer_in(trace, turn, [&](std::string_view piece) { reply.add(piece); });
            reply.complete(text);
            reply.send(end(trace, turn));
        } catch (const std::exception& error) {
            reply.fail(error);
        }
    }

    typename Tracer::trace start(const identity& who) {
        return who.apply(
            [&](const auto&... ids) { return tracer_.start_trace("chat", ids..., mt::span_type::agent); });
    }

    // Called before the client has the complete answer, because it may rate the turn immediately. Returns the key
    // that is required to rate an anonymous turn.
    std::string end(typename Tracer::trace& trace, const chat::turn& turn) {
        turn_owner owner{.user = text_of(turn.user.get()), .session = text_of(turn.session.get())};
        if (feedback_ && owner.user.empty()) owner.rating_key = new_rating_key();
        std::string rating_key = owner.rating_key;
        if (feedback_) turns_.add(id_of(trace), std::move(owner));
        asio::post(background_, tracer_.bind([this, question = turn.message] { note_topics(question); }));
        trace.end();
        return rating_key;
    }

    Tracer& tracer_;
    chat::agent<Tracer, served_model> agent_;
    asio::thread_pool workers_;
    asio::thread_pool background_;

private:
    using status = http::status;

    template <class Work>
    static void guarded(const Work& work) {
        try {
            work();
        } catch (const std::exception& error) {
            std::fprintf(stderr, "chat_server: %s\n", mt::detail::displayed(error.what()).c_str());
        }
    }

    void route(const request& asked, const std::shared_ptr<exchange>& waiting) {
        exchange& to = *waiting;
        const std::string target(asked.target().data(), asked.target().size());
        const std::string path = target.substr(0, target.find('?'));
        const bool is_known = path == "/chat" || path == "/feedback" || path == "/health";
        if (!is_known)
            return to.reply(error_reply(status::not_found, "there is POST /chat, POST /feedback and GET /health"));
        const auto verb = path == "/health" ? http::verb::get : http::verb::post;
        if (asked.method() != verb) {
            auto refusal =
                error_reply(status::method_not_allowed, "use " + std::string(to_string(verb)) + " " + path);
            refusal.set(http::field::allow, to_string(verb));
            return to.reply(std::move(refusal));
        }
        if (path == "/health") return to.reply(json_reply(status::ok, {{"status", "ok"}}));
        if (!is_json(asked))
            return to.reply(error_reply(status::unsupported_media_type, "Content-Type: must be application/json"));
        const auto who = identity::parse(asked);
        if (!who) return to.reply(error_reply(status::bad_request, who.error().message()));
        if (path == "/chat") chat(asked, *who, waiting);
        else give_feedback(asked, *who, waiting);
    }

    static bool is_json(const request& asked) {
        const auto given = asked[http::field::content_type];
        return boost::beast::iequals(given.substr(0, given.find(';')), "application/json");
    }

    void chat(const request& asked, const identity& who, const std::shared_ptr<exchange>& to) {
        auto body = chat::read_turn(asked.body());
        if (const auto* const fault = std::get_if<std::string>(&body))
            return to->reply(error_reply(status::bad_request, *fault));
        auto& wanted = std::get<chat::turn_request>(body);
        answer({.user = who.get<mt::user>(),
                .session = who.get<mt::session>(),
                .message = std::move(wanted.message),
                .stream = wanted.stream,
                .stop = to->client_gone()},
               who, to);
    }

    static std::string text_of(const auto* key) { return std::string(key ? key->view() : std::string_view{}); }

    static std::string id_of(const typename Tracer::trace& trace) {
        return std::string(trace.trace_id().mlflow_id().view());
    }

    // Work after the answer, recorded in the trace of the turn.
    void note_topics(const std::string& question) {
        auto span = tracer_.start_span("note topics", mt::span_type::memory);
        const auto words = chat::topic_words(question);
        span.inputs(mt::arg("message", question)).outputs(std::set<std::string>(words.begin(), words.end()));
    }

    void give_feedback(const request& asked, const identity& who, const std::shared_ptr<exchange>& to) {
        if (!feedback_)
            return to->reply(error_reply(status::not_implemented, "feedback needs MLflow: set MLFLOW_TRACKING_URI"));
        auto read = read_feedback(asked.body());
        if (const auto* const fault = std::get_if<std::string>(&read))
            return to->reply(error_reply(status::bad_request, *fault));
        auto& said = std::get<feedback>(read);
        const auto turn = turns_.find(said.trace);
        if (!turn || !turn->may_be_rated_by(text_of(who.get<mt::user>().get()), said.rating_key))
            return to->reply(
                error_reply(status::not_found, "trace_id: not a recent turn of this user, or the wrong rating_key"));
        if (said.is_about_session && turn->user.empty())
            return to->reply(
                error_reply(status::forbidden, "about: an anonymous session cannot be rated; rate the turn"));
        const std::string one = turn->user.empty() ? said.trace : turn->user;
        const auto until = std::chrono::steady_clock::now() + rating_timeout_;
        const bool is_taken = raters_.post(
            one, [this, said, turn = *turn, until, to] { guarded([&] { store(said, turn, until, *to); }); });
        if (!is_taken)
            to->reply(error_reply(status::too_many_requests, "too many ratings are waiting; try again later"));
    }

    void store(const feedback& said, const turn_owner& turn, std::chrono::steady_clock::time_point until,
               exchange& to) {
        const auto left =
            std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
        if (left.count() <= 0 || !tracer_.flush(left))
            return to.reply(error_reply(status::service_unavailable, "this turn is not stored yet; try again later"));
        if (const auto fault = feedback_->add(said, turn)) return to.reply(error_reply(status::bad_gateway, *fault));
        to.reply(
            json_reply(status::ok, {{"trace_id", said.trace}, {"session_id", turn.session}, {"name", said.name}}));
    }

    std::optional<feedback_store> feedback_;
    recent_turns turns_;
    std::chrono::milliseconds rating_timeout_;
    raters raters_;
};

} // namespace chat_server
