// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/http/message.hpp>
#include <mlflow/trace/http/retry_after.hpp>
#include <mlflow/trace/text/displayed.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <string>
#include <string_view>

// How exporters and `client` read responses that are not a success.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// A server's message is free text from outside: a single line of it is shown, not the whole page of a proxy.
inline std::string one_line(std::string_view text) { return displayed(text, 300); }

// The receiver's message: the member of an error of MLflow or FastAPI, or of a google.rpc.Status; otherwise the body.
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
    return " responded " + std::to_string(reply.status) + " to " + std::string(target.substr(0, target.find('?'))) +
           ": " + one_line(secrets.masked(message_of(reply)));
}

inline error error_reply(std::string_view server, std::string_view target, const http_response& reply,
                         const known_secrets& secrets) {
    return error(error_kind::other, server, describe_reply(target, reply, secrets))
        .with_reply(reply.status, retry_after(reply), is_html(reply));
}

// If memory for the request ran out, there may be none for this text either; the error then has only its kind.
inline error no_memory_for_request() noexcept {
    return {error_kind::out_of_memory, {}, "out of memory while building a request"};
}

// A response with a status of success that does not confirm that anything was stored: of a login page or a proxy, for
// example.
inline error unproven_success(std::string_view server, std::string_view target, const http_response& reply) {
    const std::string type = one_line(media_type(reply).substr(0, 60));
    return error(error_kind::bad_reply, server,
                 " responded " + std::to_string(reply.status) + " to " +
                     std::string(target.substr(0, target.find('?'))) + " with " +
                     (type.empty() ? "a body without a content type" : type) +
                     ", which does not confirm that anything was stored; is there a login page or a proxy in front "
                     "of the server?")
        .with_reply(reply.status, retry_after(reply), is_html(reply));
}

// The result of an export that the receiver accepted, possibly in part.
inline export_result partial_success(std::size_t spans, const export_reply& told, const known_secrets& secrets) {
    export_result outcome;
    outcome.failed_spans = told.rejected_spans < spans ? static_cast<std::size_t>(told.rejected_spans) : spans;
    outcome.exported_spans = spans - outcome.failed_spans;
    outcome.is_final = true;
    if (!outcome.ok())
        outcome.error =
            error(error_kind::other, {}, "the receiver rejected spans: " + one_line(secrets.masked(told.message)));
    return outcome;
}

// Whether a text from outside may be a part of a URL's path. Servers and proxies resolve "." and "..", often after
// decoding, so that the request would reach another page than the intended one.
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
