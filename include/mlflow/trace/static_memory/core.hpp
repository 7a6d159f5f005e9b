// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/context/explicit.hpp>
#include <mlflow/trace/context/global.hpp>
#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/metadata/schema.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/spans/tracer_options.hpp>
#include <mlflow/trace/static_memory/record_exporter.hpp>
#include <mlflow/trace/static_memory/recorder.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The state of a tracer whose memory is fixed. The lock is held for a few instructions at a time: a trace that is
// being written is marked, and what would write to it meanwhile (an interrupt handler, or the application's code that
// makes the value) is rejected.
template <class Schema, class Context, class Exporter, class Recording, class Platform>
class static_core {
    static constexpr static_sizes sizes = Platform::sizes;
    struct open_trace;
    using check_function = void (*)(static_core& self, open_trace& trace);
    struct open_trace : static_trace_head {
        check_function check; // of the required keys, at the end; or null
        static_span spans[sizes.spans];
        char bytes[sizes.bytes];
    };

public:
    using platform = Platform;
    static constexpr span_place nowhere{span_place::none, 0, 0};
    static constexpr bool is_ambient = detail::is_ambient<Context>;

    explicit static_core(const tracer_options<Exporter, Recording>& chosen) noexcept
        : exporter_(chosen.exporter), recording_(chosen.recording), on_error_(chosen.on_error),
          error_context_(chosen.error_context) {}

    [[gnu::noinline]] void report(error_kind kind, std::string_view about) noexcept { report(error(kind, about)); }
    void report(const error& error) noexcept {
        {
            const lock_guard guard(mutex_);
            ++refused_;
            if (std::exchange(is_reporting_, true)) return; // errors in the handler itself are only counted
        }
        if (on_error_) on_error_(error_context_, error);
        else Platform::report(error);
        is_reporting_ = false;
    }

    static void check_required(static_core& self, open_trace& trace) noexcept {
        Schema::for_each_required([&]<class Key>() { self.require(trace, Key::name); });
    }
    // Opens a trace with its root span; without room it is counted as dropped. Inlined to save stack.
    [[gnu::always_inline]] span_place open_root(const trace_id& id, std::string_view name, span_type type,
                                                check_function check = nullptr) noexcept {
        return describe<true>(claim(id, type, check), name, type);
    }
    // Opens a trace that is not recorded.
    span_place open_hidden() noexcept {
        const span_place root = free_place(false);
        if (root.trace == span_place::none) return root;
        traces_[root.trace].is_hidden = true;
        begin_span(root, root, span_id{1}, span_type::unknown, 0);
        return root;
    }
    span_place open_child(span_place parent, std::string_view name, span_type type) noexcept {
        return describe<false>(claim_child(parent, type), name, type);
    }
    // Ends a span, and its trace if it was the last one that was open.
    [[gnu::noinline]] void end(span_place place) noexcept {
        span_of(place).end = now(place);
        if constexpr (is_ambient)
            if (current_ == place) current_ = still_open(span_of(place).enclosing);
        close(place);
    }

    [[nodiscard]] static_span& span_of(span_place place) noexcept { return traces_[place.trace].spans[place.span]; }
    [[nodiscard]] open_trace& trace_of(span_place place) noexcept { return traces_[place.trace]; }
    // Whether this span is still open there.
    [[nodiscard]] bool is_open(span_place place) noexcept { return is_there(place) && span_of(place).is_open; }
    [[nodiscard]] std::uint64_t now(span_place place) const noexcept {
        return Platform::monotonic_nano() + traces_[place.trace].wall_minus_monotonic;
    }

    // Writes a field of the span: `write(field_writer&)` returns false to write nothing. On an error, the span is
    // marked.
    template <class Write>
    error_kind write(span_place place, const Write& write) noexcept {
        return write_by(place, place.span, call<Write>, &write);
    }
    // The room for one more field.
    [[nodiscard]] std::size_t room(span_place place) const noexcept {
        const std::size_t used = traces_[place.trace].used + static_trace_head::field_head;
        return used < sizes.bytes ? sizes.bytes - used : 0;
    }

