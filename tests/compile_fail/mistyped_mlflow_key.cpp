// SPDX-License-Identifier: Apache-2.0
// error: mlflow\.\* keys belong to MLflow: use mt::user, mt::session
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
#ifdef TWIN
mt::key<"app.sesion"> value{"s"};
#else
mt::key<"mlflow.trace.sesion"> value{"s"};
#endif
