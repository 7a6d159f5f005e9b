// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/traceparent.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/metadata/schema.hpp>
#include <mlflow/trace/metadata/tag.hpp>
#include <mlflow/trace/spans/span_interface.hpp>
#include <mlflow/trace/spans/trace.hpp>
#include <mlflow/trace/static_memory/operations.hpp>
#include <mlflow/trace/text/exception_text.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A span of a tracer with `static_memory_platform`. It is used as a `basic_span`. Thread-safety: a trace is used by
/// one thread of execution at a time; what an interrupt handler records on a trace while that trace is being written
/// is rejected and reported.
template <class Context, class Core>
class static_memory_span : public span_interface<static_memory_span<Context, Core>, Context> {
public:
    /// A span that records nothing.
    static_memory_span() noexcept = default;
    /// Takes over the span of `other`.
    static_memory_span(static_memory_span&& other) noexcept { take(other); }
    /// Ends this span and takes over the span of `other`.
    static_memory_span& operator=(static_memory_span&& other) noexcept {
        if (this == &other) return *this;
        end();
        take(other);
        return *this;
    }
    /// Ends the span. If an exception is unwinding the stack, the status of the span becomes an error.
    ~static_memory_span() { end(); }

    /// Whether the span is recorded. False after `end()`.
    [[nodiscard]] bool recording() const noexcept { return core_ && id_.valid(); }
    /// The ID of a recorded span, also after it has ended.
    [[nodiscard]] span_id id() const noexcept { return id_; }
    /// The ID of the trace of a recorded span, also after it has ended.
    [[nodiscard]] mlflow::trace::trace_id trace_id() const noexcept { return trace_id_; }
    /// This span for another process: send `span.remote().text()` as the header `traceparent`.
    [[nodiscard]] remote_span remote() const noexcept {
        constexpr bool is_random = Core::platform::has_random_trace_ids;
        return recording() ? remote_span{trace_id_, id_, true, is_random} : remote_span{};
    }
    /// Always empty.
    [[nodiscard]] static owned_text url() { return {}; }

    /// Starts a child of this span, whatever span is current.
    [[nodiscard]] static_memory_span start_span(std::string_view name,
                                                span_type type = span_type::unknown) const noexcept {
        return recording() ? child_of(*core_, place_, name, type) : static_memory_span();
    }

    /// Ends the span now; the enclosing span becomes current. Has no effect on a span that has ended.
    void end() noexcept {
        Core* const core = std::exchange(core_, nullptr);
        if (!core) return;
        if constexpr (Core::is_ambient) {
            if (place_.trace == place_.placeless) return core->leave_placeless();
            if (!id_.valid()) return core->end(place_);
        }
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        if (core->span_of(place_).code == status::unset && detail::exceptions_in_flight() > exceptions_at_start_)
            detail::static_operations<Core>(*core, place_).fail({}, "ended by an exception");
#endif
        core->end(place_);
    }

protected:
    template <class, class, class, class, class>
    friend class tracer;
    friend class span_interface<static_memory_span, Context>;

    static constexpr bool is_recorded = true;

