// SPDX-License-Identifier: Apache-2.0
// <mlflow/trace/transports/beast.hpp> as a module.
module;

#include <mlflow/trace/transports/beast.hpp>

export module mlflow.trace.beast;

export import mlflow.trace;

export namespace mlflow::trace {

using mlflow::trace::beast_transport;

} // namespace mlflow::trace
