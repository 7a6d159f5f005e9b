// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The kind of an error. The first group concerns values, the second requests, the third the configuration of a
/// program.
enum class error_kind : std::uint8_t {
    none,              ///< no error
    missing,           ///< no value at all: a null pointer, or a required key or header that was not given
    empty,             ///< an empty text
    too_long,          ///< more code points than the key allows
    control_character, ///< C0 (including NUL, tab and newline), DEL or C1
    invalid_utf8,      ///< the text is not valid UTF-8
    not_allowed,       ///< rejected by the key's own check
    out_of_range,      ///< a number that MLflow cannot store
    already_set,       ///< metadata is written once, and another value was given
    not_in_schema,     ///< the key is not in the tracer's schema
    reserved,          ///< a key that the library writes itself, or that MLflow's search rewrites
    no_open_trace,     ///< no trace is current, or it has ended
    callback_failed,   ///< the application's code that makes or writes the value threw, or reported failure
    span_ended,        ///< the application's code that makes the value ended the span that the value was for
    interleaved,       ///< traces of one tracer are interleaved in a context that holds one current span
    not_on_stack,      ///< an object that should be current is not on its thread's stack
    abi_mismatch,      ///< the tracer was made by a part of the program with another version or build of the library
    malformed,         ///< a header does not have the form that its specification requires
    duplicate,         ///< a header or list member that may occur once was given again
    too_large,         ///< a header exceeds the limits of its specification
    unverified,        ///< the sender's seal does not match any known key, or has expired
    out_of_memory,     ///< no memory for the value, the request, or its response
    dropped,    ///< spans were discarded without an attempt to deliver: no room for them, or after the shutdown
    miscounted, ///< an exporter's counts of spans do not add up

    bad_request, ///< not sent: the request, the query or the address is malformed
    tls,         ///< a certificate was rejected by either side, or the server does not use TLS
    connect,     ///< no connection: refused, unreachable, or the name was not resolved
    closed,      ///< the connection closed before the whole response arrived
    timeout,     ///< `http_request::timeout` expired, or an exporter did not return before the deadline of a flush
    bad_reply,   ///< not HTTP, larger than the transport accepts, or not a response that this server should give
    other,       ///< a response that is not a success (`error::status`), or an error of no other kind: an exception

    bad_setting, ///< an environment variable that was not understood
    file         ///< a file or directory that cannot be read or written; `error::code` has the reason
};

namespace detail {

// The text of an error, shared by the copies of the error. It is freed through a function pointer, so that a device
// that makes no such text does not link the heap.
struct error_text {
    void (*count)(error_text& self, bool is_taken) noexcept;
    std::string whole{};
    std::size_t about_at = 0; // position of `error::about` in `whole`
    std::size_t about_size = 0;
    std::error_code code{};
    atomic<unsigned> uses{1};

    // Returns null when there is no memory; the error then has only its kind.
    static error_text* make(std::string_view about, std::string_view text, const std::error_code& code) noexcept {
        if constexpr (!machine::has_heap) return nullptr;
        const auto copy = [&]() -> error_text* {
            const std::string_view between = about.empty() || text.starts_with(' ') ? "" : ": ";
            std::string words;
            words.reserve(about.size() + between.size() + text.size());
            words.append(about).append(between).append(text);
            return new (std::nothrow) error_text{&error_text::keep_count, std::move(words), 0, about.size(), code};
        };
        return guarded(copy, []() -> error_text* { return nullptr; });
    }

private:
    static void keep_count(error_text& self, bool is_taken) noexcept {
        if (is_taken) self.uses.fetch_add(1, memory_order_relaxed);
        else if (self.uses.fetch_sub(1, memory_order_acq_rel) == 1) delete &self;
    }
};

} // namespace detail

/// An error of this library: its kind, what it is about, and how to fix it.
///
///     mt::error(mt::error_kind::timeout, "127.0.0.1:5000", "no response within 30000 ms")
///
/// An error never contains the rejected value. Copying shares the text and does not throw. Errors of value checks
/// need no heap: `about()` is a view, and `message()` builds its text when it is called. Thread-safety: as `int`.
class error {
public:
    /// Makes "no error".
    constexpr error() noexcept = default;
    /// Makes the error of a value. `about` is a view of static storage or of a text that outlives the error. `actual`
    /// is the number of code points found (`too_long`) or the position of the byte at fault; `limit` is the number of
    /// code points allowed.
    constexpr error(error_kind kind, std::string_view about = {}, std::size_t actual = 0,
                    std::size_t limit = 0) noexcept
        : kind_(kind), about_(about), actual_(actual), limit_(limit) {}
    /// Deleted: `about` would refer to a temporary string. Use the constructor with `text`, which copies both.
    template <class text_that_dies_first>
        requires std::is_same_v<std::remove_const_t<text_that_dies_first>, std::string>
    error(error_kind kind, text_that_dies_first&& about, std::size_t actual = 0, std::size_t limit = 0) = delete;
    /// Makes an error with its own text, which is copied: one line for a person, without credentials, ending with the
    /// remedy. `message()` returns `about: text`, without the colon when `text` begins with a space. `code` is the
    /// system's error code. When memory runs out, and on targets without a heap, only the kind is kept.
    error(error_kind kind, std::string_view about, std::string_view text, const std::error_code& code = {}) noexcept
        : kind_(kind), text_(detail::error_text::make(about, text, code)) {}

