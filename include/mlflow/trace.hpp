// SPDX-License-Identifier: Apache-2.0
#pragma once

/// mlflow_trace records what a GenAI application does for each of its users and sessions, and delivers it to MLflow.
/// This umbrella header includes everything that needs no other library. `mlflow/trace/transports/beast.hpp` and
/// `mlflow/trace/context/asio.hpp`, for example, are separate.

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/config.hpp>
#include <mlflow/trace/context/coroutine.hpp>
#include <mlflow/trace/context/coroutine_context.hpp>
#include <mlflow/trace/context/explicit.hpp>
#include <mlflow/trace/context/thread_local.hpp>
#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/exporters/json_lines.hpp>
#include <mlflow/trace/exporters/memory.hpp>
#include <mlflow/trace/exporters/mlflow.hpp>
#include <mlflow/trace/metadata/pseudonym.hpp>
#include <mlflow/trace/metadata/schema.hpp>
#include <mlflow/trace/metadata/tag.hpp>
#include <mlflow/trace/pipeline/batch.hpp>
#include <mlflow/trace/pipeline/deployment.hpp>
#include <mlflow/trace/pipeline/retry.hpp>
#include <mlflow/trace/platform/hosted.hpp>
#include <mlflow/trace/recording/policy.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/recording/session_ratio.hpp>
#include <mlflow/trace/spans/capture.hpp>
#include <mlflow/trace/spans/current_trace.hpp>
#include <mlflow/trace/spans/traced.hpp>
#include <mlflow/trace/spans/tracer.hpp>
#include <mlflow/trace/spans/tracer_off.hpp>
#include <mlflow/trace/to_mlflow.hpp>
#include <mlflow/trace/web/headers.hpp>
