// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
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

/// What kind of thing went wrong. The first group is of values, the second of requests, the third of what a program
/// is set up with.
enum class error_kind : std::uint8_t {
    none,
    missing,           ///< no value at all: a null pointer, or a required key or header that nobody gave
    empty,             ///< ""
    too_long,          ///< more code points than the key takes
    control_character, ///< C0 (with NUL, tab and newline), DEL or C1
    invalid_utf8,
    not_allowed,     ///< rejected by the key's own check
    out_of_range,    ///< a number that MLflow cannot store
    already_set,     ///< metadata is written once, and this is another value
    not_in_schema,   ///< the tracer's schema does not have this key
    reserved,        ///< a key that the library writes itself, or that MLflow's search rewrites
    no_open_trace,   ///< nothing to update: no trace is open here, or it has ended
    callback_failed, ///< the application's code that makes or writes the value threw, or said that it failed
    span_ended,      ///< that code ended the span for which the value was
    interleaved,     ///< traces of one tracer take turns where one thing at a time can be current
    not_on_stack,    ///< what is to be current is in a coroutine's frame, on a fiber's stack, or on the heap
    abi_mismatch,    ///< the tracer was made by a part of the program with another version or build of the library
    malformed,       ///< a header is not of the form that its specification says
    duplicate,       ///< a header or a member that may stand once is given again
    too_large,       ///< a header is over the limits of its specification
    unverified,      ///< the seal of a sender is not one that is known here, or has expired
    out_of_memory,   ///< for the value, for a request, or for its reply

    bad_request, ///< never sent: the request, the query or the address is malformed
    tls,         ///< the server's certificate was rejected, or it rejected ours, or it does not speak TLS
    connect,     ///< no connection: refused, unreachable, name not resolved
    closed,      ///< the connection ended before the whole reply
    timeout,     ///< `http_request::timeout` ran out
    bad_reply,   ///< not HTTP, larger than the transport accepts, or not what the server should answer
    other,       ///< a reply that is no success (`error::status`), or what has no kind of its own

    bad_setting, ///< a variable of the environment that was not understood
    file         ///< a file or folder that cannot be read; `error::code` says why
};

namespace detail {

// What an error says in words of its own; its copies share it. It frees itself through a pointer, so that a device
// whose errors have no such text needs no heap.
struct error_text {
    void (*count)(error_text& self, bool is_taken) noexcept;
    std::string whole{};
    std::size_t about_at = 0; // where `whole` names what the error is about
    std::size_t about_size = 0;
    std::error_code code{};
    atomic<unsigned> uses{1};

