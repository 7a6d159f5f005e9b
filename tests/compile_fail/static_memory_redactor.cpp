// SPDX-License-Identifier: Apache-2.0
// error: static_memory_platform has no redactors and no recording_limits
// recording only: a tracer that is off has no redactor
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
using policy = mt::record_all;
#else
using policy = mt::recording_policy<mt::record_all, mt::redact_content<>>;
#endif
using tracer =
    mt::tracer<mt::open_schema, mt::global_context, mt::framed_exporter<>, policy, mt::static_memory_platform<board>>;

void use(tracer& traces) { auto trace = traces.start_trace("turn"); }
