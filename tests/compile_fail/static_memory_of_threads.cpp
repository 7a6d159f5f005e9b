// SPDX-License-Identifier: Apache-2.0
// error: static_memory_platform has one main loop: use mt::explicit_context or mt::global_context
// recording only: a tracer that is off has no context
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
using context = mt::explicit_context;
#else
using context = mt::thread_local_context;
#endif
using tracer =
    mt::tracer<mt::open_schema, context, mt::framed_exporter<>, mt::record_all, mt::static_memory_platform<board>>;

void use(tracer& traces) { auto trace = traces.start_trace("turn"); }
