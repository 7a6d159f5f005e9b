// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/pipeline/spool_segment.hpp>
