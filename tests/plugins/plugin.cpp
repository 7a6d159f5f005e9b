// SPDX-License-Identifier: Apache-2.0
#include "plugin.hpp"

#include <thread>

namespace mt = mlflow::trace;

namespace {

plugin_tracer own_tracer;

plugin_tracer& given(void* tracer) { return *static_cast<plugin_tracer*>(tracer); }

void step(void* tracer) {
    auto outer = given(tracer).start_span("plugin step");
    auto inner = given(tracer).start_span("inside the step");
    inner.attribute("in", "plugin");
}
void step_in_scope(void* tracer) {
    const auto scope = given(tracer).scope(mt::tag{"scope", "plugin"});
    auto span = given(tracer).start_span("plugin in scope");
}
bool tag(void* tracer) { return given(tracer).update_current_trace(mt::tag{"by", "plugin"}); }
bool tag_without_tracer() { return mt::update_current_trace(mt::tag{"by", "nobody"}); }
void step_on_a_thread(void* tracer) {
    std::thread(given(tracer).bind([tracer] { auto span = given(tracer).start_span("plugin thread"); })).join();
}
void off(void* tracer) {
    const auto nothing = given(tracer).untraced();
    auto span = given(tracer).start_span("hidden");
}
void start(void* tracer, void* span) {
    *static_cast<plugin_span*>(span) = given(tracer).start_span("left by the plugin");
}
std::uint64_t refused_values(void* tracer) { return given(tracer).refused_values(); }
bool own() {
    auto trace = own_tracer.start_trace("own", mt::user{"plugin"}, mt::no_session);
    auto span = own_tracer.start_span("inner");
    return mt::current_trace_id() == trace.trace_id();
}
unsigned long own_traces() { return own_tracer.exporter().take().size(); }

} // namespace

extern "C" __attribute__((visibility("default")))
const plugin_functions functions{&step,  &step_in_scope,  &tag, &tag_without_tracer, &step_on_a_thread, &off,
                                 &start, &refused_values, &own, &own_traces};
