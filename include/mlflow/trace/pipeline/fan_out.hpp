// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/packed.hpp>
#include <mlflow/trace/detail/layers.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/pipeline/batch.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

template <class Exporter>
struct deferred_impl {
    using type = batch<Exporter>;
};
template <deferring_exporter Exporter>
struct deferred_impl<Exporter> {
    using type = Exporter;
};
// An exporter that does not hold who calls it: itself where it defers already, else in a `batch`.
template <class Exporter>
using deferred = typename deferred_impl<Exporter>::type;

} // namespace detail

/// Hands each trace to several exporters, none of which holds up another: `fan_out<spool<A>, batch<retry<B>>, C>`.
///
/// An exporter that does not defer, such as `C`, gets a `batch` of its own with the options `batch_options<C>`. Each
/// has a copy of the trace, which the recording thread makes, the last one the trace itself. A trace counts as
/// exported, failed or dropped when the first exporter says so; `accounts` tells of each. Thread-safety: all
/// functions, from any thread.
template <class... Exporters>
class fan_out {
    static_assert(sizeof...(Exporters) > 0, "fan_out: name the exporters, fan_out<A, B>");
    static_assert((exporter<Exporters> && ...), "fan_out: an inner exporter lacks a member: export_result "
                                                "export_traces(mlflow::trace::trace_batch&)");
    static_assert((detail::has_whole_concepts<Exporters>() && ...));

    using clock = std::chrono::steady_clock;
    static constexpr std::size_t count = sizeof...(Exporters);

public:
    static constexpr bool is_thread_safe = true;
    static constexpr bool composes =
        (mlflow::trace::composes<Exporters> && ...) && (thread_safe_exporter<detail::deferred<Exporters>> && ...);
    static constexpr bool retries = (retrying_exporter<Exporters> || ...);

    struct options {
        /// In the order of the exporters: `{.exporters = {spool_options<A>{…}, batch_options<retry<B>>{…}, …}}`.
        std::tuple<detail::options_of<detail::deferred<Exporters>>...> exporters{};

        template <class Visit>
        void for_each(const Visit& visit) {
            std::apply([&](auto&... each) { (visit(each), ...); }, exporters);
        }
    };

    fan_out() : fan_out(options{}) {}
    explicit fan_out(options chosen)
        : fan_out(std::move(chosen.exporters), std::index_sequence_for<Exporters...>{}) {}

    export_result export_traces(trace_batch& traces) noexcept {
        std::size_t left = count;
        for_each([&](auto& each) {
            if (--left == 0) each.take(traces);
            else each.take_copies(traces);
        });
        return {};
    }

    /// Waits until each exporter has handed on what came before; false when one has not at the deadline.
    bool flush(clock::time_point deadline) {
        for_each([](auto& each) { each.exporter.flush(clock::now()); }); // all start at once
        bool complete = true;
        for_each([&](auto& each) { complete = each.exporter.flush(deadline) && complete; });
        return complete;
    }
    /// A last flush; what comes later is dropped.
    bool shutdown(clock::time_point deadline) {
        bool complete = flush(deadline);
        for_each([&](auto& each) { complete = each.exporter.shutdown(deadline) && complete; });
        return complete;
    }

    /// Of the first exporter.
    [[nodiscard]] span_account account() { return std::get<0>(destinations_).account(); }
    /// Of each exporter. `started` and `open` are the tracer's to know.
    [[nodiscard]] std::array<span_account, count> accounts() {
        return std::apply([](auto&... each) { return std::array<span_account, count>{each.account()...}; },
                          destinations_);
    }
    /// Why an exporter last failed, those of several joined by "; "; empty when none ever did.
    [[nodiscard]] std::string last_error() const {
        std::string all;
        const auto add = [&all](const auto& each) {
            if constexpr (reporting_exporter<std::remove_cvref_t<decltype(each.exporter)>>)
                if (const std::string error = each.exporter.last_error(); !error.empty())
                    all += all.empty() ? error : "; " + error;
        };
        std::apply([&](const auto&... each) { (add(each), ...); }, destinations_);
        return all;
    }

    /// By the first exporter that knows a page.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        std::string url;
        const auto ask = [&](const auto& each) {
            if constexpr (linking_exporter<std::remove_cvref_t<decltype(each.exporter)>>)
                if (url.empty()) url = each.exporter.trace_url(id);
        };
        std::apply([&](const auto&... each) { (ask(each), ...); }, destinations_);
        return url;
    }

    /// The exporter of that place, or the `batch` around it.
    template <std::size_t Place>
    [[nodiscard]] auto& exporter() noexcept {
        return std::get<Place>(destinations_).exporter;
    }

    using layers = detail::type_list<detail::deferred<Exporters>...>;
    /// The exporter of that type, wherever it stands.
    template <class Layer>
    [[nodiscard]] Layer& layer() {
        Layer* found = nullptr;
        for_each([&](auto& each) {
            if constexpr (detail::count_layers<Layer, std::remove_cvref_t<decltype(each.exporter)>>() > 0)
                found = &detail::layer_of<Layer>(each.exporter);
        });
        return *found;
    }

private:
    template <class Chosen, std::size_t... Places>
    fan_out(Chosen&& chosen, std::index_sequence<Places...>)
        : destinations_(std::get<Places>(std::move(chosen))...) {}

    template <class Exporter>
    struct destination {
        explicit destination(detail::options_of<Exporter>&& chosen) : exporter(std::move(chosen)) {
            static_assert(thread_safe_exporter<Exporter>,
                          "fan_out: an inner exporter that defers is called from any thread, and lacks a member: "
                          "static constexpr bool is_thread_safe = true");
        }

        void take(trace_batch& traces) noexcept {
            lost.fetch_add(detail::uncounted_export(exporter, traces).failed_spans, std::memory_order_relaxed);
        }
        void take_copies(const trace_batch& traces) noexcept {
            trace_batch copies;
            for (const trace_data& trace : traces)
                if (trace_data* const copy = detail::copy_of(trace)) copies.push_back(copy);
                else lost.fetch_add(trace.span_count, std::memory_order_relaxed);
            take(copies);
        }
        span_account account() {
            span_account counted = exporter.account();
            counted.dropped += lost.load(std::memory_order_relaxed);
            return counted;
        }

        Exporter exporter;
        std::atomic<std::size_t> lost{0}; // spans for whose copy there was no memory, or that the exporter threw
    };

    template <class Visit>
    void for_each(const Visit& visit) {
        std::apply([&](auto&... each) { (visit(each), ...); }, destinations_);
    }

    std::tuple<destination<detail::deferred<Exporters>>...> destinations_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
