// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/context/explicit.hpp>
#include <mlflow/trace/platform/hosted.hpp>
#include <mlflow/trace/recording/sampling.hpp>
#include <mlflow/trace/spans/tracer.hpp>

#include <chrono>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// Collects what a tracer records, for the exporter under test.
struct collecting_exporter {
    struct options {};
    explicit collecting_exporter(options) noexcept {}
    export_result export_traces(trace_batch& batch) noexcept {
        const std::size_t spans = batch.span_count();
        collected.append(std::move(batch));
        export_result outcome;
        outcome.exported_spans = spans;
        return outcome;
    }
    trace_batch collected;
};

} // namespace detail

/// Checks an exporter against the requirements of the library: it accounts for every span, keeps nothing that it does
/// not own, and does not throw; if it defers, it flushes and shuts down with a balanced account. Use it in a test,
/// with any test framework:
///
///     for (const std::string& fault : mt::exporter_conformance<my_exporter>(options).faults())
///         ADD_FAILURE() << fault;
///
/// The exporter must be able to deliver: it gets about 700 spans, of users named `conformance-…`. Each check
/// constructs a new exporter. Takes a few seconds at most. `faults_of_failure` checks an exporter that cannot
/// deliver:
///
///     mt::exporter_conformance<my_exporter> failing({.path = "/no/such/folder/file"});
///     for (const std::string& fault : failing.faults_of_failure()) ADD_FAILURE() << fault;
///
/// Thread-safety: none.
template <class T>
class exporter_conformance {
    static_assert(detail::has_whole_concepts<T>());
    static_assert(exporter<T>,
                  "the exporter lacks a member: export_result export_traces(mlflow::trace::trace_batch&)");

public:
    /// Stores the options for the exporters that the checks construct.
    explicit exporter_conformance(detail::options_of<T> options = {}) : options_(std::move(options)) {}

    /// Runs the checks. Returns one line per fault; empty if the exporter conforms.
    [[nodiscard]] std::vector<std::string> faults() {
        faults_.clear();
        check("an empty batch", [](tracer_type&) {});
        check("a trace of one span", [](tracer_type& tracer) { record(tracer, 1); });
        check("a trace of many spans, with everything that can be recorded", [](tracer_type& tracer) {
            auto trace = tracer.start_trace("conformance", user{"conformance-1"}, session{"conformance"},
                                            client_request_id{"request-1"}, tag("key", "value \"with\" quotes"));
            trace.inputs(arg("question", "why?\n\"quoted\" \xe2\x82\xac"), arg("n", 1)).outputs(nullptr);
            trace.previews("why?", "because");
            for (int i = 0; i < 20; ++i) {
                auto span = trace.start_span("step", span_type::tool);
                span.attribute("text", "")
                    .attribute("number", 0.5)
                    .attribute("yes", true)
                    .attribute("big", 1ULL << 63U);
                span.event("event", arg("i", i)).chunk("piece").usage({.input = 1, .output = 2}).cost({.total = 0.1});
                span.link(trace.trace_id(), trace.id());
                if (i % 2 == 1) span.exception("std::runtime_error", "no route");
            }
        });
        check("spans that end after their trace", [](tracer_type& tracer) {
            auto trace = tracer.start_trace("conformance", user{"conformance-2"});
            auto late = trace.start_span("late");
            trace.end();
        });
        check("a hundred traces in one batch", [](tracer_type& tracer) {
            for (int i = 0; i < 100; ++i) record(tracer, 4);
        });
        check("a text of a megabyte", [](tracer_type& tracer) {
            tracer.start_trace("conformance", user{"conformance-3"}).inputs(std::string(1'000'000, '"'));
        });
        if constexpr (thread_safe_exporter<T>) check_threads();
        if constexpr (deferring_exporter<T>) check_shutdown();
        return faults_;
    }

    /// Two traces of four spans each, for further tests of an exporter.
    [[nodiscard]] static trace_batch sample() {
        return batch_of([](tracer_type& tracer) {
            record(tracer, 4);
            record(tracer, 4);
        });
    }

    /// Checks that an exporter whose options make each export fail counts every span as failed, gives the error, and
    /// leaves in the batch what may be sent again. For an exporter that does not defer.
    [[nodiscard]] std::vector<std::string> faults_of_failure()
        requires(!deferring_exporter<T>)
    {
        faults_.clear();
        constexpr std::string_view name = "an export that fails";
        T exporter(options_);
        for (const int traces : {1, 5}) {
            trace_batch batch = batch_of([&](tracer_type& tracer) {
                for (int i = 0; i < traces; ++i) record(tracer, 4);
            });
            const std::size_t spans = batch.span_count();
            const export_result outcome = give(exporter, batch, name);
            if (outcome.failed_spans != spans || outcome.exported_spans != 0)
                fault(name, "failed_spans is " + std::to_string(outcome.failed_spans) + " and exported_spans " +
                                std::to_string(outcome.exported_spans) + " of " + std::to_string(spans));
            if (!outcome.error) fault(name, "no error that says why");
            check_outcome(name, outcome);
            if (outcome.retryable && batch.span_count() != spans)
                fault(name, "it is retryable, but its traces are no longer in the batch");
        }
        return faults_;
    }

private:
    using tracer_type =
        tracer<open_schema, explicit_context, detail::collecting_exporter, record_all, hosted_platform>;
    static constexpr auto patience = std::chrono::seconds(30);
    static auto deadline() { return std::chrono::steady_clock::now() + patience; }