    // Sets an entry of the trace: metadata is written once. Returns false, and reports the error, if it is rejected.
    [[gnu::noinline]] bool set_entry(span_place place, entry_kind kind, std::string_view key,
                                     std::string_view value) noexcept {
        std::string_view old_value;
        char* const old = find_entry(traces_[place.trace], kind, key, old_value);
        if (old && old[stored_entry::kind_at] == static_cast<char>(kind) && old_value == value) return true;
        auto fault = error_kind::none;
        if (old && is_written_once(kind)) fault = error_kind::already_set;
        else fault = write_entry(place, kind, key, value);
        if (old && fault == error_kind::none) *old = static_cast<char>(static_trace_head::removed);
        if (fault != error_kind::none) report(fault, key.empty() ? std::string_view("preview") : key);
        return fault == error_kind::none;
    }

    // The open span that is current, or nowhere. Two open traces in a context that does not distinguish them are
    // reported; from then on, nothing is current.
    [[nodiscard]] span_place current() noexcept {
        if constexpr (!is_ambient) return nowhere;
        if (is_mixed_ || placeless_ > 0 || current_.trace == span_place::none) return nowhere;
        for (open_trace& trace : traces_) {
            static_span& root = trace.spans[0];
            if (trace.span_count == 0 || !root.is_unmeant) continue;
            root.is_unmeant = is_inside_open_trace(root.enclosing);
            if (!root.is_unmeant) continue; // the trace has replaced the one before
            is_mixed_ = true;
            report(error_kind::interleaved, "start_trace");
            return nowhere;
        }
        return current_;
    }
    [[nodiscard]] bool is_hidden(span_place place) noexcept {
        return placeless_ > 0 || (place.trace != span_place::none && traces_[place.trace].is_hidden);
    }
    [[nodiscard]] bool is_mixed() const noexcept { return is_mixed_; }
    void enter(span_place place, bool is_nested_or_child) noexcept {
        if constexpr (is_ambient) {
            static_span& span = span_of(place);
            span.enclosing = current_;
            span.is_unmeant = current_.trace != span_place::none && !is_nested_or_child;
            current_ = place;
        }
    }
    // A trace without a place hides what is inside it.
    void enter_placeless() noexcept { ++placeless_; }
    void leave_placeless() noexcept { --placeless_; }

    bool shutdown() noexcept { return is_shut_down_ = true; }
    [[nodiscard]] span_account account() noexcept {
        const lock_guard guard(mutex_);
        return {.started = started_,
                .exported = exported_,
                .failed = failed_,
                .dropped = dropped_,
                .open = started_ - exported_ - failed_ - dropped_};
    }
    [[nodiscard]] std::uint32_t refused_values() const noexcept { return refused_; }
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }
    [[nodiscard]] const Recording& recording() const noexcept { return recording_; }