    /// Shares the text of `other`.
    constexpr error(const error& other) noexcept
        : kind_(other.kind_), is_of_header_(other.is_of_header_), is_html_(other.is_html_), status_(other.status_),
          about_(other.about_), actual_(other.actual_), limit_(other.limit_), retry_after_(other.retry_after_),
          text_(other.text_) {
        if (text_) text_->count(*text_, true);
    }
    /// Takes over the text of `other`.
    constexpr error(error&& other) noexcept
        : kind_(other.kind_), is_of_header_(other.is_of_header_), is_html_(other.is_html_), status_(other.status_),
          about_(other.about_), actual_(other.actual_), limit_(other.limit_), retry_after_(other.retry_after_),
          text_(std::exchange(other.text_, nullptr)) {}
    /// Shares the text of `other`.
    constexpr error& operator=(const error& other) noexcept { return *this = error(other); }
    /// Takes over the text of `other`.
    constexpr error& operator=(error&& other) noexcept {
        error taken(std::move(other));
        kind_ = taken.kind_;
        is_of_header_ = taken.is_of_header_;
        is_html_ = taken.is_html_;
        status_ = taken.status_;
        about_ = taken.about_;
        actual_ = taken.actual_;
        limit_ = taken.limit_;
        retry_after_ = taken.retry_after_;
        std::swap(text_, taken.text_);
        return *this;
    }
    /// Releases the text.
    constexpr ~error() {
        if (text_) text_->count(*text_, false);
    }

    /// Whether this is an error: `if (const mt::error error = traces.last_error()) …`.
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return kind_ != error_kind::none; }
    /// The kind of the error, for a `switch`.
    [[nodiscard]] constexpr error_kind kind() const noexcept { return kind_; }
    /// The key, header, option, variable, file or server that the error is about; empty when unknown. The view is
    /// valid as long as this error, or as the text that the error was made with.
    [[nodiscard]] constexpr std::string_view about() const noexcept {
        return text_ ? std::string_view(text_->whole.data() + text_->about_at, text_->about_size) : about_;
    }
    /// The number of code points found (`too_long`), or the position of the byte at fault.
    [[nodiscard]] constexpr std::size_t actual() const noexcept { return actual_; }
    /// The number of code points allowed (`too_long`).
    [[nodiscard]] constexpr std::size_t limit() const noexcept { return limit_; }
    /// The system's error code; 0 when there is none.
    [[nodiscard]] std::error_code code() const noexcept { return text_ ? text_->code : std::error_code(); }
    /// The status of the server's response when it was not a success; 0 otherwise.
    [[nodiscard]] constexpr int status() const noexcept { return status_; }
    /// How long the response asks to wait before another request; 0 when it gives none.
    [[nodiscard]] constexpr std::chrono::milliseconds retry_after() const noexcept { return retry_after_; }
    /// Whether the response was an HTML or XML page, written by something in front of the receiver.
    [[nodiscard]] constexpr bool is_html() const noexcept { return is_html_; }

    /// One line for a person, with the remedy: `mlflow.trace.user: control character at byte 3; remove it`. Empty for
    /// "no error".
    [[nodiscard]] std::string message() const;

    /// Returns the same error with another text.
    [[nodiscard]] error with_message(std::string_view whole) const noexcept {
        const std::string_view known = about();
        error other(kind_, {}, whole, code());
        if (const auto at = whole.find(known); other.text_ && at != std::string_view::npos) {
            other.text_->about_at = at;
            other.text_->about_size = known.size();
        }
        other.is_html_ = is_html_;
        other.status_ = status_;
        other.actual_ = actual_;
        other.limit_ = limit_;
        other.retry_after_ = retry_after_;
        return other;
    }
    /// Returns the same error with the status and other details of the response that caused it.
    [[nodiscard]] error with_reply(int status, std::chrono::milliseconds retry_after = {},
                                   bool is_html = false) const noexcept {
        error other = *this;
        other.status_ = status;
        other.retry_after_ = retry_after;
        other.is_html_ = is_html;
        return other;
    }
    /// Returns the same error about the HTTP header that contained the value, worded for the sender of the request.
    /// `name` is kept as a view.
    [[nodiscard]] constexpr error of_header(std::string_view name) const noexcept {
        error other = *this;
        other.about_ = name;
        other.is_of_header_ = true;
        return other;
    }

    friend bool operator==(const error& a, const error& b) noexcept {
        return a.kind_ == b.kind_ && a.about() == b.about() && a.actual_ == b.actual_ && a.limit_ == b.limit_ &&
               a.status_ == b.status_ && a.words() == b.words();
    }

