// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/message.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

// The one place that decides what an attempt to deliver means. Exporters ask it about replies and transport errors,
// `retry` and `spool` about what exporters say. The page for people is docs/reliability.md, "What an answer means".

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The statuses that mean something to this library besides their outcome. No other file compares them.
constexpr bool is_success(int status) noexcept { return status >= 200 && status < 300; }
constexpr bool is_redirect(int status) noexcept { return status >= 300 && status < 400; }
constexpr bool is_bad_request(int status) noexcept { return status == 400; }
// The credentials are wrong, or out of date: they are asked for again.
inline constexpr int unauthorized = 401;
constexpr bool wants_other_credentials(int status) noexcept { return status == unauthorized; }
constexpr bool is_not_found(int status) noexcept { return status == 404; }
constexpr bool is_of_a_proxy(int status) noexcept { return status == 407; }
// MLflow: a store of files answers so to a trace that it has.
constexpr bool may_be_there_already(int status) noexcept { return status == 500; }
// Of a failure whose reason the content may be, where the server's own status says something else.
inline constexpr int may_be_at_fault = 500;
// MLflow: its store takes no spans.
inline constexpr int not_implemented = 501;
constexpr bool is_not_implemented(int status) noexcept { return status == not_implemented; }
// Also a server that is the right one answers so, and its reason is the one to tell: rights, too many requests, a
// failure.
constexpr bool tells_its_own_reason(int status) noexcept {
    return status == 401 || status == 403 || status == 408 || status == 429 || status >= 500;
}

} // namespace detail

/// What follows from an attempt to deliver spans. Only proof that the content is at fault costs a span.
///
/// | outcome     | what it takes                                                                               |
/// |-------------|---------------------------------------------------------------------------------------------|
/// | delivered   | 2xx with an empty body, or with a well-formed OTLP export response of the type that it names |
/// | wait        | all that is not about the content: every transport error (TLS, local files, proxy settings, |
/// |             | a request that is rejected locally, name resolution, connection, no answer, a reply that is |
/// |             | not HTTP, no memory here), 1xx, 3xx, 2xx with another body, and every status that is not     |
/// |             | named below                                                                                 |
/// | divide      | 500; 400, 413 or 422 with a page in HTML or XML, which something before the receiver wrote; |
/// |             | and a reason that nobody knows: the content may be at fault. Divided while other content    |
/// |             | passes; waits while none does                                                               |
/// | put_aside   | 400, 413 or 422: the receiver finds fault with the content. Divided, and what fails alone   |
/// |             | is put aside, unless the receiver now finds fault also with what it took before, or with    |
/// |             | another that waits: MLflow answers 400 to most errors of its database, and 422 to what else |
/// |             | goes wrong (mlflow/store/db/utils.py, mlflow/server/otel_api.py)                            |
enum class outcome : std::uint8_t { delivered, wait, divide, put_aside };

/// What an error says about the spans that were sent.
[[nodiscard]] constexpr outcome outcome_of(error_kind kind, int status, bool is_html = false) noexcept {
    if (kind != error_kind::other) return outcome::wait;
    switch (status) {
    case 0: return outcome::divide; // unknown
    case 400:
    case 413:
    case 422: return is_html ? outcome::divide : outcome::put_aside;
    case 500: return outcome::divide; // MLflow also answers so to values that it cannot store
    default: return outcome::wait;
    }
}
[[nodiscard]] inline outcome outcome_of(const error& error) noexcept {
    return outcome_of(error.kind(), error.status(), error.is_html());
}

/// What an exporter says. Neither `retryable` nor `content_rejected` is a reason that nobody knows, and so is an
/// exception other than `std::bad_alloc`, which is no fault of the content.
[[nodiscard]] inline outcome outcome_of(const export_result& result) noexcept {
    if (result.ok() || result.is_final) return outcome::delivered;
    if (result.retryable == result.content_rejected) return outcome::divide;
    return result.retryable ? outcome::wait : outcome::put_aside;
}

/// What a reply to exported spans says about them.
[[nodiscard]] inline outcome outcome_of(const http_response& reply) {
    if (!detail::is_success(reply.status)) return outcome_of(error_kind::other, reply.status, detail::is_html(reply));
    return detail::read_export_reply(reply) ? outcome::delivered : outcome::wait;
}

namespace detail {

// Adds to `total` that so many spans failed for that reason.
inline void add_failure(export_result& total, std::size_t spans, const error& why) {
    const outcome what = outcome_of(why);
    total.failed_spans += spans;
    total.retryable = total.retryable || what == outcome::wait || what == outcome::divide;
    total.content_rejected = total.content_rejected || what == outcome::divide || what == outcome::put_aside;
    using kind = error_kind;
    total.too_slow = total.too_slow || why.kind() == kind::timeout || why.kind() == kind::out_of_memory;
    if (why.retry_after() > total.retry_after) total.retry_after = why.retry_after();
    total.error = why.message();
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
