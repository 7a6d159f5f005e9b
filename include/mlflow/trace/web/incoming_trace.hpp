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

/// What a request says of the trace that it belongs to, as a `propagator` has found it; to be given to `start_trace`.
///
/// From a sender that is trusted, the new trace is a part of the caller's and has its user, session and keys. From
/// any other it is a trace of its own with a link to the caller's span. Thread-safety: as `int`.
class incoming_trace {
public:
    /// A request that says nothing.
    incoming_trace() noexcept = default;

    /// The caller's span; null where the request names none, or not in the right form.
    [[nodiscard]] const remote_span* caller() const noexcept { return caller_.trace_id.valid() ? &caller_ : nullptr; }
    /// Is the sender one that is known, so that the caller's trace goes on here?
    [[nodiscard]] bool is_trusted() const noexcept { return is_trusted_; }
    /// A value that came from a sender that is trusted: `request.get<mt::user>()`.
    template <class Key>
    [[nodiscard]] maybe<Key> get() const noexcept {
        const std::string_view text = metadata(Key::name);
        if (!text.data()) return absent<Key>{};
        const auto value = Key::parse(text);
        return value ? maybe<Key>(*value) : maybe<Key>(absent<Key>{});
    }
    /// The same for a key by its name; a view whose `data()` is null where there is none.
    [[nodiscard]] std::string_view metadata(std::string_view key) const noexcept {
        return entries_.find(entry_kind::metadata, key);
    }
    /// What of the request was not taken, and why; null when nothing was. `start_trace` reports it.
    [[nodiscard]] const error* rejected() const noexcept {
        return rejected_.kind() == error_kind::none ? nullptr : &rejected_;
    }

    /// All that the caller says of the trace.
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