    // Null when memory runs out: the kind is then all that the error says.
    static error_text* make(std::string_view about, std::string_view text, const std::error_code& code) noexcept {
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

/// What went wrong, everywhere in this library: of which kind, what it is about, and what to do about it.
///
///     mt::error(mt::error_kind::timeout, "127.0.0.1:5000", "no answer within 30000 ms")
///
/// Never holds the value that was rejected. Copying shares the text and does not throw. What the checks of values
/// give needs no heap: `about()` is a view then, and `message()` is put together when it is asked for. Thread-safety:
/// as `int`.
class error {
public:
    /// No error.
    constexpr error() noexcept = default;
    /// Of a value. `about` is a view, of static storage or of the caller's own text. `actual` is the number of code
    /// points found (`too_long`) or the position of the byte at fault, `limit` the number of code points allowed.
    constexpr error(error_kind kind, std::string_view about = {}, std::size_t actual = 0,
                    std::size_t limit = 0) noexcept
        : kind_(kind), about_(about), actual_(actual), limit_(limit) {}
    /// A text that dies before the error does: give a text of its own as well, which is copied.
    template <class text_that_dies_first>
        requires std::is_same_v<std::remove_const_t<text_that_dies_first>, std::string>
    error(error_kind kind, text_that_dies_first&& about) = delete;
    /// In words of its own, which are copied: one line for a person, without credentials, that ends with the remedy.
    /// `message()` is `about: text`, without the colon where `text` begins with a space. `code` is what the system
    /// gave. Where memory runs out, only the kind is kept.
    error(error_kind kind, std::string_view about, std::string_view text, const std::error_code& code = {}) noexcept
        : kind_(kind), text_(detail::error_text::make(about, text, code)) {}
    error(error_kind kind, std::string_view about, const char* text, const std::error_code& code = {}) noexcept
        : error(kind, about, std::string_view(text), code) {}

    constexpr error(const error& other) noexcept
        : kind_(other.kind_), is_of_header_(other.is_of_header_), is_html_(other.is_html_), status_(other.status_),
          about_(other.about_), actual_(other.actual_), limit_(other.limit_), retry_after_(other.retry_after_),
          text_(other.text_) {
        if (text_) text_->count(*text_, true);
    }
    constexpr error(error&& other) noexcept
        : kind_(other.kind_), is_of_header_(other.is_of_header_), is_html_(other.is_html_), status_(other.status_),
          about_(other.about_), actual_(other.actual_), limit_(other.limit_), retry_after_(other.retry_after_),
          text_(std::exchange(other.text_, nullptr)) {}
    constexpr error& operator=(error other) noexcept {
        kind_ = other.kind_;
        is_of_header_ = other.is_of_header_;
        is_html_ = other.is_html_;
        status_ = other.status_;
        about_ = other.about_;
        actual_ = other.actual_;
        limit_ = other.limit_;
        retry_after_ = other.retry_after_;
        std::swap(text_, other.text_);
        return *this;
    }
    constexpr ~error() {
        if (text_) text_->count(*text_, false);
    }

    /// To switch on.
    [[nodiscard]] constexpr error_kind kind() const noexcept { return kind_; }
    /// The key, header, option, variable, file or server. Empty where nobody said. As long as this error, or as the
    /// text that the error was made with.
    [[nodiscard]] constexpr std::string_view about() const noexcept {
        return text_ ? std::string_view(text_->whole.data() + text_->about_at, text_->about_size) : about_;
    }
    [[nodiscard]] constexpr std::size_t actual() const noexcept { return actual_; }
    [[nodiscard]] constexpr std::size_t limit() const noexcept { return limit_; }
    /// Of the system; 0 where it gave none.
    [[nodiscard]] std::error_code code() const noexcept { return text_ ? text_->code : std::error_code(); }
    /// Of the server's reply, where that was no success; otherwise 0.
    [[nodiscard]] constexpr int status() const noexcept { return status_; }
    /// What the reply asks to wait; 0 when it did not say.
    [[nodiscard]] constexpr std::chrono::milliseconds retry_after() const noexcept { return retry_after_; }
    /// The reply was a page, which something before the receiver wrote.
    [[nodiscard]] constexpr bool is_html() const noexcept { return is_html_; }

    /// One line for a person: `mlflow.trace.user: 300 characters, at most 250; shorten or hash the ID`.
    [[nodiscard]] std::string message() const;

    /// The same error in other words.
    [[nodiscard]] error with_message(std::string_view whole) const noexcept {
        const std::string_view known = about();
        error other(kind_, {}, whole, code());
        if (const auto at = whole.find(known); other.text_ && at != std::string_view::npos) {
            other.text_->about_at = at;
            other.text_->about_size = known.size();
        }
        other.is_html_ = is_html_;
        other.status_ = status_;
        other.retry_after_ = retry_after_;
        return other;
    }
    /// The same error with the reply that it comes from.
    [[nodiscard]] error with_reply(int status, std::chrono::milliseconds retry_after = {},
                                   bool is_html = false) const noexcept {
        error other = *this;
        other.status_ = status;
        other.retry_after_ = retry_after;
        other.is_html_ = is_html;
        return other;
    }
    /// The same error for the sender of an HTTP request: about the header that the value came in. The name is a view.
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
            return "not of the form 00-<32 digits>-<16 digits>-<2 digits>, hexadecimal in lower case and with no ID "
                   "of zeros (https://www.w3.org/TR/trace-context-2/)";
        return "not a list of key=value, separated by commas (https://www.w3.org/TR/baggage/)";
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
    case error_kind::none: return "no fault";
    case error_kind::missing:
        return is_of_header_ ? "missing; send it with every request"
                             : std::string("no value; give one, or say that there is none ") + none;
    case error_kind::empty:
        return is_of_header_ ? "empty; give it a value, or leave the header out"
                             : std::string("empty; leave it out, or say that there is none ") + none;
    case error_kind::too_long:
        return std::to_string(actual_) + " characters, at most " + std::to_string(limit_) +
               "; shorten or hash it (it is never cut for you)";
    case error_kind::control_character: return "control character" + at_byte() + "; remove it";
    case error_kind::invalid_utf8: return "invalid UTF-8" + at_byte() + "; send UTF-8";
    case error_kind::not_allowed:
        return is_of_header_ ? "not of the form that is wanted here"
                             : "refused by the key's own check; see the declaration of the key";
    case error_kind::out_of_range: return "a number that MLflow cannot store; give finite numbers below 2^63";
    case error_kind::already_set:
        return "already set to another value; metadata is written once, use a tag for what changes";
    case error_kind::not_in_schema: return "not in the tracer's schema; add mt::optional<…> for it";
    case error_kind::reserved: return "reserved; use the library's own type or function for it, or another name";
    case error_kind::no_open_trace: return "no open trace here; call it between the start and the end of a trace";
    case error_kind::callback_failed:
        return "the code that makes this value threw, or said that it failed; the value was left out";
    case error_kind::span_ended:
        return "the code that makes this value ended its span; the value was left out, end the span afterwards";
    case error_kind::interleaved:
        return "traces of one tracer take turns on one thread, and it cannot be known to whom a span belongs: what "
               "starts without being told its trace is recorded without a user from now on; in coroutines take "
               "mt::coroutine_context, and mt::branch for each branch of && and ||; in callbacks attach a captured "
               "context or take mt::explicit_context; and give start_trace an mt::nested where one trace is meant to "
               "be inside another";
    case error_kind::not_on_stack:
        return "a span, scope or attached context is not a local variable of a function that runs on this thread, "
               "and it cannot be known to whom a span belongs: what starts without being told its trace is recorded "
               "without a user from now on; in coroutines take mt::coroutine_context, for objects on the heap "
               "mt::explicit_context or trace.start_span()";
    case error_kind::abi_mismatch:
        return "the tracer was made by a part of the program with another version or build of the library, and "
               "nothing is recorded here; build both parts with the same version, compiler and options";
    case error_kind::malformed: return std::string(wanted_form());
    case error_kind::duplicate: return "given more than once; send it once";
    case error_kind::too_large: return "over 180 members or 8,192 bytes; propagate fewer or shorter values";
    case error_kind::unverified:
        return "the seal of the sender is not made with a key that is known here, has expired, or is of other "
               "values; user and session were not taken from it, and the trace is one of its own";
    case error_kind::out_of_memory: return about_.empty() ? "out of memory" : "out of memory; the value was left out";
    // These come with words of their own, but for want of memory.
    case error_kind::bad_request: return "malformed request or address; it was not sent";
    case error_kind::tls: return "TLS failed";
    case error_kind::connect: return "no connection";
    case error_kind::closed: return "the connection ended before the whole reply";
    case error_kind::timeout: return "no answer in time";
    case error_kind::bad_reply: return "not the reply that a server of this kind gives";
    case error_kind::other: return "the request failed";
    case error_kind::bad_setting: return "not understood";
    case error_kind::file: return "cannot be read";
    }
    return {};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
