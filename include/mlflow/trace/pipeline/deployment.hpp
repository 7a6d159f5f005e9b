// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/pipeline/exporter_adaptor.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Where the application runs. Empty members are not written.
struct deployment_info {
    std::string environment{}; ///< for example `production`; the tag `deployment.environment.name`
    std::string version{};     ///< of the application; the tag `service.version`
    std::string region{};      ///< the tag `cloud.region`
    std::string host{};        ///< the tag `host.name`
};

/// Adds the application's environment, version, region and host to every trace as tags, and passes the traces to the
/// inner exporter. The tags are named after OpenTelemetry's resource attributes. MLflow searches traces by tags and
/// does not store the resource. A tag of the same name that the application set itself is kept.
///
/// Use it inside `batch`, on whose thread it runs: `mt::batch<mt::deployed<mt::mlflow_exporter<…>>>`. The limits for
/// values are those of `mt::tag`.
///
/// Thread-safety: one thread at a time.
template <class Exporter>
class deployed : public exporter_adaptor<Exporter> {
    static_assert(
        exporter<Exporter>,
        "deployed: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

    using adaptor = exporter_adaptor<Exporter>;

public:
    /// False if the inner exporter defers; see `composes` in concepts.hpp.
    static constexpr bool composes = adaptor::composes && !deferring_exporter<Exporter>;

    /// Options of `deployed`.
    struct options {
        /// Options of the inner exporter.
        typename adaptor::inner_options exporter{};
        /// What to write on each trace.
        deployment_info deployment{};
    };

    /// Stores the options. Does not compile if the inner exporter defers.
    deployed() : deployed(options{}) {}
    /// Stores the options. Does not compile if the inner exporter defers.
    explicit deployed(options chosen)
        : adaptor(std::move(chosen.exporter)), deployment_(std::move(chosen.deployment)) {
        static_assert(!deferring_exporter<Exporter>,
                      "deployed: must be inside the deferring exporter: batch<deployed<...>>");
    }

    /// Adds the tags to each trace that has its root span, then exports the batch.
    export_result export_traces(trace_batch& batch) {
        trace_batch marked;
        while (trace_data* const trace = batch.pop_front()) {
            if (trace->root) mark(trace->entries);
            marked.push_back(trace);
        }
        batch = std::move(marked);
        return adaptor::export_traces(batch);
    }

    /// Passed on to an inner exporter that retries, which then gets copies with the same tags. `batch` calls it.
    void take_others_from(void* from, detail::other_trace* next) noexcept
        requires detail::asks_for_others<Exporter>
    {
        others_ = {from, next};
        adaptor::take_others_from(this, &marked);
    }

private:
    void mark(trace_entries& entries) const noexcept {
        const auto add = [&entries](std::string_view key, const std::string& value) {
            if (!value.empty() && !entries.find(entry_kind::tag, key).data())
                entries.set(entry_kind::tag, key, value);
        };
        add("deployment.environment.name", deployment_.environment);
        add("service.version", deployment_.version);
        add("cloud.region", deployment_.region);
        add("host.name", deployment_.host);
    }

    static trace_data* marked(void* itself, std::size_t number) noexcept {
        const deployed& own = *static_cast<deployed*>(itself);
        trace_data* const other = own.others_.next(own.others_.from, number);
        if (other && other->root) own.mark(other->entries);
        return other;
    }

    deployment_info deployment_;
    detail::other_traces others_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
