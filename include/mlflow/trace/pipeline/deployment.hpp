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

/// Where the application runs. What is empty is left out.
struct deployment_info {
    std::string environment{}; ///< such as `production`; the tag `deployment.environment.name`
    std::string version{};     ///< of the application; the tag `service.version`
    std::string region{};      ///< the tag `cloud.region`
    std::string host{};        ///< the tag `host.name`
};

/// Writes the environment, version, region and host of the application, given once, on every trace that passes to
/// another exporter, as tags by the names of OpenTelemetry's resource attributes: MLflow finds traces by their tags,
/// and does not keep the resource. A tag of that name that the application set itself stays.
///
/// Put it inside `batch`, where it costs the application nothing: `mt::batch<mt::deployed<mt::mlflow_exporter<…>>>`.
/// Values are as those of `mt::tag`. Thread-safety: one thread at a time.
template <class Exporter>
class deployed : public exporter_adaptor<Exporter> {
    static_assert(
        exporter<Exporter>,
        "deployed: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

    using adaptor = exporter_adaptor<Exporter>;

public:
    static constexpr bool composes = adaptor::composes && !deferring_exporter<Exporter>;

    struct options {
        typename adaptor::inner_options exporter{};
        deployment_info deployment{};
    };

    deployed() : deployed(options{}) {}
    explicit deployed(options chosen)
        : adaptor(std::move(chosen.exporter)), deployment_(std::move(chosen.deployment)) {
        static_assert(!deferring_exporter<Exporter>,
                      "deployed: put it inside the exporter that defers, batch<deployed<...>>");
    }

    export_result export_traces(trace_batch& batch) {
        trace_batch marked;
        while (trace_data* const trace = batch.pop_front()) {
            if (trace->root) mark(trace->entries);
            marked.push_back(trace);
        }
        batch = std::move(marked);
        return adaptor::export_traces(batch);
    }

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
