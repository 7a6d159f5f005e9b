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

// What was current at one place, to be attached elsewhere. Never changed, so threads share it.
struct captured_contents {
    struct span_place {
        open_trace* trace = nullptr; // held; null: not recorded, nor is what starts inside it
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
    span_place* spans = nullptr;   // the innermost of each tracer
    scope_place* scopes = nullptr; // the innermost first

    void retain() noexcept { references.fetch_add(1, memory_order_relaxed); }
    static void release([[maybe_unused]] captured_contents* contents) noexcept {
#if MLFLOW_TRACE_HOSTED // elsewhere nothing is captured, and there is no `operator delete`
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
#endif
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
