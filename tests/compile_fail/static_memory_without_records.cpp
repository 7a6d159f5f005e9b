// SPDX-License-Identifier: Apache-2.0
// error: static_memory_platform passes records: the exporter lacks a member bool export_record
// recording only: no exporter is made otherwise
#include <mlflow/trace/device/framed.hpp>
#include <mlflow/trace/static_memory.hpp>

namespace mt = mlflow::trace;

struct board {
    static std::uint64_t wall_nano() noexcept;
    static std::uint64_t monotonic_nano() noexcept;
    static std::uint64_t random() noexcept;
    static void lock() noexcept;
    static void unlock() noexcept;
    static void report(const mt::error&) noexcept;
};
#ifdef TWIN
using exporter = mt::framed_exporter<>;
#else
struct exporter {
    static mt::export_result export_traces(mt::trace_batch& batch);
};
#endif
using tracer =
    mt::tracer<mt::open_schema, mt::global_context, exporter, mt::record_all, mt::static_memory_platform<board>>;

void use(tracer& traces) { auto trace = traces.start_trace("turn"); }
