// SPDX-License-Identifier: Apache-2.0
// Compiled once into a program whose files include <mlflow/trace/compiled.hpp>.
#include <mlflow/trace/compiled.hpp>
#include <mlflow/trace/transports/beast_client.hpp>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

template struct detail::over_beast::client_access<detail::over_beast::client>;
template class mlflow_exporter<beast_transport>;
template class retry<mlflow_exporter<beast_transport>>;
template class batch<retry<mlflow_exporter<beast_transport>>>;

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
