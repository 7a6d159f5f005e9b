// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/trace_entries.hpp>
#include <mlflow/trace/core/traceparent.hpp>
#include <mlflow/trace/metadata/identity.hpp>

#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The trace that the headers of a request name, as a `propagator` extracts it. Pass it to `start_trace`.
///
/// If the sender is trusted, the new trace continues the caller's trace and has its user, session and keys. Otherwise
/// it is a trace of its own with a link to the caller's span. Thread-safety: as `int`.
class incoming_trace {
public:
    /// A request without a caller.
    incoming_trace() noexcept = default;

    /// The caller's span; null if the request names none, or names it in an invalid form.
    [[nodiscard]] const remote_span* caller() const noexcept { return caller_.trace_id.valid() ? &caller_ : nullptr; }
    /// Whether the sender is trusted, so that the new trace continues the caller's trace.
    [[nodiscard]] bool is_trusted() const noexcept { return is_trusted_; }
    /// A value from a trusted sender: `request.get<mt::user>()`.
    template <class Key>
    [[nodiscard]] maybe<Key> get() const noexcept {
        const std::string_view text = metadata(Key::name);
        if (!text.data()) return absent<Key>{};
        const auto value = Key::parse(text);
        return value ? maybe<Key>(*value) : maybe<Key>(absent<Key>{});
    }
    /// The same for a key with this name; a view whose `data()` is null when there is none.
    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept {
        return entries_.find(entry_kind::metadata, key);
    }
    /// The first part of the request that was rejected; null when there is none. `start_trace` reports it.
    [[nodiscard]] const error* rejected() const noexcept {
        return rejected_.kind() == error_kind::none ? nullptr : &rejected_;
    }

    /// All entries from a trusted sender: its values, and `tracestate`.
    [[nodiscard]] const trace_entries& entries() const noexcept { return entries_; }

private:
    template <class, class>
    friend class propagator;

    void reject(error_kind what, std::string_view key) noexcept { reject(error(what, key)); }
    void reject(error why) noexcept {
        if (rejected_.kind() == error_kind::none) rejected_ = std::move(why);
    }

    remote_span caller_{};
    bool is_trusted_ = false;
    error rejected_{};
    trace_entries entries_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
