// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/core/options_of.hpp>

#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

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
class deployed {
    static_assert(
        exporter<Exporter>,
        "deployed: the inner exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");
    static_assert(!deferring_exporter<Exporter>,
                  "deployed: put it inside the exporter that defers, batch<deployed<…>>");

public:
    struct options {
        detail::options_of<Exporter> exporter{};
        deployment_info deployment{};
    };

    deployed() : deployed(options{}) {}
    explicit deployed(options chosen)
        : exporter_(std::move(chosen.exporter)), deployment_(std::move(chosen.deployment)) {}

    export_result export_traces(trace_batch& batch) {
        trace_batch marked;
        while (trace_data* const trace = batch.pop_front()) {
            if (trace->root) mark(trace->entries);
            marked.push_back(trace);
        }
        batch = std::move(marked);
        return exporter_.export_traces(batch);
    }

    [[nodiscard]] std::string trace_url(const trace_id& id) const
        requires linking_exporter<Exporter>
    {
        return exporter_.trace_url(id);
    }
    [[nodiscard]] std::string last_error() const
        requires requires(const Exporter& exporter) { exporter.last_error(); }
    {
        return exporter_.last_error();
    }
    [[nodiscard]] export_progress progress() const { return detail::progress_of(exporter_); }
    void take_others_from(void* from, detail::other_trace* next) noexcept
        requires requires(Exporter& exporter) { exporter.take_others_from(from, next); }
    {
        others_ = {from, next};
        exporter_.take_others_from(this, &marked);
    }
    void interrupt() noexcept
        requires requires(Exporter& exporter) { exporter.interrupt(); }
    {
        exporter_.interrupt();
    }
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }

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

    Exporter exporter_;
    deployment_info deployment_;
    detail::other_traces others_;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
