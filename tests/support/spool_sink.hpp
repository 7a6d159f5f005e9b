// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

// A receiver that a test can take away, and that refuses what the test says.
namespace spool_testing {

namespace mt = mlflow::trace;

struct sink {
    std::mutex lock;
    std::vector<mt::recorded_trace> traces;
    std::map<std::string, int> times; // by the name of the root
    std::set<std::string> refused;    // names of roots
    std::set<std::string> too_large;  // to be answered in time
    std::size_t calls = 0;
    bool is_away = false;
    bool refuses_all = false;

    [[nodiscard]] std::size_t count() {
        const std::lock_guard guard(lock);
        return times.size();
    }
    // A worker may still deliver what another process left behind.
    [[nodiscard]] int times_of(const std::string& name) {
        const std::lock_guard guard(lock);
        const auto found = times.find(name);
        return found == times.end() ? 0 : found->second;
    }
    void set_away(bool now) {
        const std::lock_guard guard(lock);
        is_away = now;
    }
};

struct sink_exporter {
    struct options {
        std::shared_ptr<sink> into{};
    };
    explicit sink_exporter(options chosen) : into(std::move(chosen.into)) {}

    mt::export_result export_traces(mt::trace_batch& batch) {
        const std::lock_guard guard(into->lock);
        ++into->calls;
        mt::export_result outcome;
        std::vector<mt::recorded_trace> decoded;
        bool refused = into->refuses_all;
        for (const mt::trace_data& trace : batch) {
            decoded.push_back(mt::decode(trace));
            refused = refused || into->refused.contains(decoded.back().spans.at(0).name);
            outcome.too_slow = outcome.too_slow || into->too_large.contains(decoded.back().spans.at(0).name);
        }
        outcome.retryable = into->is_away || outcome.too_slow;
        if (outcome.retryable || refused) {
            outcome.failed_spans = batch.span_count();
            outcome.error = mt::error(mt::error_kind::other, {}, outcome.retryable ? "away" : "refused");
            return outcome;
        }
        for (mt::recorded_trace& trace : decoded) {
            ++into->times[trace.spans.at(0).name];
            into->traces.push_back(std::move(trace));
        }
        outcome.exported_spans = batch.span_count();
        return outcome;
    }
    std::shared_ptr<sink> into;
};

} // namespace spool_testing
