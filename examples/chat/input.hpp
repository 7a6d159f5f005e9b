// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tokenizer.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>

namespace chat {

/// One request to the assistant.
struct turn_request {
    std::optional<std::string> user;
    std::optional<std::string> session;
    std::optional<std::string> request_id;
    std::string message;
    bool stream = false;
};

/// Parses a request from one line of JSON: `{"user": …, "session": …, "request_id": …, "message": …, "stream":
/// true}`. Only "message" is required; null counts as absent, and other keys are ignored.
///
/// Returns the request or an error text: "message: missing", "user: must be a string, is number", "user: given
/// twice", "not UTF-8 at byte 12", "not JSON: …". Throws only std::bad_alloc.
inline std::variant<turn_request, std::string> read_turn(std::string_view line) {
    using nlohmann::json;
    for (std::size_t at = 0; at < line.size();) {
        const character c = first_character(line.substr(at));
        if (!c.valid) return "not UTF-8 at byte " + std::to_string(at + 1);
        at += c.length;
    }

    std::set<std::string> keys;
    std::string fault;
    const auto note_key = [&](int depth, json::parse_event_t event, json& parsed) {
        if (event == json::parse_event_t::key && depth == 1) {
            const auto& key = parsed.get_ref<const std::string&>();
            if (!keys.insert(key).second && fault.empty()) fault = key + ": given twice";
        }
        return true;
    };
    json object;
    try {
        object = json::parse(line, note_key);
    } catch (const json::exception& error) {        // also for a number that is too large
        const std::string_view what = error.what(); // "[json.exception.parse_error.101] parse error at line 1, …"
        return "not JSON: " + std::string{what.substr(what.find("] ") + 2)};
    }
    if (!object.is_object()) return std::string{"must be an object, is "} + object.type_name();

    const auto given = [&](const char* key, bool (json::*is_right)() const noexcept, const char* type) {
        const auto found = object.find(key);
        if (found == object.end() || found->is_null()) return false;
        const bool right = ((*found).*is_right)();
        if (!right && fault.empty()) fault = std::string{key} + ": must be a " + type + ", is " + found->type_name();
        return right;
    };
    turn_request turn;
    if (given("user", &json::is_string, "string")) turn.user = object["user"];
    if (given("session", &json::is_string, "string")) turn.session = object["session"];
    if (given("request_id", &json::is_string, "string")) turn.request_id = object["request_id"];
    if (given("stream", &json::is_boolean, "boolean")) turn.stream = object["stream"];
    if (given("message", &json::is_string, "string")) turn.message = object["message"];
    else if (fault.empty()) fault = "message: missing";
    if (!fault.empty()) return fault;
    return turn;
}

} // namespace chat
