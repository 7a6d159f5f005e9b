// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/declared.hpp>
#include <mlflow/trace/exporters/mlflow.hpp>
#include <mlflow/trace/pipeline/batch.hpp>
#include <mlflow/trace/pipeline/retry.hpp>

/// `to_mlflow` and `to_mlflow_spooled`, which fwd.hpp declares, with what they are made of. The second one needs
/// `<mlflow/trace/spool/spool.hpp>` as well.
