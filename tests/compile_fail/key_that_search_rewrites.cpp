// SPDX-License-Identifier: Apache-2.0
// error: MLflow.s search uses this name for one of its own attributes: add a prefix
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::key<"app.name"> value{"s"};
#else
mt::key<"name"> value{"s"};
#endif
