// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/open_trace.hpp>
#include <mlflow/trace/detail/atomic.hpp>
#include <mlflow/trace/detail/cancellation.hpp>
#include <mlflow/trace/detail/deadline.hpp>
#include <mlflow/trace/detail/durations.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/detail/options_of.hpp>
#include <mlflow/trace/memory/machine.hpp>
#include <mlflow/trace/memory/running.hpp>
#include <mlflow/trace/spans/tracer_options.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <type_traits>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The part of a tracer that lives until its last trace has ended.
template <class Schema, class Exporter, class Recording, class Platform>
class tracer_core final : public recorder {
public:
    tracer_core(options_of<Exporter>&& exporter_options, options_of<Recording>&& recording_options,
                error_handler on_error, void* context, slot_function where, holds_function what)
        : recorder(new_identity(), where, what), exporter_(std::move(exporter_options)),
          recording_(std::move(recording_options)), on_error_(on_error), error_context_(context) {
        if constexpr (requires { recording_.limits(); }) value_rules_.limits = recording_.limits();
        if constexpr (requires(std::string_view text) { recording_.redact(text, text); }) {
            value_rules_.redactor = &recording_;
            value_rules_.redact = [](const void* recording, std::string_view key, std::string_view value) {
                return static_cast<const Recording*>(recording)->redact(key, value);
            };
        }
        if (value_rules_.redact || value_rules_.limits != recording_limits{}) rules_ = &value_rules_;
    }

    void submit(trace_data* finished) noexcept override {
        // Checked here, so that the error messages of the layers themselves come first.
        static_assert(composes<Exporter>, "the exporter's layers are in an invalid order: put the layer whose "
                                          "`composes` is false inside the deferring one, batch<...> or spool<...>");
        const std::size_t spans = finished->span_count;
        finished_.fetch_add(spans, memory_order_release);
        if (finished->root) {
            const auto require = [&]<class Key>() {
                if (!finished->metadata(Key::name).data() &&
                    !finished->entries.find(entry_kind::absent, Key::name).data())
                    report({error_kind::missing, Key::name});
            };
            if (finished->check_identity) Schema::for_each_required(require);
            Schema::for_each_late(require);
            if (finished->is_session_late && finished->metadata(mlflow_names::trace_session).data())
                late_sessions_.fetch_add(1, memory_order_relaxed);
        }
        trace_batch batch(finished);
        // Spans that an exporter records with its own tracer are dropped, because exporting them would call the
        // exporter again.
        if (shut_down_.load(memory_order_acquire) || exporting::is(this)) {
            dropped_.fetch_add(spans, memory_order_release);
            return;
        }
        const exporting here(this);
        const without_cancellation whole;
        export_result outcome = export_one_by_one(batch);
        exported_.fetch_add(outcome.exported_spans, memory_order_release);
        failed_.fetch_add(outcome.failed_spans, memory_order_release);
        if (outcome.error) {
            const lock_guard guard(report_lock_);
            last_error_ = std::move(outcome.error);
        }
    }

    void count_started_span() noexcept override { started_.fetch_add(1, memory_order_relaxed); }
    void count_lost_span() noexcept override {
        finished_.fetch_add(1, memory_order_release);
        dropped_.fetch_add(1, memory_order_release);
    }
    void count_span_of_parent() noexcept override {
        finished_.fetch_add(1, memory_order_release);
        exported_.fetch_add(1, memory_order_release);
    }
    [[nodiscard]] bool schema_has(std::string_view name) const noexcept override { return Schema::has_name(name); }
    [[nodiscard]] owned_text trace_url(const trace_id& id) const override {
        if constexpr (linking_exporter<Exporter>) return exporter_.trace_url(id);
        else return {};
    }
    void report(const error& error) noexcept override {
        refused_.fetch_add(1, memory_order_relaxed);
        if (reporting::is(this)) return; // errors in the handler itself are only counted
        const reporting here(this);
        const without_cancellation whole;
        if (on_error_) on_error_(error_context_, error);
        else Platform::report(error);
    }

