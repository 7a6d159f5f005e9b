// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

// Decides what an attempt to deliver means, for the whole library. Exporters use it to classify responses and
// transport errors, and `retry` and `spool` use it to classify the results of exporters. docs/reliability.md explains
// it for users.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The statuses that have a meaning in addition to their outcome. No other file compares them.
constexpr bool is_success(int status) noexcept { return status >= 200 && status < 300; }
constexpr bool is_redirect(int status) noexcept { return status >= 300 && status < 400; }
constexpr bool is_bad_request(int status) noexcept { return status == 400; }
// The credentials are wrong or have expired, and are fetched again.
inline constexpr int unauthorized = 401;
constexpr bool wants_other_credentials(int status) noexcept { return status == unauthorized; }
constexpr bool is_not_found(int status) noexcept { return status == 404; }
constexpr bool is_of_a_proxy(int status) noexcept { return status == 407; }
// MLflow before 3.4, or with a file store: the response to the info of a trace that it already has. 400 is that of a
// database.
constexpr bool may_be_there_already(int status) noexcept { return status == 400 || status == 500; }
// MLflow: the response to a request for an artifact that does not exist.
constexpr bool may_be_missing(int status) noexcept { return status == 404 || status == 500; }
// The server responds otherwise later.
constexpr bool is_busy(int status) noexcept {
    return status == 408 || status == 425 || status == 429 || status > 501;
}
// The server wants the same request later.
constexpr bool asks_for_patience(int status) noexcept { return status == 425 || status == 429; }
// The status of a failure that the content may have caused, although the server's own status differs.
inline constexpr int may_be_at_fault = 500;
// MLflow: the store does not accept spans.
inline constexpr int not_implemented = 501;
// The client may not do this, or its credentials are wrong.
constexpr bool is_denied(int status) noexcept { return status == unauthorized || status == 403; }
// The server does not know this request.
constexpr bool is_unsupported(int status) noexcept { return status == 404 || status == 405 || status == 501; }
constexpr bool is_not_implemented(int status) noexcept { return status == not_implemented; }
// Statuses with which the right server also responds, and gives the reason in its message: permissions, too many
// requests, a failure.
constexpr bool tells_its_own_reason(int status) noexcept {
    return status == 401 || status == 403 || status == 408 || status == 429 || status >= 500;
}

} // namespace detail

/// What follows from an attempt to deliver spans. A span is given up only if the content is proved to be the cause.
///
/// | outcome     | condition                                                                                        |
/// |-------------|--------------------------------------------------------------------------------------------------|
/// | delivered   | 2xx with an empty body, or with a well-formed OTLP export response of the content type that it   |
/// |             | has                                                                                              |
/// | wait        | anything that does not concern the content: every transport error (TLS, local files, proxy       |
/// |             | settings, a request that is rejected locally, name resolution, connection, no response, a        |
/// |             | response that is not HTTP, out of memory), 1xx, 3xx, 2xx with another body, and every status     |
/// |             | that is not listed below                                                                         |
/// | divide      | the content may be the cause: 500; 400, 413 or 422 with a page in HTML or XML, which something   |
/// |             | in front of the receiver wrote; and any unknown reason. The batch is split while the receiver    |
/// |             | accepts other content, and waits otherwise                                                       |
/// | put_aside   | 400, 413 or 422: the receiver rejects the content. The batch is split, and a span that fails     |
/// |             | alone is quarantined, unless the receiver accepts nothing new since then: MLflow responds 400 to |
/// |             | most errors of its database, and 422 to other failures (mlflow/store/db/utils.py,                |
/// |             | mlflow/server/otel_api.py)                                                                       |
enum class outcome : std::uint8_t { delivered, wait, divide, put_aside };

/// The outcome of an error.
[[nodiscard]] constexpr outcome outcome_of(error_kind kind, int status, bool is_html = false) noexcept {
    if (kind != error_kind::other) return outcome::wait;
    switch (status) {
    case 0: return outcome::divide; // unknown
    case 400:
    case 413:
    case 422: return is_html ? outcome::divide : outcome::put_aside;
    case 500: return outcome::divide; // MLflow also responds 500 to values that it cannot store
    default: return outcome::wait;
    }
}
/// The same for an `error`.
[[nodiscard]] inline outcome outcome_of(const error& error) noexcept {
    return outcome_of(error.kind(), error.status(), error.is_html());
}

/// The outcome of an export. A result with neither `retryable` nor `content_rejected` has an unknown reason. So has
/// an exception, except `std::bad_alloc`, which the content does not cause.
[[nodiscard]] inline outcome outcome_of(const export_result& result) noexcept {
    if (result.ok() || result.is_final) return outcome::delivered;
    if (result.retryable == result.content_rejected) return outcome::divide;
    return result.retryable ? outcome::wait : outcome::put_aside;
}

/// The outcome of a response to exported spans.
[[nodiscard]] inline outcome outcome_of(const http_response& reply) {
    if (!detail::is_success(reply.status)) return outcome_of(error_kind::other, reply.status, detail::is_html(reply));
    return detail::read_export_reply(reply) ? outcome::delivered : outcome::wait;
}

namespace detail {

// Adds `spans` failed spans, with their reason, to `total`.
inline void add_failure(export_result& total, std::size_t spans, const error& why) {
    const outcome what = outcome_of(why);
    total.failed_spans += spans;
    total.retryable = total.retryable || what == outcome::wait || what == outcome::divide;
    total.content_rejected = total.content_rejected || what == outcome::divide || what == outcome::put_aside;
    using kind = error_kind;
    total.too_slow = total.too_slow || why.kind() == kind::timeout || why.kind() == kind::out_of_memory;
    if (why.retry_after() > total.retry_after) total.retry_after = why.retry_after();
    total.error = why;
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
