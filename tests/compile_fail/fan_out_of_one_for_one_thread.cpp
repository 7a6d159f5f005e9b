// SPDX-License-Identifier: Apache-2.0
// error: fan_out: a deferring inner exporter must be thread-safe; it lacks a member
// recording only: where the exporter is made; a tracer that is off makes none
#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>

namespace mt = mlflow::trace;
template <class Exporter>
struct own : mt::exporter_adaptor<Exporter> {
#ifdef TWIN
    static constexpr bool is_thread_safe = mt::thread_safe_exporter<Exporter>;
#endif
    struct options {
        typename mt::exporter_adaptor<Exporter>::inner_options exporter{};
    };
    explicit own(options chosen) : mt::exporter_adaptor<Exporter>(std::move(chosen.exporter)) {}
};
mt::tracer<mt::open_schema, mt::thread_local_context, mt::fan_out<own<mt::batch<mt::memory_exporter>>>> tracer;
