// SPDX-License-Identifier: Apache-2.0
// error: MLflow.s search takes this name for an attribute of its own: add a prefix
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::key<"app.name"> value{"s"};
#else
mt::key<"name"> value{"s"};
#endif
