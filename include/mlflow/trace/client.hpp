// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Finds and analyses recorded traces, on an MLflow server or in a local file. Not part of <mlflow/trace.hpp>,
/// because it needs nlohmann/json and, for a server, a transport such as <mlflow/trace/transports/beast.hpp>.

#include <mlflow/trace/client/analysis.hpp>
#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/export.hpp>
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/filter_parser.hpp>
#include <mlflow/trace/client/intervals.hpp>
#include <mlflow/trace/client/sessions.hpp>
#include <mlflow/trace/client/trace_file.hpp>