    static void record(tracer_type& tracer, int spans) {
        auto trace = tracer.start_trace("conformance", user{"conformance-0"}, session{"conformance"});
        for (int i = 1; i < spans; ++i) trace.start_span("span").inputs(i).outputs("text");
    }

    template <class Record>
    static trace_batch batch_of(const Record& record) {
        tracer_type tracer;
        record(tracer);
        return std::move(tracer.exporter().collected);
    }

    void fault(std::string_view check, std::string_view what) {
        faults_.push_back(std::string(check) + ": " + std::string(what));
    }

    export_result give(T& exporter, trace_batch& batch, std::string_view check) {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
        try {
            return exporter.export_traces(batch);
        } catch (const std::exception& thrown) {
            fault(check, std::string("export_traces threw: ") + thrown.what());
        } catch (...) {
            fault(check, "export_traces threw");
        }
        return {};
#else
        static_cast<void>(check);
        return exporter.export_traces(batch);
#endif
    }

    template <class Record>
    void check(std::string_view name, const Record& record) {
        T exporter(options_);
        trace_batch batch = batch_of(record);
        const std::size_t spans = batch.span_count();
        const export_result outcome = give(exporter, batch, name);
        batch.clear(); // the exporter has moved out what it still needs
        check_outcome(name, outcome);
        if constexpr (deferring_exporter<T>) check_account(exporter, spans, name);
        else if (outcome.exported_spans != spans)
            fault(name, "exported_spans is " + std::to_string(outcome.exported_spans) + " of " +
                            std::to_string(spans) + (outcome.error ? ": " + outcome.error.message() : std::string()));
    }

    void check_outcome(std::string_view name, const export_result& outcome) {
        const std::string why = outcome.error.message();
        if (outcome.ok() == static_cast<bool>(outcome.error))
            fault(name, outcome.ok() ? "an error, but no failed spans: " + why
                                     : "failed spans, but no error that says why");
        if (why.find('\n') != std::string::npos) fault(name, "the error's message is not one line");
    }

    void check_account(T& exporter, std::size_t spans, std::string_view name)
        requires deferring_exporter<T>
    {
        if (!exporter.flush(deadline())) fault(name, "flush did not end within 30 s");
        const span_account counted = exporter.account();
        if (counted.exported != spans)
            fault(name, "after flush, account() says " + std::to_string(counted.exported) + " exported, " +
                            std::to_string(counted.failed) + " failed, " + std::to_string(counted.dropped) +
                            " dropped and " + std::to_string(counted.queued) + " queued of " + std::to_string(spans));
    }

    void check_threads() {
        T exporter(options_);
        std::vector<export_result> outcomes(4);
        std::vector<std::thread> threads;
        for (export_result& outcome : outcomes)
            threads.emplace_back([&exporter, &outcome] {
                for (int i = 0; i < 10; ++i) {
                    trace_batch batch = batch_of([](tracer_type& tracer) { record(tracer, 4); });
                    export_result one = detail::guarded_export(exporter, batch);
                    outcome.exported_spans += one.exported_spans;
                    outcome.failed_spans += one.failed_spans;
                    if (one.error) outcome.error = std::move(one.error);
                }
            });
        for (std::thread& each : threads) each.join();
        constexpr std::string_view name = "four threads at once";
        std::size_t exported = 0;
        for (const export_result& outcome : outcomes) {
            check_outcome(name, outcome);
            exported += outcome.exported_spans;
        }
        if constexpr (deferring_exporter<T>) check_account(exporter, 160, name);
        else if (exported != 160) fault(name, "exported_spans add up to " + std::to_string(exported) + " of 160");
    }

    void check_shutdown()
        requires deferring_exporter<T>
    {
        constexpr std::string_view name = "shutdown";
        T exporter(options_);
        trace_batch before = batch_of([](tracer_type& tracer) { record(tracer, 4); });
        give(exporter, before, name);
        if (!exporter.shutdown(deadline())) fault(name, "did not end within 30 s");
        if (exporter.account().exported != 4) fault(name, "queued spans were not delivered");
        if (!exporter.shutdown(deadline())) fault(name, "a second call fails");
        trace_batch after = batch_of([](tracer_type& tracer) { record(tracer, 4); });
        give(exporter, after, name);
        if (!exporter.flush(deadline())) fault(name, "a later flush hangs");
        const span_account counted = exporter.account();
        if (counted.exported + counted.failed + counted.dropped + counted.queued != 8)
            fault(name, "later spans are not counted");
    }

    detail::options_of<T> options_;
    std::vector<std::string> faults_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
