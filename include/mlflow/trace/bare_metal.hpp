// SPDX-License-Identifier: Apache-2.0
#pragma once

/// The umbrella header for devices without an operating system: everything for recording that works without one. See
/// `bare_metal_platform`.

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/context/explicit.hpp>
#include <mlflow/trace/context/global.hpp>
#include <mlflow/trace/metadata/schema.hpp>
#include <mlflow/trace/metadata/tag.hpp>
#include <mlflow/trace/platform/arena.hpp>
#include <mlflow/trace/platform/bare_metal.hpp>
#include <mlflow/trace/recording/policy.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/spans/traced.hpp>
#include <mlflow/trace/spans/tracer.hpp>
