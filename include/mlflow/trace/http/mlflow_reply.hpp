// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/http/date.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/text/displayed.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// What exporter and client read of MLflow's replies when these are no success.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A server's message is free text from outside: one line of it, and not the whole page of a proxy.
inline std::string one_line(std::string_view text) { return displayed(text, 300); }

// The receiver's own words: the member of an error of MLflow, of FastAPI, or a google.rpc.Status; else the body.
inline std::string message_of(const http_response& reply) {
    if (is_protobuf(reply)) {
        std::string message;
        for (protobuf_reader at(reply.body); at.next();)
            if (at.field() == 2) message = at.bytes();
        return message;
    }
    std::string message = json_find_string(reply.body, {"message"}).value_or(std::string{});
    return message.empty() ? json_find_string(reply.body, {"detail"}).value_or(reply.body) : message;
}

inline std::string describe_reply(std::string_view target, const http_response& reply, const known_secrets& secrets) {
    return " answered " + std::to_string(reply.status) + " to " + std::string(target.substr(0, target.find('?'))) +
           ": " + one_line(secrets.masked(message_of(reply)));
}

// Retry-After, RFC 9110, 10.2.3; 0 where it is absent, or a date that has passed. A date counts from the server's own
// Date, since its clock may go wrong by more than it asks for.
inline std::chrono::milliseconds retry_after(const http_response& reply) noexcept {
    const std::string_view asked = reply.header("Retry-After");
    if (const auto date = parse_http_date(asked)) {
        const auto here = std::chrono::system_clock::now().time_since_epoch();
        const std::int64_t now = parse_http_date(reply.header("Date"))
                                     .value_or(std::chrono::duration_cast<std::chrono::seconds>(here).count());
        return std::chrono::seconds(*date > now ? *date - now : 0);
    }
    constexpr std::int64_t most = 86'401; // more than anybody waits for
    std::int64_t seconds = 0;
    for (const char c : asked) {
        if (c < '0' || c > '9') return std::chrono::milliseconds(0);
        seconds = seconds * 10 + (c - '0');
        if (seconds > most) seconds = most;
    }
    return std::chrono::seconds(seconds);
}

inline error error_reply(std::string_view server, std::string_view target, const http_response& reply,
                         const known_secrets& secrets) {
    return error(error_kind::other, server, describe_reply(target, reply, secrets))
        .with_reply(reply.status, retry_after(reply), is_html(reply));
}

// Where the memory for it is missing, there may be none for these words either.
inline error no_memory_for_request() noexcept {
    return {error_kind::out_of_memory, {}, "out of memory while a request was put together"};
}

// A status of success from what does not say that it took what it was sent: a login page, a proxy's greeting.
inline error unproven_success(std::string_view server, std::string_view target, const http_response& reply) {
    const std::string type = one_line(media_type(reply).substr(0, 60));
    return error(error_kind::bad_reply, server,
                 " answered " + std::to_string(reply.status) + " to " +
                     std::string(target.substr(0, target.find('?'))) + " with " +
                     (type.empty() ? "a body of no type" : type) +
                     " that does not say that anything was stored; does a login page or a proxy answer in its place?")
        .with_reply(reply.status, retry_after(reply), is_html(reply));
}

// How an export went that the receiver took.
inline export_result partial_success(std::size_t spans, const export_reply& told, const known_secrets& secrets) {
    export_result outcome;
    outcome.failed_spans = told.rejected_spans < spans ? static_cast<std::size_t>(told.rejected_spans) : spans;
    outcome.exported_spans = spans - outcome.failed_spans;
    outcome.is_final = true;
    if (!outcome.ok()) outcome.error = "the receiver rejected spans: " + one_line(secrets.masked(told.message));
    return outcome;
}

// Whether a text from outside may be a part of a URL's path. Servers and proxies resolve the steps "." and "..",
// often after they have decoded them, so that another page than the one meant would be asked.
inline bool is_path_part(std::string_view text) noexcept {
    if (text.empty()) return false;
    for (std::size_t at = 0; at <= text.size();) {
        const auto step = text.substr(at, text.substr(at).find_first_of("/\\"));
        if (step == "." || step == "..") return false;
        at += step.size() + 1;
    }
    return scan_utf8(text).control_at == utf8_scan::npos;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