    [[nodiscard]] span_account account() const noexcept {
        // The counters are read from the last stage to the first, so that no stage counts a span that an earlier
        // stage does not.
        span_account counted;
        if constexpr (deferring_exporter<Exporter>) counted = const_cast<Exporter&>(exporter_).account();
        counted.exported += exported_.load(memory_order_acquire);
        counted.failed += failed_.load(memory_order_acquire);
        counted.dropped += dropped_.load(memory_order_acquire);
        const std::size_t finished = finished_.load(memory_order_acquire);
        counted.started = started_.load(memory_order_relaxed);
        counted.open = counted.started - finished;
        // The exporter's own counts are limited to the spans that have ended. The remaining ended spans are queued.
        std::uint64_t left = finished;
        for (std::uint64_t* const part : {&counted.failed, &counted.dropped, &counted.exported}) {
            if (*part > left) *part = left;
            left -= *part;
        }
        // In the child of a fork, spans that another thread was about to pass on are delivered by the parent.
        if (deferring_exporter<Exporter> && process() != made_in_ && counted.queued < left) {
            counted.exported += left - counted.queued;
            left = counted.queued;
        }
        counted.queued = left;
        return counted;
    }
    [[nodiscard]] std::uint64_t refused_values() const noexcept { return refused_.load(memory_order_relaxed); }
    [[nodiscard]] std::uint64_t late_sessions() const noexcept { return late_sessions_.load(memory_order_relaxed); }
    [[nodiscard]] error last_error() const {
        if constexpr (reporting_exporter<Exporter>)
            if (error of_exporter = exporter_.last_error()) return of_exporter;
        const lock_guard guard(report_lock_);
        return last_error_;
    }

    bool flush([[maybe_unused]] std::chrono::milliseconds timeout) {
        const without_cancellation whole;
        if constexpr (deferring_exporter<Exporter>) return exporter_.flush(deadline_after(timeout));
        else return true;
    }
    bool shutdown([[maybe_unused]] std::chrono::milliseconds timeout) {
        if (shut_down_.exchange(true, memory_order_acq_rel)) return true;
        const without_cancellation whole;
        if constexpr (deferring_exporter<Exporter>) return exporter_.shutdown(deadline_after(timeout));
        else return true;
    }

    [[nodiscard]] Exporter& exporter() noexcept { return exporter_; }
    [[nodiscard]] const Recording& recording() const noexcept { return recording_; }

private:
    static tracer_identity new_identity() noexcept {
        // Random, because parts of the program that are loaded at run time share no counter.
        const auto identity = static_cast<tracer_identity>(Platform::new_span_id().value);
        return identity == any_owner ? 1 : identity;
    }

    using exporting = running<tracer_core>;
    using reporting = running<error_handler>;
    // As wide as the atomics that every target has. On a 32-bit target the counts wrap around at 2^32.
    using counter = atomic<std::size_t>;

    void destroy() noexcept override {
        if constexpr (machine::has_heap) {
            const without_cancellation whole;
            delete this;
        }
    }

    export_result export_one_by_one(trace_batch& batch) noexcept {
        if constexpr (thread_safe_exporter<Exporter>) return uncounted_export(exporter_, batch);
        else {
            const lock_guard guard(export_lock_);
            return uncounted_export(exporter_, batch);
        }
    }

    [[no_unique_address]] const pools_at_the_end at_the_end_{}; // destroyed after exporter_, which uses them
    Exporter exporter_;
    [[no_unique_address]] Recording recording_;
    value_rules value_rules_;
    typename Platform::mutex export_lock_;
    [[no_unique_address]] mutable machine::shared_mutex report_lock_;
    error_handler on_error_;
    void* error_context_;
    const std::uint32_t made_in_ = process();
    atomic<bool> shut_down_{false};
    counter started_{0};
    counter finished_{0};
    counter exported_{0};
    counter failed_{0};
    counter dropped_{0};
    counter refused_{0};
    counter late_sessions_{0};
    error last_error_;
};

// Holds a core: on the heap, where spans that outlive the tracer can still use it; or within the tracer on a target
// without a heap.
template <class Core>
class core_on_heap {
public:
    template <class... Args>
    explicit core_on_heap(Args&&... args)
        : core_((static_cast<void>(without_cancellation()), new Core(std::forward<Args>(args)...))) {}
    core_on_heap(const core_on_heap&) = delete;
    core_on_heap& operator=(const core_on_heap&) = delete;
    ~core_on_heap() { core_->release(); }

    Core& operator*() const noexcept { return *core_; }
    Core* operator->() const noexcept { return core_; }

private:
    Core* core_;
};
template <class Core>
class core_in_tracer {
public:
    template <class... Args>
    explicit core_in_tracer(Args&&... args) : core_(std::forward<Args>(args)...) {}

    Core& operator*() const noexcept { return core_; }
    Core* operator->() const noexcept { return &core_; }

private:
    mutable Core core_;
};
template <class Core>
using core_holder = std::conditional_t<machine::has_heap, core_on_heap<Core>, core_in_tracer<Core>>;

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
