// SPDX-License-Identifier: Apache-2.0
// error: write mt::recording_policy<mt::parent_based<sampler>, redactor>
// recording only: of another recording policy
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
using secrets = mt::redact_keys<"password">;
#ifdef TWIN
using recording = mt::recording_policy<mt::parent_based<>, secrets>;
#else
using recording = mt::parent_based<mt::recording_policy<mt::record_all, secrets>>;
#endif
mt::tracer<mt::open_schema, mt::thread_local_context, mt::json_lines_exporter, recording> tracer;
