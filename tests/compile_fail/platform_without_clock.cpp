// SPDX-License-Identifier: Apache-2.0
// error: the platform lacks one of: wall_nano
#include <mlflow/trace.hpp>

namespace mt = mlflow::trace;
struct own {
    struct mutex {
        void lock() {}
        void unlock() {}
    };
    static void report(const mt::error&) noexcept {}
#ifdef TWIN
    static std::uint64_t wall_nano() { return 1; }
#endif
    static std::uint64_t monotonic_nano() { return 1; }
    static mt::trace_id new_trace_id() { return {1, 1}; }
    static mt::span_id new_span_id() { return {1}; }
};
mt::tracer<mt::open_schema, mt::thread_local_context, mt::json_lines_exporter, mt::record_all, own> tracer;
