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
// The exporter itself if it defers, otherwise a `batch` that wraps it: its callers never wait for delivery.
template <class Exporter>
using deferred = typename deferred_impl<Exporter>::type;

} // namespace detail

/// Exports each trace to several exporters that do not block one another: `fan_out<spool<A>, batch<retry<B>>, C>`.
///
/// An exporter that does not defer, such as `C`, is wrapped in its own `batch`, with the options `batch_options<C>`.
/// The last exporter gets the trace itself; the recording thread copies it for each of the others. `account` has the
/// counts of the first exporter, `accounts` those of each.
///
/// Errors: `export_traces` does not throw. If memory for a copy runs out, or an exporter throws, that exporter has
/// dropped the spans.
///
/// Thread-safety: all functions may be called from any thread.
template <class... Exporters>
class fan_out {
    static_assert(sizeof...(Exporters) > 0, "fan_out: name the exporters, fan_out<A, B>");
    static_assert((detail::has_whole_concepts<Exporters>() && ...));
    static_assert((exporter<Exporters> && ...), "fan_out: an inner exporter lacks a member: export_result "
                                                "export_traces(mlflow::trace::trace_batch&)");

    using clock = std::chrono::steady_clock;
    static constexpr std::size_t count = sizeof...(Exporters);

public:
    static constexpr bool is_thread_safe = true; ///< see `thread_safe_exporter`
    /// See `composes` in concepts.hpp.
    static constexpr bool composes =
        (mlflow::trace::composes<Exporters> && ...) && (thread_safe_exporter<detail::deferred<Exporters>> && ...);
    static constexpr bool retries = (retrying_exporter<Exporters> || ...); ///< see `retrying_exporter`

    /// Options of `fan_out`.
    struct options {
        /// One per exporter, in the same order: `{.exporters = {spool_options<A>{…}, batch_options<retry<B>>{…},
        /// …}}`.
        std::tuple<detail::options_of<detail::deferred<Exporters>>...> exporters{};

        /// Calls `visit` with the options of each exporter.
        template <class Visit>
        void for_each(const Visit& visit) {
            std::apply([&](auto&... each) { (visit(each), ...); }, exporters);
        }
    };

    /// Constructs each exporter from its options.
    fan_out() : fan_out(options{}) {}
    /// Constructs each exporter from its options.
    explicit fan_out(options chosen)
        : fan_out(std::move(chosen.exporters), std::index_sequence_for<Exporters...>{}) {}

    /// Passes the traces to each exporter.
    export_result export_traces(trace_batch& traces) noexcept {
        std::size_t left = count;
        for_each([&](auto& each) {
            if (--left == 0) each.take(traces);
            else each.take_copies(traces);
        });
        return {};
    }

    /// Flushes each exporter. Returns false if one of them is not done at the deadline.
    bool flush(clock::time_point deadline) {
        for_each([](auto& each) { each.exporter.flush(clock::now()); }); // all begin before the first is waited for
        bool complete = true;
        for_each([&](auto& each) { complete = each.exporter.flush(deadline) && complete; });
        return complete;
    }
    /// A final flush, after which traces are dropped. Returns false if an exporter is not done at the deadline.
    bool shutdown(clock::time_point deadline) {
        bool complete = flush(deadline);
        for_each([&](auto& each) { complete = each.exporter.shutdown(deadline) && complete; });
        return complete;
    }

    /// The counts of the first exporter.
    [[nodiscard]] span_account account() { return std::get<0>(destinations_).account(); }
    /// The counts of each exporter, without `started` and `open`, which the tracer counts.
    [[nodiscard]] std::array<span_account, count> accounts() {
        return std::apply([](auto&... each) { return std::array<span_account, count>{each.account()...}; },
                          destinations_);
    }
    /// The `last_error` of the first exporter that has one, with the messages of all, joined by "; ".
    [[nodiscard]] error last_error() const {
        error all;
        const auto add = [&all](const auto& each) {
            if constexpr (reporting_exporter<std::remove_cvref_t<decltype(each.exporter)>>)
                if (const error one = each.exporter.last_error())
                    all = all ? all.with_message(all.message() + "; " + one.message()) : one;
        };
        std::apply([&](const auto&... each) { (add(each), ...); }, destinations_);
        return all;
    }

    /// The page of the trace, from the first exporter that has one; empty if none has.
    [[nodiscard]] std::string trace_url(const trace_id& id) const {
        std::string url;
        const auto ask = [&](const auto& each) {
            if constexpr (linking_exporter<std::remove_cvref_t<decltype(each.exporter)>>)
                if (url.empty()) url = each.exporter.trace_url(id);
        };
        std::apply([&](const auto&... each) { (ask(each), ...); }, destinations_);
        return url;
    }

    /// The exporter at this position, or the `batch` that wraps it.
    template <std::size_t Place>
    [[nodiscard]] auto& exporter() noexcept {
        return std::get<Place>(destinations_).exporter;
    }

    /// The exporters, each with the `batch` that was added.
    using layers = detail::type_list<detail::deferred<Exporters>...>;
    /// The exporter of type `Layer` among these and their inner exporters.
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
        : destinations_(std::get<Places>(std::forward<Chosen>(chosen))...) {}

    template <class Exporter>
    struct destination {
        explicit destination(detail::options_of<Exporter>&& chosen) : exporter(std::move(chosen)) {
            static_assert(thread_safe_exporter<Exporter>,
                          "fan_out: a deferring inner exporter must be thread-safe; it lacks a member: "
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
        std::atomic<std::size_t> lost{0}; // spans dropped because memory for a copy ran out or the exporter threw
    };

    template <class Visit>
    void for_each(const Visit& visit) {
        std::apply([&](auto&... each) { (visit(each), ...); }, destinations_);
    }

    std::tuple<destination<detail::deferred<Exporters>>...> destinations_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
