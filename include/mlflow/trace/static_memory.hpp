// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The umbrella header for the smallest devices: recording into memory whose size is fixed at compile time. See
/// `static_memory_platform`.

#include <mlflow/trace/bare_metal.hpp>
#include <mlflow/trace/static_memory/platform.hpp>
#include <mlflow/trace/static_memory/tracer.hpp>
