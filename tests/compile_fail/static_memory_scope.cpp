// SPDX-License-Identifier: Apache-2.0
// error: static_memory_platform has no scopes: pass the values to start_trace, or use bare_metal_platform
// recording only: a tracer that is off has scopes
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
using tracer = mt::tracer<mt::open_schema, mt::global_context, mt::framed_exporter<>, mt::record_all,
                          mt::static_memory_platform<board>>;

void use(tracer& traces) {
#ifdef TWIN
    auto trace = traces.start_trace("turn", mt::user{"user-1"});
#else
    traces.scope(mt::user{"user-1"});
#endif
}