    static static_memory_span child_of(Core& core, detail::span_place parent, std::string_view name,
                                       span_type type) noexcept {
        static_memory_span child;
        child.adopt(core, core.open_child(parent, name, type));
        if (child.recording()) core.enter(child.place_, true);
        return child;
    }
    void adopt(Core& core, detail::span_place place) noexcept {
        if (place.trace == place.none) return;
        core_ = &core;
        place_ = place;
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        exceptions_at_start_ = detail::exceptions_in_flight();
#endif
        id_ = {core.span_of(place).id};
        trace_id_ = core.trace_of(place).id;
    }
    // Makes this the current trace, which is not recorded: the sampler decided so, or there is no place for it.
    void hide(Core& core, detail::span_place place, bool is_nested) noexcept {
        if constexpr (Core::is_ambient) {
            core_ = &core;
            place_ = place;
            if (place.trace != place.none) return core.enter(place, is_nested);
            place_.trace = place.placeless;
            core.enter_placeless();
        }
    }

private:
    void take(static_memory_span& other) noexcept {
        core_ = std::exchange(other.core_, nullptr);
        place_ = other.place_;
        trace_id_ = std::exchange(other.trace_id_, {});
        id_ = std::exchange(other.id_, {});
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        exceptions_at_start_ = other.exceptions_at_start_;
#endif
    }
    [[nodiscard]] detail::static_operations<Core> writer() const noexcept { return {*core_, place_}; }
    [[nodiscard]] std::uint64_t now() const noexcept { return core_->now(place_); }

protected:
    Core* core_ = nullptr; // null: nothing is recorded
    detail::span_place place_ = Core::nowhere;
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    int exceptions_at_start_ = 0;
#endif
    mlflow::trace::trace_id trace_id_;
    span_id id_; // not valid: nothing is recorded; with `core_`, what is inside is not recorded either
};

namespace detail {

template <class Context, class Core>
struct span_writer_of<static_memory_span<Context, Core>> {
    using type = static_operations<Core>;
};

} // namespace detail

/// A trace of a tracer with `static_memory_platform`. It is used as a `basic_trace`.
template <class Schema, class Context, class Core>
class static_memory_trace : public static_memory_span<Context, Core> {
public:
    /// A trace that records nothing.
    static_memory_trace() noexcept = default;

    /// Sets checked values: keys of the schema, a client request ID, tags. Returns false when one was rejected.
    template <class... Values>
    bool set(const Values&... values) noexcept {
        (detail::require_allowed<Schema, Values>(), ...);
        static_assert(!(detail::added_value<Values> || ...),
                      "static_memory_platform has no linked prompts: use bare_metal_platform");
        if constexpr ((detail::allowed_in_trace<Schema, Values> && ...))
            return this->recording() && (static_cast<int>(set_one(values)) & ... & 1) != 0;
        return false;
    }
    /// Sets the texts that MLflow's list of traces shows for the request and the response. They are truncated to 1000
    /// characters, as by MLflow.
    void previews(std::string_view request, std::string_view response) noexcept {
        if (!this->recording()) return;
        if (!request.empty()) store(entry_kind::request_preview, {}, detail::first_code_points(request, 1000));
        if (!response.empty()) store(entry_kind::response_preview, {}, detail::first_code_points(response, 1000));
    }
    /// Sets a metadata key that is only known at run time; for an open schema. Returns false when it was rejected.
    bool metadata(std::string_view key, std::string_view value) noexcept
        requires Schema::is_open
    {
        if (!this->recording()) return false;
        const error refused = detail::check_metadata(key, value);
        if (refused.kind() == error_kind::none) return store(entry_kind::metadata, key, value);
        this->core_->report(refused);
        return false;
    }

private:
    template <class, class, class, class, class>
    friend class tracer;

    template <class T>
    bool set_one(const T& value) noexcept {
        using key = typename detail::unwrapped<T>::type;
        if constexpr (detail::is_absent<T>) {
            return store(entry_kind::absent, key::name, {});
        } else if constexpr (detail::is_maybe<T>) {
            return value.get() ? set_one(*value.get()) : set_one(absent<key>{});
        } else if constexpr (std::is_same_v<T, tag>) {
            const error refused = value.check();
            if (refused.kind() == error_kind::none) return store(entry_kind::tag, value.key, value.value);
            this->core_->report(refused);
            return false;
        } else {
            constexpr bool is_request_id = std::is_same_v<key, client_request_id>;
            return store(is_request_id ? entry_kind::client_request_id : entry_kind::metadata, key::name,
                         value.view());
        }
    }
    bool store(entry_kind kind, std::string_view key, std::string_view value) noexcept {
        return this->recording() && this->core_->set_entry(this->place_, kind, key, value);
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
