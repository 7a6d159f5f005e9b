// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/core/export_progress.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/options_of.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// One inner exporter of a `batch`, and the amount that it is exporting.
template <class Exporter>
struct batch_sender {
    explicit batch_sender(options_of<Exporter>&& options) : exporter(std::move(options)) {}

    Exporter exporter;
    std::uint64_t from = 0; // the number of the first of these spans, in order of acceptance
    std::size_t spans = 0;
    std::size_t memory = 0;
};

// All inner exporters. Functions that call the exporters are called without the worker's lock, the others with it.
template <class Exporter, std::size_t Count>
class batch_senders {
    using time_point = std::chrono::steady_clock::time_point;

public:
    explicit batch_senders(options_of<Exporter>& options)
        : batch_senders(options, std::make_index_sequence<Count>{}) {}

    [[nodiscard]] batch_sender<Exporter>& operator[](std::size_t number) noexcept { return all_[number]; }

    [[nodiscard]] std::size_t spans() const noexcept {
        std::size_t sum = 0;
        for (const auto& each : all_) sum += each.spans;
        return sum;
    }
    [[nodiscard]] std::size_t memory() const noexcept {
        std::size_t sum = 0;
        for (const auto& each : all_) sum += each.memory;
        return sum;
    }
    // The number up to which every span that left the queue has been exported too.
    [[nodiscard]] std::uint64_t done_of(std::uint64_t taken) const noexcept {
        for (const auto& each : all_)
            if (each.spans != 0 && each.from < taken) taken = each.from;
        return taken;
    }

    void take_others_from(void* from, other_trace* next) noexcept {
        if constexpr (asks_for_others<Exporter>)
            for (auto& each : all_) each.exporter.take_others_from(from, next);
    }
    void interrupt() noexcept {
        if constexpr (interruptible_exporter<Exporter>)
            for (auto& each : all_) each.exporter.interrupt();
    }
    // `flush`, `shutdown` and `account` do nothing unless the inner exporter is a `deferring_exporter`.
    bool flush(time_point deadline) {
        bool complete = true;
        if constexpr (deferring_exporter<Exporter>)
            for (auto& each : all_) complete = each.exporter.flush(deadline) && complete;
        return complete;
    }
    bool shutdown(time_point deadline) {
        bool complete = true;
        if constexpr (deferring_exporter<Exporter>)
            for (auto& each : all_) complete = each.exporter.shutdown(deadline) && complete;
        return complete;
    }
    [[nodiscard]] span_account account() {
        span_account sum;
        if constexpr (deferring_exporter<Exporter>)
            for (auto& each : all_) {
                const span_account one = each.exporter.account();
                sum.exported += one.exported;
                sum.failed += one.failed;
                sum.dropped += one.dropped;
                sum.queued += one.queued;
            }
        return sum;
    }
    [[nodiscard]] error last_error() const {
        if constexpr (reporting_exporter<Exporter>)
            for (const auto& each : all_)
                if (error latest = each.exporter.last_error()) return latest;
        return {};
    }
    [[nodiscard]] export_progress progress() const {
        export_progress sum;
        for (const auto& each : all_) {
            export_progress one = progress_of(each.exporter);
            sum.steps += one.steps;
            if (sum.waits_for.empty()) sum.waits_for = std::move(one.waits_for);
        }
        return sum;
    }

private:
    template <std::size_t... Number>
    batch_senders(options_of<Exporter>& options, std::index_sequence<Number...>)
        : all_{{batch_sender<Exporter>(options_for<Number>(options))...}} {}
    template <std::size_t Number>
    static options_of<Exporter> options_for(options_of<Exporter>& options) {
        if constexpr (Number + 1 == Count) return std::move(options);
        else return options;
    }

    std::array<batch_sender<Exporter>, Count> all_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
