// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/exporters/mlflow.hpp>
#include <mlflow/trace/pipeline/batch.hpp>
#include <mlflow/trace/pipeline/retry.hpp>

/// Defines what `to_mlflow` needs, which declared.hpp declares. `to_mlflow_spooled` needs
/// `<mlflow/trace/spool/spool.hpp>` as well.
