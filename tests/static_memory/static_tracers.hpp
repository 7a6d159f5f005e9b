// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>
#include <mlflow/trace/context/global.hpp>
#include <mlflow/trace/spool/format.hpp>
#include <mlflow/trace/static_memory.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

// What the tests of static_memory_platform share.

namespace static_memory_tests {

namespace mt = mlflow::trace;

struct board {
    static inline std::uint64_t ticks = 0;
    static inline std::uint64_t ids = 0;
    static inline std::recursive_mutex mutex;
    static inline std::vector<std::pair<mt::error_kind, std::string>> reports;

    static std::uint64_t monotonic_nano() noexcept { return ++ticks; }
    static std::uint64_t wall_nano() noexcept { return 1'795'000'000'000'000'000 + ticks; }
    static std::uint64_t random() noexcept { return ++ids * 0x9e3779b97f4a7c15U; }
    static void lock() noexcept { mutex.lock(); }
    static void unlock() noexcept { mutex.unlock(); }
    static void report(const mt::error& error) noexcept { reports.emplace_back(error.kind(), error.about()); }
};

// Decodes each record, as a gateway does. `room` is how many records there is room for.
struct kept_records {
    struct options {
        std::vector<mt::recorded_trace>* into = nullptr;
        std::size_t* room = nullptr;
        std::string* last_body = nullptr; // of the root span
    };
    explicit kept_records(options chosen) noexcept : options_(chosen) {}

    bool export_record(const mt::trace_record& trace) noexcept {
        if (options_.room && (*options_.room)-- == 0) return false;
        mt::record_sink counted;
        trace.write(counted);
        std::vector<char> memory(counted.size() + mt::record_ring::cost);
        mt::record_ring ring(memory, mt::ring_full::drop_newest);
        if (!ring.begin(counted.size(), [](mt::record_ring::place) {})) std::abort();
        mt::record_sink sink(ring);
        trace.write(sink);
        ring.end();
        mt::trace_data* const decoded = mt::detail::spool_format::decode_record(ring.bytes(ring.front()).first);
        if (!decoded || decoded->span_count != trace.span_count()) std::abort();
        const mt::trace_batch owner(decoded);
        options_.into->push_back(mt::decode(*decoded));
        if (options_.last_body) *options_.last_body = decoded->root->body.view();
        return true;
    }

private:
    options options_;
};

template <mt::static_sizes Sizes, class Context = mt::global_context, class Schema = mt::open_schema,
          class Recording = mt::record_all>
using static_tracer = mt::tracer<Schema, Context, kept_records, Recording, mt::static_memory_platform<board, Sizes>>;

} // namespace static_memory_tests
