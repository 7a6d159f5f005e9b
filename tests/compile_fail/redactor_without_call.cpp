// SPDX-License-Identifier: Apache-2.0
// error: the redactor lacks a member: mlflow::trace::redaction operator\(\)
// recording only: of another recording policy
#include <mlflow/trace.hpp>

#include <string>

namespace mt = mlflow::trace;

struct hide_all {
#ifdef TWIN
    mt::redaction operator()(std::string_view, std::string_view) const { return mt::redaction::remove(); }
#else
    std::string operator()(std::string_view, std::string_view) const { return {}; }
#endif
};

using recording = mt::recording_policy<mt::record_all, hide_all>;
mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, recording> tracer;