private:
    // Whether the place still has the same trace.
    [[nodiscard]] bool is_there(span_place place) const noexcept {
        return place.trace < sizes.traces && traces_[place.trace].generation == place.generation;
    }
    // The statement that there is no value is written once, too.
    static constexpr bool is_metadata(entry_kind kind) noexcept {
        return kind == entry_kind::metadata || kind == entry_kind::absent;
    }
    static constexpr bool is_written_once(entry_kind kind) noexcept {
        return is_metadata(kind) || kind == entry_kind::client_request_id;
    }

    // These are not inlined, to save stack.
    [[gnu::noinline]] span_place claim(const trace_id& id, span_type type, check_function check) noexcept {
        const span_place root = free_place(true);
        if (root.trace == span_place::none) return root;
        open_trace& trace = traces_[root.trace];
        const std::uint64_t monotonic = Platform::monotonic_nano();
        const std::uint64_t wall = Platform::wall_nano();
        trace.id = id;
        trace.wall_minus_monotonic = wall - monotonic;
        trace.check = check;
        begin_span(root, root, Platform::new_span_id(), type, spool_format::is_trace_root | spool_format::is_root);
        span_of(root).start = wall;
        return root;
    }
    [[gnu::noinline]] span_place claim_child(span_place parent, span_type type) noexcept {
        open_trace& trace = traces_[parent.trace];
        const span_id id = Platform::new_span_id();
        span_place child = nowhere;
        {
            const lock_guard guard(mutex_);
            ++started_;
            if (trace.span_count == sizes.spans || trace.is_being_written) return ++dropped_, child;
            child = {parent.trace, trace.span_count++, parent.generation};
            ++trace.open_spans;
            begin_span(child, parent, id, type, spool_format::has_parent);
        }
        span_of(child).start = now(child);
        return child;
    }
    span_place free_place(bool is_counted) noexcept {
        const lock_guard guard(mutex_);
        started_ += is_counted ? 1U : 0U;
        for (std::uint8_t i = 0; i < sizes.traces; ++i) {
            open_trace& trace = traces_[i];
            if (trace.span_count != 0) continue;
            trace.span_count = trace.open_spans = 1;
            trace.removed_spans = 0;
            trace.used = 0;
            trace.is_being_written = false;
            if constexpr (is_ambient) trace.is_hidden = false;
            return {i, 0, ++trace.generation};
        }
        dropped_ += is_counted ? 1U : 0U;
        return nowhere;
    }
    void begin_span(span_place place, span_place parent, span_id id, span_type type, unsigned flags) noexcept {
        static_span& span = span_of(place);
        span = static_span{};
        span.enclosing = nowhere;
        span.id = id.value;
        span.parent = parent.span;
        // Whether a text could be read as JSON is examined where it matters, not on the device.
        span.flags = static_cast<std::uint8_t>(flags | spool_format::needs_rewrite);
        span.level = default_log_level(type);
        span.is_open = true;
    }
    // Writes the name and the type of a new span. If there is no room for them, the span is taken back.
    template <bool is_root>
    [[gnu::noinline]] span_place describe(span_place place, std::string_view name, span_type type) noexcept {
        if (place.trace == span_place::none) return place;
        const auto fault = write(place, [&](field_writer& out) {
            return out.text_field(otlp::name, name) &&
                   append_text(out, otlp::attributes, mlflow_names::span_type, type.name());
        });
        if (fault == error_kind::none) return place;
        {
            const lock_guard guard(mutex_);
            open_trace& trace = traces_[place.trace];
            ++dropped_;
            if constexpr (is_root) {
                trace.span_count = 0;
            } else if (place.span + 1 == trace.span_count) {
                --trace.span_count;
            } else { // an interrupt handler has started another one
                span_of(place).is_removed = true;
                ++trace.removed_spans;
            }
        }
        if constexpr (!is_root) close(place);
        return nowhere;
    }
    void close(span_place place) noexcept {
        bool is_last = false;
        {
            const lock_guard guard(mutex_);
            span_of(place).is_open = false;
            is_last = --traces_[place.trace].open_spans == 0 && !traces_[place.trace].is_being_written;
        }
        if (is_last) submit(place.trace);
    }

    template <class Write>
    static bool call(const void* write, field_writer& out) {
        return (*static_cast<const Write*>(write))(out);
    }
    [[gnu::noinline]] error_kind write_by(span_place place, std::uint8_t owner,
                                          bool (*write_one)(const void* by, field_writer&), const void* by) noexcept {
        open_trace& trace = traces_[place.trace];
        auto fault = error_kind::span_ended;
        bool is_last = false;
        mutex_.lock();
        if (is_open(place)) {
            fault = error_kind::out_of_memory;
            if (!trace.is_being_written) {
                trace.is_being_written = true;
                mutex_.unlock();
                char* const head = trace.bytes + trace.used;
                field_writer out(head + static_trace_head::field_head, room(place));
                const bool is_made = guarded([&] { return write_one(by, out); }, [] { return false; });
                if (out.is_whole()) fault = is_made ? error_kind::none : error_kind::callback_failed;
                mutex_.lock();
                trace.is_being_written = false;
                is_last = trace.open_spans == 0; // the application's code that made the value ended the span
                if (fault == error_kind::none) {
                    head[0] = static_cast<char>(owner);
                    head[1] = static_cast<char>(out.size());
                    head[2] = static_cast<char>(out.size() >> 8U);
                    trace.used = static_cast<std::uint16_t>(trace.used + static_trace_head::field_head + out.size());
                }
            }
            if (fault != error_kind::none && owner == place.span)
                span_of(place).flags |= spool_format::lost_something;
        }
        mutex_.unlock();
        if (is_last) submit(place.trace);
        return fault;
    }

    error_kind write_entry(span_place place, entry_kind kind, std::string_view key, std::string_view value) noexcept {
        const auto write = [&](field_writer& out) {
            namespace spooled = spool_format;
            out.push_back(short_tag(spooled::kind, wire_type::varint));
            out.push_back(static_cast<char>(kind));
            out.text_field(spooled::key, key);
            return out.text_field(spooled::value, value);
        };
        return write_by(place, static_trace_head::entry, call<decltype(write)>, &write);
    }
    // The entry of this kind and key. Metadata, and the statement that there is none, count as one kind.
    [[gnu::noinline]] static char* find_entry(open_trace& trace, entry_kind kind, std::string_view key,
                                              std::string_view& value) noexcept {
        char* found = nullptr;
        trace.for_each_field(trace.bytes, [&](char* field, std::string_view) {
            if (static_cast<std::uint8_t>(*field) != static_trace_head::entry) return;
            const stored_entry entry(field);
            const bool is_same_kind = entry.kind == kind || (is_metadata(entry.kind) && is_metadata(kind));
            if (!is_same_kind || entry.key != key) return;
            found = field;
            value = entry.value;
        });
        return found;
    }
    // Reports a metadata key that a trace lacks at its end.
    [[gnu::noinline]] void require(open_trace& trace, std::string_view key) noexcept {
        std::string_view ignored;
        if (!find_entry(trace, entry_kind::metadata, key, ignored)) report(error_kind::missing, key);
    }

    // Whether the root of this trace, or of one around it, is still open.
    bool is_inside_open_trace(span_place place) noexcept {
        while (is_there(place) && !traces_[place.trace].spans[0].is_open)
            place = traces_[place.trace].spans[0].enclosing;
        return is_there(place);
    }
    // The innermost span from `place` outwards that is still open.
    span_place still_open(span_place place) noexcept {
        while (place.trace < sizes.traces && !is_open(place))
            place = is_there(place) ? span_of(place).enclosing : nowhere;
        return place;
    }

    [[gnu::noinline]] void submit(std::uint8_t number) noexcept {
        open_trace& trace = traces_[number];
        if constexpr (is_ambient) forget(number);
        if (!is_ambient || !trace.is_hidden) export_or_drop(trace);
        const lock_guard guard(mutex_);
        trace.span_count = 0;
    }
    [[gnu::noinline]] void export_or_drop(open_trace& trace) noexcept {
        if (trace.check) trace.check(*this, trace);
        Schema::for_each_late([&]<class Key>() { require(trace, Key::name); });
        const std::uint32_t spans = trace.span_count - trace.removed_spans;
        std::uint32_t* const counted = is_shut_down_ ? &dropped_ : pass_on(trace, spans) ? &exported_ : &failed_;
        const lock_guard guard(mutex_);
        *counted += spans;
    }
    bool pass_on(const open_trace& trace, std::size_t spans) noexcept {
        return exporter_.export_record(trace_record(trace, trace.spans, trace.bytes, spans));
    }
    // Nothing that is still open may lead back to this place when it has another trace.
    void forget(std::uint8_t number) noexcept {
        for (open_trace& other : traces_)
            for (std::uint8_t i = 0; i < other.span_count; ++i) {
                span_place& enclosing = other.spans[i].enclosing;
                if (&other != &traces_[number] && enclosing.trace == number)
                    enclosing = still_open(span_of(enclosing).enclosing);
            }
    }

    Exporter exporter_;
    [[no_unique_address]] Recording recording_;
    error_handler on_error_;
    void* error_context_;
    [[no_unique_address]] typename Platform::mutex mutex_;
    std::uint32_t started_ = 0; // the counts wrap around
    std::uint32_t exported_ = 0;
    std::uint32_t failed_ = 0;
    std::uint32_t dropped_ = 0;
    std::uint32_t refused_ = 0;
    span_place current_ = nowhere;
    std::uint32_t placeless_ = 0;
    bool is_mixed_ = false;
    bool is_reporting_ = false;
    bool is_shut_down_ = false;
    open_trace traces_[sizes.traces]{};
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
