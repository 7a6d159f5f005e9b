// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How far an exporter has got with an export, for callers that wait for it. An exporter whose exports take long has
/// a thread-safe `export_progress progress() const`.
struct export_progress {
    std::uint64_t steps = 0; ///< grows whenever the receiver has accepted something, also during an export
    owned_text
        waits_for{}; ///< what remains of the current export, for a person to read; empty if there is nothing to add
};

namespace detail {

template <class Exporter>
export_progress progress_of(const Exporter& exporter) {
    if constexpr (requires { exporter.progress(); }) return exporter.progress();
    else return {};
}

} // namespace detail

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
