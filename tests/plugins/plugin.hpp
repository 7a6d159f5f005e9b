// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>

#include <cstdint>

// What the program and its plugins share. They are built apart, as the program and an extension of it are.
#ifdef MLFLOW_TRACE_SPELLED_IN_FULL
using plugin_tracer =
    mlflow::trace::tracer<mlflow::trace::open_schema, mlflow::trace::thread_local_context,
                          mlflow::trace::memory_exporter, mlflow::trace::record_all, mlflow::trace::hosted_platform>;
#else
using plugin_tracer = mlflow::trace::tracer<mlflow::trace::open_schema, mlflow::trace::thread_local_context,
                                            mlflow::trace::memory_exporter>;
#endif
using plugin_span = plugin_tracer::span;

struct plugin_functions {
    void (*step)(void* tracer);              // a span, with another one inside
    void (*step_in_scope)(void* tracer);     // gives the open trace a tag, by a scope
    bool (*tag)(void* tracer);               // by the tracer
    bool (*tag_without_tracer)();            // by the free function
    void (*step_on_a_thread)(void* tracer);  // by tracer.bind
    void (*off)(void* tracer);               // a span that is not recorded
    void (*start)(void* tracer, void* span); // leaves it in the program's object
    std::uint64_t (*refused_values)(void* tracer);
    bool (*own)(); // a trace by a tracer of the plugin's own; is it current?
    unsigned long (*own_traces)();
};
