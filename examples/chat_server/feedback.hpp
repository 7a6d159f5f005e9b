// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client.hpp>
#include <mlflow/trace/text/displayed.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <variant>

namespace chat_server {

/// The user and session of a traced turn. Empty texts: anonymous, no session.
struct turn_owner {
    std::string user;
    std::string session;
    std::string rating_key{};  ///< of an anonymous turn; only its response contains it
    std::string first_trace{}; ///< of the session

    /// Anonymous visitors are identified by the rating key. Trace and session IDs are not secret.
    [[nodiscard]] bool may_be_rated_by(const std::string& who, const std::string& key) const {
        return who == user && (!user.empty() || (!rating_key.empty() && key == rating_key));
    }
};

/// 128 unpredictable bits. IDs could be predicted from earlier ones.
inline std::string new_rating_key() {
    std::random_device source;
    std::string key;
    for (int i = 0; i < 4; ++i) {
        char digits[9];
        std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(source()));
        key += digits;
    }
    return key;
}

/// The most recent turns, so that only their users can rate them. Thread-safety: all functions may be called from any
/// thread.
class recent_turns {
public:
    void add(const std::string& trace, turn_owner owner) {
        constexpr std::size_t most = 100'000;
        const std::lock_guard guard(lock_);
        owner.first_trace = first_of_.try_emplace({owner.user, owner.session}, trace).first->second;
        owners_[trace] = std::move(owner);
        order_.push_back(trace);
        if (order_.size() <= most) return;
        const auto oldest = owners_.extract(order_.front());
        if (oldest.mapped().first_trace == oldest.key())
            first_of_.erase({oldest.mapped().user, oldest.mapped().session});
        order_.pop_front();
    }

    std::optional<turn_owner> find(const std::string& trace) const {
        const std::lock_guard guard(lock_);
        const auto found = owners_.find(trace);
        return found == owners_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    mutable std::mutex lock_;
    std::map<std::string, turn_owner> owners_;
    std::map<std::pair<std::string, std::string>, std::string> first_of_;
    std::deque<std::string> order_;
};

/// A user's feedback on a turn, or on its session.
struct feedback {
    std::string trace;
    std::string name = "helpful";
    nlohmann::json value; ///< a bool, a number or a text
    std::string rationale{};
    std::string rating_key{};
    bool is_about_session = false;
};

/// Parses `{"trace_id": …, "value": …, "name": …, "rationale": …, "about": "turn" | "session", "rating_key": …}`. The
/// first two are required, the last one for anonymous turns. Returns an error text otherwise. Control characters and
/// hidden characters are rejected, because the texts may be read on a terminal.
inline std::variant<feedback, std::string> read_feedback(const std::string& body) {
    using nlohmann::json;
    const json given = json::parse(body, nullptr, false);
    if (given.is_discarded()) return "not JSON";
    if (!given.is_object()) return std::string("must be an object, is ") + given.type_name();
    feedback read;
    std::string fault;
    const auto is_plain = [](const std::string& line) { return mlflow::trace::detail::displayed(line) == line; };
    const auto text = [&](const char* key, std::string& into, std::size_t most) {
        const auto found = given.find(key);
        if (found == given.end()) return;
        if (!found->is_string()) fault = std::string(key) + ": must be a string, is " + found->type_name();
        else if (into = *found; into.empty()) fault = std::string(key) + ": empty";
        else if (into.size() > most) fault = std::string(key) + ": longer than " + std::to_string(most) + " bytes";
        else if (!is_plain(into)) fault = std::string(key) + ": contains a control or invisible character; remove it";
    };
    std::string about = "turn";
    text("trace_id", read.trace, 35);
    text("name", read.name, 250);
    text("rationale", read.rationale, 4096);
    text("about", about, 7);
    text("rating_key", read.rating_key, 32);
    if (read.trace.empty() && fault.empty()) fault = "trace_id: missing";
    if (about != "turn" && about != "session") fault = "about: must be \"turn\" or \"session\"";
    read.is_about_session = about == "session";
    const auto value = given.find("value");
    // Checked before it is copied: copying recurses once per level of nesting.
    const bool is_scalar = value != given.end() && value->is_primitive() && !value->is_null();
    if (is_scalar) read.value = *value;
    else
        fault = "value: must be a bool, a number or a string, is " +
                std::string(value == given.end() ? "null" : value->type_name());
    if (read.value.is_string() && (read.value.get_ref<const std::string&>().size() > 4096 ||
                                   !is_plain(read.value.get_ref<const std::string&>())))
        fault = "value: longer than 4096 bytes, or contains a control or invisible character; shorten it, or remove "
                "the character";
    if (!fault.empty()) return fault;
    return read;
}

/// Stores feedback in MLflow. Thread-safety: any number of threads.
class feedback_store {
public:
    using client = mlflow::trace::client<mlflow::trace::beast_transport>;

    explicit feedback_store(client::options server) : server_(std::move(server)) {
        server_.timeout = std::min(server_.timeout, std::chrono::milliseconds(5'000)); // a user waits for it
    }

    /// Stores feedback. Returns an error text, or nothing. The trace must have reached MLflow.
    std::optional<std::string> add(const feedback& said, const turn_owner& about) const {
        namespace mt = mlflow::trace;
        mt::feedback told{.name = said.name,
                          .value = said.value,
                          .source = {.id = about.user.empty() ? "anonymous" : about.user},
                          .rationale = said.rationale};
        // MLflow identifies feedback on a session by this; feedback on a turn has the session in its trace.
        if (said.is_about_session) told.metadata["mlflow.trace.session"] = about.session;
        client mlflow(server_);
        const auto stored = mlflow.log_feedback(said.is_about_session ? about.first_trace : said.trace, told);
        return stored ? std::nullopt : std::optional(stored.error().message());
    }

private:
    client::options server_;
};

} // namespace chat_server
