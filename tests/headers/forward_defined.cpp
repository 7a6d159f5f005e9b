// SPDX-License-Identifier: Apache-2.0
// The same types with all headers: what forward.hpp declares is what they define, and the parts of the program link.
#include "forward.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/context/global.hpp>
#include <mlflow/trace/exporters/otlp.hpp>
#include <mlflow/trace/exporters/otlp_metrics.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/platform/bare_metal.hpp>
#include <mlflow/trace/spans/attachment.hpp>
#include <mlflow/trace/spans/chat.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/gzip.hpp>
#include <mlflow/trace/transports/memory.hpp>
#include <mlflow/trace/web/propagation.hpp>
#include <mlflow/trace/web/sessions.hpp>

#include <type_traits>
#include <utility>

struct segment : mt::key_of<segment, "app.segment"> {
    using key_of::key_of;
};

static_assert(std::is_same_v<app_tracer::trace, app_trace> && std::is_same_v<app_tracer::span, app_span>);
static_assert(std::is_same_v<mt::batch<mt::memory_exporter>, mt::batch<mt::memory_exporter, 1>>);
static_assert(std::is_same_v<mt::tracer<>, mt::tracer<mt::open_schema, mt::thread_local_context,
                                                      mt::json_lines_exporter, mt::record_all, mt::hosted_platform>>);
static_assert(mt::exporter<mt::to_mlflow<mt::memory_transport>> &&
              mt::exporter<mt::to_mlflow_spooled<mt::memory_transport>>);

app_trace start(app_tracer& traces, const mt::user& user, const mt::session& session) {
    return traces.start_trace("chat", user, session);
}
mt::trace_id id_of(const app_span& span) { return span.trace_id(); }
mt::result<mt::user> user_of(const mt::http_request& request) { return mt::user::parse(request.body); }
std::size_t count_in(const mt::recorded_trace& trace, const mt::span_account& account) {
    return trace.spans.size() + account.exported;
}

int main() {
    app_tracer traces;
    {
        const app_trace trace = start(traces, mt::user("u-1"), mt::session("s-1"));
        if (!id_of(trace).valid() || !user_of({.body = "u-2"})) return 1;
    }
    if (!traces.flush(std::chrono::seconds(10))) return 2;
    const auto taken = traces.get<mt::memory_exporter>().take();
    return taken.size() == 1 && spans_of({&traces, taken[0], traces.account()}) == 2 ? 0 : 3;
}
