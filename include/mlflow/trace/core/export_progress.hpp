// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>
#include <mlflow/trace/memory/machine.hpp>

#include <cstdint>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// How far an exporter is with what it was given, for those that wait for it. An exporter whose exports take long has
/// `export_progress progress() const`, thread-safe.
struct export_progress {
    std::uint64_t steps = 0; ///< grows whenever the receiver has taken something, also in the middle of an export
    owned_text
        waits_for{}; ///< what is still to do of the export under way, for a person; empty where it need not be said
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
