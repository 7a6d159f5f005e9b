// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/exporters/mlflow.hpp>
#include <mlflow/trace/pipeline/batch.hpp>
#include <mlflow/trace/pipeline/retry.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

struct posix_files;
template <class Exporter, class Files>
class spool;

/// Delivers to MLflow by a thread of its own, many traces in one request, and again when the server was away.
template <class Transport>
using to_mlflow = batch<retry<mlflow_exporter<Transport>>>;

/// The same, and safe on the disk as soon as a trace has ended: also over a crash of the process. Needs
/// `<mlflow/trace/spool/spool.hpp>`.
template <class Transport>
using to_mlflow_spooled = spool<mlflow_exporter<Transport>, posix_files>;

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
