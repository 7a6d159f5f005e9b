// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/core/trace_entries.hpp>
#include <mlflow/trace/detail/atomic.hpp>

#include <cstdint>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The captured context of one place, to be attached elsewhere. It never changes, so threads share it.
struct captured_contents {
    struct span_place {
        open_trace* trace = nullptr; // held; null where nothing is recorded, neither this span nor its children
        tracer_identity owner = 0;
        span_id id;
        bool everything_is_off = false;
        span_place* outer = nullptr;
    };
    struct scope_place {
        tracer_identity owner = 0;
        trace_entries entries;
        scope_place* outer = nullptr;
    };

    atomic<std::uint32_t> references{1};
    span_place* spans = nullptr;   // the innermost span of each tracer
    scope_place* scopes = nullptr; // innermost first

    void retain() noexcept { references.fetch_add(1, memory_order_relaxed); }
    static void release(captured_contents* contents) noexcept {
        if constexpr (machine::has_heap) free(contents); // where there is no heap, nothing is captured
    }

private:
    static void free(captured_contents* contents) noexcept {
        if (!contents || contents->references.fetch_sub(1, memory_order_acq_rel) != 1) return;
        while (span_place* const span = contents->spans) {
            contents->spans = span->outer;
            if (span->trace) release_trace(*span->trace);
            delete span;
        }
        while (scope_place* const scope = contents->scopes) {
            contents->scopes = scope->outer;
            delete scope;
        }
        delete contents;
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
