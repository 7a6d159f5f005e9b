// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/context/current.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/spans/trace.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Sets checked values on the current trace, for code that has no access to the tracer. It does the same as
/// `tracer::update_current_trace`, but checks the schema at run time. Returns false when there is no current trace,
/// or when a value was rejected, which is reported to the tracer of that trace.
template <class Context = thread_local_context, class... Values>
bool update_current_trace(const Values&... values) noexcept {
    (detail::require_allowed<open_schema, Values>(), ...);
    if constexpr ((detail::allowed_in_trace<open_schema, Values> && ...)) {
        const detail::held_context current(detail::slot_of<Context>());
        if (!current.trace()) return current.is_hidden(); // not recorded, on purpose
        detail::open_trace& trace = *current.trace();
        const auto apply_known = [&]<class Value>(const Value& value) {
            if constexpr (metadata_key<typename detail::unwrapped<Value>::type> &&
                          !std::is_same_v<typename detail::unwrapped<Value>::type, client_request_id>) {
                constexpr auto name = detail::unwrapped<Value>::type::name;
                if (!trace.owner->schema_has(name)) {
                    trace.owner->report({error_kind::not_in_schema, name});
                    return false;
                }
            }
            return detail::apply(trace, value);
        };
        return (static_cast<int>(apply_known(values)) & ... & 1) != 0;
    }
    return false;
}

/// The ID of the current trace, for logs; not valid when there is none.
template <class Context = thread_local_context>
[[nodiscard]] trace_id current_trace_id() noexcept {
    const detail::held_context current(detail::slot_of<Context>());
    return current.trace() ? current.trace()->id : trace_id{};
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
