// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/transports/beast_client.hpp>
#include <mlflow/trace/transports/beast_transport.hpp>

/// Defines `beast_transport`, which compiles Boost into each file that includes this header. The alternative is
/// `<mlflow/trace/compiled.hpp>`.
