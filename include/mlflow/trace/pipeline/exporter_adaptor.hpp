// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/copied_trace.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/options_of.hpp>

#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The base class of an exporter that wraps another one. It forwards every call, and has each optional member that
/// the inner exporter has. A derived exporter overrides the members whose behaviour it changes:
///
///     template <class Exporter>
///     class counting : public mt::exporter_adaptor<Exporter> {
///         using adaptor = mt::exporter_adaptor<Exporter>;
///
///     public:
///         struct options {
///             typename adaptor::inner_options exporter{};
///             int* into = nullptr;
///         };
///         explicit counting(options chosen) : adaptor(std::move(chosen.exporter)), into_(chosen.into) {}
///
///         mt::export_result export_traces(mt::trace_batch& batch) {
///             ++*into_;
///             return adaptor::export_traces(batch);
///         }
///
///     private:
///         int* into_;
///     };
///
/// A derived exporter whose own code may be called by several threads at once declares `static constexpr bool
/// is_thread_safe = mt::thread_safe_exporter<Exporter>`.
///
/// A derived exporter that removes traces from the batch adds their spans to `exported_spans`, and leaves in the
/// batch what may be sent again. It must be inside the exporter that defers, whose account would be wrong otherwise.
/// To make any other order not compile, it declares `static constexpr bool composes = adaptor::composes &&
/// !mt::deferring_exporter<Exporter>`.
///
/// Thread-safety: that of the inner exporter.
template <class Exporter>
class exporter_adaptor {
    static_assert(detail::has_whole_concepts<Exporter>());

public:
    /// The options of the inner exporter.
    using inner_options = detail::options_of<Exporter>;

    static constexpr bool composes = mlflow::trace::composes<Exporter>; ///< see `composes` in concepts.hpp
    static constexpr bool retries = retrying_exporter<Exporter>;        ///< see `retrying_exporter`

    exporter_adaptor(const exporter_adaptor&) = delete;
    exporter_adaptor& operator=(const exporter_adaptor&) = delete;

    /// See `exporter`. This and the following members call the inner exporter.
    export_result export_traces(trace_batch& batch) { return exporter_.export_traces(batch); }

    /// See `deferring_exporter`.
    bool flush(std::chrono::steady_clock::time_point deadline)
        requires deferring_exporter<Exporter>
    {
        return exporter_.flush(deadline);
    }
    /// See `deferring_exporter`.
    bool shutdown(std::chrono::steady_clock::time_point deadline)
        requires deferring_exporter<Exporter>
    {
        return exporter_.shutdown(deadline);
    }
    /// See `deferring_exporter`.
    [[nodiscard]] span_account account()
        requires deferring_exporter<Exporter>
    {
        return exporter_.account();
    }
    /// See `interruptible_exporter`.
    void interrupt() noexcept
        requires interruptible_exporter<Exporter>
    {
        exporter_.interrupt();
    }
    /// See `reporting_exporter`.
    [[nodiscard]] error last_error() const
        requires reporting_exporter<Exporter>
    {
        return exporter_.last_error();
    }
    /// See `linking_exporter`.
    [[nodiscard]] owned_text trace_url(const trace_id& id) const
        requires linking_exporter<Exporter>
    {
        return exporter_.trace_url(id);
    }
    /// See `progressing_exporter`.
    [[nodiscard]] export_progress progress() const
        requires progressing_exporter<Exporter>
    {
        return exporter_.progress();
    }
    /// See `retry::take_others_from`.
    void take_others_from(void* from, detail::other_trace* next) noexcept
        requires detail::asks_for_others<Exporter>
    {
        exporter_.take_others_from(from, next);
    }

    /// The inner exporter.
    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }
    /// The inner exporter.
    [[nodiscard]] const Exporter& exporter() const noexcept { return exporter_; }

protected:
    /// Constructs the inner exporter from its options.
    explicit exporter_adaptor(inner_options&& chosen) : exporter_(std::move(chosen)) {}
    ~exporter_adaptor() = default;

private:
    Exporter exporter_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
