// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

namespace detail {

// The calls that a decorator has made to its inner exporter.
struct decorated_calls {
    std::size_t spans = 0;
    int flushes = 0;
    int shutdowns = 0;
    int interruptions = 0;
};

struct bare_probe {
    struct options {
        std::shared_ptr<decorated_calls> calls = std::make_shared<decorated_calls>();
    };
    explicit bare_probe(options chosen) : calls(std::move(chosen.calls)) {}

    export_result export_traces(trace_batch& batch) {
        export_result outcome;
        outcome.exported_spans = batch.span_count();
        calls->spans += outcome.exported_spans;
        return outcome;
    }

    std::shared_ptr<decorated_calls> calls;
};

struct failing_probe : bare_probe {
    using bare_probe::bare_probe;

    export_result export_traces(trace_batch& batch) {
        export_result outcome;
        outcome.failed_spans = batch.span_count();
        calls->spans += outcome.failed_spans;
        outcome.error = error(error_kind::closed, "the inner exporter");
        outcome.retryable = true;
        outcome.retry_after = std::chrono::seconds(7);
        return outcome;
    }
};

struct telling_probe : bare_probe {
    using bare_probe::bare_probe;

    void interrupt() noexcept { ++calls->interruptions; }
    [[nodiscard]] error last_error() const { return {error_kind::closed, "the inner exporter"}; }
    [[nodiscard]] export_progress progress() const { return {.steps = 7, .waits_for = "waits"}; }
    [[nodiscard]] owned_text trace_url(const trace_id&) const { return "http://a.page"; }
};

struct deferring_probe : telling_probe {
    static constexpr bool is_thread_safe = true;
    using telling_probe::telling_probe;

    bool flush(std::chrono::steady_clock::time_point) { return ++calls->flushes > 0; }
    bool shutdown(std::chrono::steady_clock::time_point) { return ++calls->shutdowns > 0; }
    [[nodiscard]] span_account account() const {
        span_account counted;
        counted.exported = calls->spans;
        return counted;
    }
};

} // namespace detail

/// Checks an exporter that wraps another one (a decorator): whether it passes on the outcome of the inner exporter
/// and each of the optional members in concepts.hpp, and whether it conforms to `exporter_conformance` itself. Use it
/// in a test, with any test framework:
///
///     for (const std::string& fault : mt::decorator_conformance<my_decorator>().faults()) ADD_FAILURE() << fault;
///
/// The decorator's options must have a member `exporter`, and defaults for everything else; a function may set them.
/// A decorator that removes traces is tested only if it removes some of the suite's, whose root span is named
/// `conformance` and whose users `conformance-…`:
///
///     const auto set = [](auto& options) { options.name = "conformance"; };
///     for (const std::string& fault : mt::decorator_conformance<my_decorator>().faults(set)) ADD_FAILURE() << fault;
///
/// Thread-safety: none.
template <template <class> class Decorator>
class decorator_conformance {
public:
    /// Runs the checks. Returns one line per fault; empty if the decorator conforms.
    [[nodiscard]] std::vector<std::string> faults() {
        return faults([](auto&) {});
    }
    /// The same with the options that `set` has changed.
    template <class Set>
    [[nodiscard]] std::vector<std::string> faults(const Set& set) {
        faults_.clear();
        check_bare(set);
        check_failing(set);
        check_telling(set);
        if constexpr (composes<Decorator<detail::deferring_probe>>) check_deferring(set);
        auto chosen = around<detail::bare_probe>(std::make_shared<detail::decorated_calls>(), set);
        for (std::string& each : exporter_conformance<Decorator<detail::bare_probe>>(std::move(chosen)).faults())
            faults_.push_back(std::move(each));
        return faults_;
    }

private:
    template <class Probe, class Set>
    static typename Decorator<Probe>::options around(const std::shared_ptr<detail::decorated_calls>& calls,
                                                     const Set& set) {
        typename Decorator<Probe>::options chosen{};
        chosen.exporter.calls = calls;
        set(chosen);
        return chosen;
    }
    void fault(std::string_view what) { faults_.emplace_back(what); }
    void expect(bool good, std::string_view what) {
        if (!good) fault(what);
    }
    template <class Set>
    void check_bare(const Set& set) {
        using tried = Decorator<detail::bare_probe>;
        expect(!deferring_exporter<tried>, "it has flush although the inner exporter has none");
        auto calls = std::make_shared<detail::decorated_calls>();
        tried decorator(around<detail::bare_probe>(calls, set));
        trace_batch batch = exporter_conformance<tried>::sample();
        const std::size_t spans = batch.span_count();
        const export_result outcome = decorator.export_traces(batch);
        const std::size_t removed = spans - batch.span_count(); // which count as exported
        expect(calls->spans + removed + outcome.failed_spans >= outcome.exported_spans &&
                   outcome.exported_spans <= spans,
               "it counts spans as exported that the inner exporter did not get");
    }

