// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/core/span_data.hpp>
#include <mlflow/trace/detail/cancellation.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Protects a caller that runs code of the application for a span. That code may record on the span, end the span,
// whose memory is then reused, or destroy the tracer, which this object keeps alive.
class span_watch {
public:
    explicit span_watch(span_data& span) noexcept : span_(&span), owner_(*span.trace->owner), outer_(span.watched) {
        owner_.retain();
        span.watched = this;
    }
    span_watch(const span_watch&) = delete;
    span_watch& operator=(const span_watch&) = delete;
    ~span_watch() {
        if (span_)
            for (span_watch** link = &span_->watched; *link; link = &(*link)->outer_)
                if (*link == this) {
                    *link = outer_;
                    break;
                }
        owner_.release();
    }

    // Null once the span has ended.
    [[nodiscard]] span_data* span() const noexcept { return span_; }
    void report(const error& error) const noexcept { owner_.report(error); }

    // Called when the span ends.
    static void release(span_data& span) noexcept {
        while (span.watched) {
            span.watched->span_ = nullptr;
            span.watched = span.watched->outer_;
        }
    }

private:
    span_data* span_;
    recorder& owner_;
    span_watch* outer_;
    without_cancellation whole_; // such code may be a cancellation point, and its caller is noexcept
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
