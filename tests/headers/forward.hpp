// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/fwd.hpp>

#include <cstddef>

namespace mt = mlflow::trace;

struct segment;
using app_schema =
    mt::schema<mt::required<mt::user>, mt::propagated<mt::required<mt::session>>, mt::optional<segment>>;
using app_tracer = mt::tracer<app_schema, mt::thread_local_context, mt::batch<mt::memory_exporter>>;
using app_trace = mt::basic_trace<app_schema, mt::thread_local_context, mt::hosted_platform>;
using app_span = mt::basic_span<mt::thread_local_context, mt::hosted_platform>;

struct parts {
    app_tracer* traces;
    const mt::recorded_trace& trace;
    const mt::span_account& account;
};

app_trace start(app_tracer& traces, const mt::user& user, const mt::session& session);
mt::trace_id id_of(const app_span& span);
mt::result<mt::user> user_of(const mt::http_request& request);
std::size_t count_in(const mt::recorded_trace& trace, const mt::span_account& account);
std::size_t spans_of(const parts& all);