private:
    [[nodiscard]] std::string_view words() const noexcept { return text_ ? text_->whole : std::string_view(); }
    [[nodiscard]] std::string reason() const;
    [[nodiscard]] std::string_view wanted_form() const noexcept {
        if (about_ == "traceparent")
            return "must have the form 00-<32 digits>-<16 digits>-<2 digits>, in lower-case hexadecimal and without "
                   "an all-zero ID (https://www.w3.org/TR/trace-context-2/)";
        return "must be a comma-separated list of key=value (https://www.w3.org/TR/baggage/)";
    }

    error_kind kind_ = error_kind::none;
    bool is_of_header_ = false;
    bool is_html_ = false;
    int status_ = 0;
    std::string_view about_{};
    std::size_t actual_ = 0;
    std::size_t limit_ = 0;
    std::chrono::milliseconds retry_after_{0};
    detail::error_text* text_ = nullptr;
};

inline std::string error::message() const {
    if (text_) return text_->whole;
    std::string text = detail::displayed(about_, 300); // the name may come from outside too
    if (!text.empty()) text += ": ";
    return text += reason();
}

inline std::string error::reason() const {
    const auto at_byte = [this] { return " at byte " + std::to_string(actual_); };
    const bool is_identity = about_ == "mlflow.trace.user" || about_ == "mlflow.trace.session";
    const char* const none = is_identity ? "(mt::anonymous, mt::no_session)" : "(mt::absent<key>{})";
    switch (kind_) {
    case error_kind::none: break;
    case error_kind::missing:
        return is_of_header_ ? "missing; every request must have it"
                             : std::string("no value; pass one, or state that there is none ") + none;
    case error_kind::empty:
        return is_of_header_ ? "empty; set a value, or omit the header"
                             : std::string("empty; omit it, or state that there is none ") + none;
    case error_kind::too_long:
        return std::to_string(actual_) + " characters, at most " + std::to_string(limit_) +
               "; shorten or hash it (the library does not truncate it)";
    case error_kind::control_character: return "control character" + at_byte() + "; remove it";
    case error_kind::invalid_utf8: return "invalid UTF-8" + at_byte() + "; send UTF-8";
    case error_kind::not_allowed:
        return is_of_header_ ? "does not have the required form"
                             : "rejected by the key's own check; see the declaration of the key";
    case error_kind::out_of_range: return "MLflow cannot store this number; use finite numbers below 2^63";
    case error_kind::already_set:
        return "already set to another value; metadata is written once. Use a tag for a value that changes";
    case error_kind::not_in_schema: return "not in the tracer's schema; add mt::optional<…> for it";
    case error_kind::reserved: return "reserved; use the library's own type or function for it, or another name";
    case error_kind::no_open_trace:
        return "no trace is current here; call this between the start and the end of a trace";
    case error_kind::callback_failed:
        return "the code that makes this value threw or reported failure; the value was omitted";
    case error_kind::span_ended:
        return "the code that makes this value ended the span, so the value was omitted; end the span afterwards";
    case error_kind::interleaved:
        return "traces of one tracer are interleaved on one thread, so the library cannot tell which trace a span "
               "belongs to. From now on, spans that start without an explicit parent are recorded without a user. In "
               "coroutines, use mt::coroutine_context, and mt::branch for each branch of && and ||. In callbacks, "
               "attach a captured context or use mt::explicit_context. If one trace is meant to start inside "
               "another, pass mt::nested to start_trace";
    case error_kind::not_on_stack:
        return "a span, scope or attached context is not a local variable of a function that runs on this thread, so "
               "the library cannot tell which trace a span belongs to. From now on, spans that start without an "
               "explicit parent are recorded without a user. In coroutines, use mt::coroutine_context; for objects "
               "on the heap, use mt::explicit_context or trace.start_span()";
    case error_kind::abi_mismatch:
        return "the tracer was made by a part of the program that was built with another version or build of the "
               "library, so nothing is recorded here; build both parts with the same version, compiler and options";
    case error_kind::malformed: return std::string(wanted_form());
    case error_kind::duplicate: return "sent more than once; send it once";
    case error_kind::too_large: return "more than 180 members or 8,192 bytes; propagate fewer or shorter values";
    case error_kind::unverified:
        return "the sender's seal was not made with a known key, has expired, or does not match the values; user and "
               "session were ignored, and the request is recorded as a new trace";
    case error_kind::out_of_memory: return about_.empty() ? "out of memory" : "out of memory; the value was omitted";
    case error_kind::miscounted:
        return "the exporter's counts do not add up: exported_spans + failed_spans must equal "
               "trace_batch::span_count(); uncounted spans count as failed";
    // These kinds have a text of their own unless memory ran out.
    case error_kind::dropped: return "spans were dropped";
    case error_kind::bad_request: return "malformed request or address; it was not sent";
    case error_kind::tls: return "TLS failed";
    case error_kind::connect: return "no connection";
    case error_kind::closed: return "the connection closed before the response was complete";
    case error_kind::timeout: return "no response before the deadline";
    case error_kind::bad_reply: return "not a response that this kind of server gives";
    case error_kind::other: return "failed without giving a reason";
    case error_kind::bad_setting: return "invalid value";
    case error_kind::file: return "cannot be read or written";
    }
    return {};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
