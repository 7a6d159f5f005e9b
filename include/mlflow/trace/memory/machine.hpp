// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/memory/board_machine.hpp>
#include <mlflow/trace/memory/hosted_machine.hpp>
#include <mlflow/trace/memory/locks.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Locks and memory for recording. All tracers of a process use the same ones, because their traces share the pools.
#if MLFLOW_TRACE_HOSTED
using machine = hosted_machine;
#else
using machine = board_machine;
#endif

} // namespace detail

/// A text that the library returns: a copy, or on a freestanding target, which has no heap, a view of static storage.
using owned_text = detail::machine::text;

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
