// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/running.hpp>
#include <mlflow/trace/text/json_writer.hpp>
#include <mlflow/trace/text/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What a redactor returns for a value: keep the value, or record another text in its place.
class redaction {
public:
    /// Records the value unchanged.
    static redaction keep() noexcept { return {}; }
    /// Records `[redacted]` in place of the value.
    static redaction remove() { return replace("[redacted]"); }
    /// Records `text` in place of the value.
    static redaction replace(owned_text text) { return redaction(std::move(text)); }

    /// Whether the value is recorded unchanged.
    [[nodiscard]] bool is_kept() const noexcept { return is_kept_; }
    /// The text that replaces the value.
    [[nodiscard]] owned_text&& text() && noexcept { return std::move(text_); }

private:
    redaction() noexcept = default;
    explicit redaction(owned_text text) noexcept : is_kept_(false), text_(std::move(text)) {}

    bool is_kept_ = true;
    owned_text text_;
};

/// The limits of what a span records. The span shows where a limit applied: a truncated text ends with
/// `… [cut: N bytes]`, a value that is nested too deeply is replaced by `[cut: too deep]`, and omitted attributes and
/// events are counted in OTLP's `dropped_attributes_count` and `dropped_events_count` and, for MLflow's page, in the
/// attributes `mlflow_trace.dropped_attributes` and `mlflow_trace.dropped_events`.
struct recording_limits {
    static constexpr std::uint32_t unlimited = std::numeric_limits<std::uint32_t>::max(); ///< no limit

    std::uint32_t attributes = unlimited; ///< attributes that `attribute()` sets
    /// Events, including exceptions and the chunks of a stream. Set it if answers are streamed in many chunks.
    std::uint32_t events = unlimited;
    /// Bytes of each text, also inside inputs and outputs. Set it if inputs may contain whole documents.
    std::uint32_t text_bytes = unlimited;
    /// Encoded size; an attribute or event that would exceed it is omitted. Set it to bound the memory of one span.
    std::uint32_t span_bytes = unlimited;
    std::uint32_t depth = 100; ///< levels of nested arrays and objects; MLflow itself reads 45

    friend constexpr bool operator==(const recording_limits&, const recording_limits&) noexcept = default;
};

namespace detail {

// The limits and the redactor of a recording policy.
struct value_rules {
    recording_limits limits;
    const void* redactor = nullptr;
    redaction (*redact)(const void* redactor, std::string_view key, std::string_view value) = nullptr; // or null

    [[nodiscard]] redaction ask(std::string_view key, std::string_view value) const {
        if (!redact) return redaction::keep();
        // A value that the redactor could not judge is not recorded. Neither is a value that the redactor itself
        // records, which would recurse without end.
        using asking = running<value_rules>;
        if (asking::is(this)) return redaction::remove();
        const asking here(this);
        return guarded([&] { return redact(redactor, key, value); }, [] { return redaction::remove(); });
    }
};

// The body of an open span. Values are written under `key`, subject to the rules.
class recording_buffer : public buffer {
public:
    const value_rules* rules = nullptr; // null: no rules, and the default depth
    std::string_view key;
    std::uint32_t depth = 0;

    [[nodiscard]] bool is_too_deep() const noexcept {
        return depth > (rules ? rules->limits.depth : recording_limits{}.depth);
    }
};

// A field that is written apart from its span, because code of the application runs meanwhile and may write to the
// same span.
struct field_part {
    field_part* next = nullptr;       // of the pool
    field_part* next_chain = nullptr; // of the pool
    std::size_t chain_bytes = 0;      // of the pool
    recording_buffer body;

    static constexpr bool is_looked_at = false;
    static constexpr bool has_blocks = true;

    bool recycle() noexcept {
        body.clear_to(machine::kept_block);
        body.key = {};
        body.depth = 0;
        return true;
    }
    [[nodiscard]] std::size_t kept_bytes() const noexcept { return sizeof(field_part) + body.capacity(); }
    void strip() noexcept { body.release(); }
};

// Suspends the rules while the library writes fields of its own.
class without_rules {
public:
    explicit without_rules(recording_buffer& out) noexcept : out_(out), rules_(std::exchange(out.rules, nullptr)) {}
    without_rules(const without_rules&) = delete;
    without_rules& operator=(const without_rules&) = delete;
    ~without_rules() { out_.rules = rules_; }

private:
    recording_buffer& out_;
    const value_rules* rules_;
};

template <class Buffer>
concept ruled = requires(Buffer& out) { out.rules; };

// Sets the key of the values that are written next.
template <class Buffer>
class key_scope {
public:
    key_scope(Buffer& out, std::string_view key) noexcept : out_(out), outer_(out.key) { out.key = key; }
    key_scope(const key_scope&) = delete;
    key_scope& operator=(const key_scope&) = delete;
    ~key_scope() { out_.key = outer_; }

private:
    Buffer& out_;
    std::string_view outer_;
};
template <class Buffer>
    requires(!ruled<Buffer>)
class key_scope<Buffer> {
public:
    constexpr key_scope(Buffer&, std::string_view) noexcept {}
};

// One level of a nested array or object.
template <class Buffer>
class nesting {
public:
    explicit nesting(Buffer& out) noexcept : out_(out) {
        if constexpr (ruled<Buffer>) ++out_.depth;
    }
    nesting(const nesting&) = delete;
    nesting& operator=(const nesting&) = delete;
    ~nesting() {
        if constexpr (ruled<Buffer>) --out_.depth;
    }

    [[nodiscard]] bool is_too_deep() const noexcept {
        if constexpr (ruled<Buffer>) return out_.is_too_deep();
        else return false;
    }
    static constexpr std::string_view marker = "[cut: too deep]";

private:
    Buffer& out_;
};

// A text after redaction and truncation.
class ruled_text {
public:
    ruled_text(const value_rules* rules, std::string_view key, std::string_view text) noexcept : view_(text) {
        if (rules) guarded([&] { apply(*rules, key); }, [&] { view_ = "[redacted]"; }); // out of memory
    }
    ruled_text(const ruled_text&) = delete;
    ruled_text& operator=(const ruled_text&) = delete;

    [[nodiscard]] std::string_view view() const noexcept { return view_; }

private:
    void apply(const value_rules& rules, std::string_view key) {
        if (redaction answer = rules.ask(key, view_); !answer.is_kept()) view_ = redacted_ = std::move(answer).text();
        if (view_.size() <= rules.limits.text_bytes) return;
        std::size_t kept = rules.limits.text_bytes;
        while (kept > 0 && (static_cast<unsigned char>(view_[kept]) & 0xc0U) == 0x80U) --kept; // within a character
        const bool is_whole = cut_.append(prefix_of(view_, kept)) && cut_.append("… [cut: ") &&
                              append_json_uint(cut_, view_.size() - kept) && cut_.append(" bytes]");
        view_ = is_whole ? cut_.view() : "[cut]"; // out of memory
    }

    owned_text redacted_;
    buffer cut_;
    std::string_view view_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