    // A decorator that retries or defers would not return the outcome of one export.
    template <class Set>
    void check_failing(const Set& set) {
        using tried = Decorator<detail::failing_probe>;
        if constexpr (!retrying_exporter<tried> && !deferring_exporter<tried>) {
            auto calls = std::make_shared<detail::decorated_calls>();
            tried decorator(around<detail::failing_probe>(calls, set));
            trace_batch batch = exporter_conformance<tried>::sample();
            const export_result outcome = decorator.export_traces(batch);
            if (calls->spans == 0) return; // it has removed them all
            expect(outcome.failed_spans == calls->spans,
                   "it does not count as failed what the inner exporter did not deliver");
            expect(outcome.error.kind() == error_kind::closed, "it hides the error of the inner exporter");
            expect(outcome.retryable && outcome.retry_after == std::chrono::seconds(7),
                   "it hides retryable or retry_after: traces would be given up, or sent again too early");
            expect(batch.span_count() == calls->spans, "it does not leave in the batch what may be sent again");
        }
    }

    template <class Set>
    void check_telling(const Set& set) {
        using tried = Decorator<detail::telling_probe>;
        auto calls = std::make_shared<detail::decorated_calls>();
        tried decorator(around<detail::telling_probe>(calls, set));
        if constexpr (interruptible_exporter<tried>) {
            decorator.interrupt();
            expect(calls->interruptions == 1, "interrupt() does not reach the inner exporter");
        } else fault("it hides interrupt(): the program would wait when it ends");
        if constexpr (reporting_exporter<tried>)
            expect(decorator.last_error().about() == "the inner exporter",
                   "last_error() is not the inner exporter's");
        else fault("it hides last_error(): the reason why traces are waiting is lost");
        if constexpr (progressing_exporter<tried>)
            expect(decorator.progress().steps == 7, "progress() is not the inner exporter's");
        else fault("it hides progress(): callers that wait for delivery see no progress");
        if constexpr (linking_exporter<tried>)
            expect(decorator.trace_url({1, 1}) == "http://a.page", "trace_url() is not the inner exporter's");
        else fault("it hides trace_url(): span.url() would be empty");
    }

    template <class Set>
    void check_deferring(const Set& set) {
        using tried = Decorator<detail::deferring_probe>;
        if constexpr (!deferring_exporter<tried>)
            fault("it hides flush(), shutdown() or account(): queued traces would be lost when the program ends");
        else {
            auto calls = std::make_shared<detail::decorated_calls>();
            tried decorator(around<detail::deferring_probe>(calls, set));
            trace_batch batch = exporter_conformance<tried>::sample();
            const std::size_t spans = batch.span_count();
            static_cast<void>(decorator.export_traces(batch));
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
            expect(decorator.flush(deadline) && calls->flushes > 0, "flush() does not reach the inner exporter");
            expect(decorator.shutdown(deadline) && calls->shutdowns > 0,
                   "shutdown() does not reach the inner exporter");
            const span_account counted = decorator.account();
            expect(counted.exported + counted.failed + counted.dropped + counted.queued == spans,
                   "account() does not account for every span");
        }
    }

    std::vector<std::string> faults_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
