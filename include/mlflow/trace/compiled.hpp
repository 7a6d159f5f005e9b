// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/to_mlflow.hpp>
#include <mlflow/trace/transports/beast_transport.hpp>

/// Declares `beast_transport` and `to_mlflow<beast_transport>` without compiling them. Include this header in place
/// of
/// `<mlflow/trace/transports/beast.hpp>`, and compile `mlflow/trace/compiled.cpp` once, or link the CMake target
/// `mlflow_trace::compiled`.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

extern template struct detail::over_beast::client_access<detail::over_beast::client>;
extern template class mlflow_exporter<beast_transport>;
extern template class retry<mlflow_exporter<beast_transport>>;
extern template class batch<retry<mlflow_exporter<beast_transport>>>;

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
