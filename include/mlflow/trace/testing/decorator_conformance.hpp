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

// What a decorator has asked of the exporter inside it.
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

struct telling_probe : bare_probe {
    using bare_probe::bare_probe;

    void interrupt() noexcept { ++calls->interruptions; }
    [[nodiscard]] owned_text last_error() const { return "the last error"; }
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

/// Tries whether a decorator, an exporter around another one, keeps what the inner exporter has: its outcome, and
/// each of the optional members of `concepts.hpp`; and whether it is an exporter as it should be itself. For use in
/// the tests of whoever writes a decorator, with any framework:
///
///     for (const std::string& fault : mt::decorator_conformance<my_decorator>().faults()) ADD_FAILURE() << fault;
///
/// Its options must have a member `exporter`, and be complete without others. Thread-safety: none.
template <template <class> class Decorator>
class decorator_conformance {
public:
    /// What is wrong, each in one line; empty for a decorator as it should be.
    [[nodiscard]] std::vector<std::string> faults() {
        faults_.clear();
        check_bare();
        check_telling();
        if constexpr (composes<Decorator<detail::deferring_probe>>) check_deferring();
        append<detail::bare_probe>();
        return faults_;
    }

private:
    template <class Probe>
    static typename Decorator<Probe>::options around(const std::shared_ptr<detail::decorated_calls>& calls) {
        typename Decorator<Probe>::options chosen{};
        chosen.exporter.calls = calls;
        return chosen;
    }
    void fault(std::string_view what) { faults_.emplace_back(what); }
    void expect(bool good, std::string_view what) {
        if (!good) fault(what);
    }
    template <class Probe>
    void append() {
        for (std::string& each : exporter_conformance<Decorator<Probe>>().faults())
            faults_.push_back(std::move(each));
    }

    void check_bare() {
        using tried = Decorator<detail::bare_probe>;
        expect(!deferring_exporter<tried>,
               "it has flush where the inner exporter has none, and cannot know what waits");
        auto calls = std::make_shared<detail::decorated_calls>();
        tried decorator(around<detail::bare_probe>(calls));
        trace_batch batch = exporter_conformance<tried>::sample();
        const std::size_t spans = batch.span_count();
        const export_result outcome = decorator.export_traces(batch);
        expect(calls->spans + outcome.failed_spans >= outcome.exported_spans && outcome.exported_spans <= spans,
               "it counts spans as exported that the inner exporter has not seen");
    }

    void check_telling() {
        using tried = Decorator<detail::telling_probe>;
        auto calls = std::make_shared<detail::decorated_calls>();
        tried decorator(around<detail::telling_probe>(calls));
        if constexpr (interruptible_exporter<tried>) {
            decorator.interrupt();
            expect(calls->interruptions == 1, "interrupt() does not reach the inner exporter");
        } else fault("it loses interrupt(): the end of the program would wait");
        if constexpr (reporting_exporter<tried>)
            expect(decorator.last_error() == "the last error", "last_error() is not the inner exporter's");
        else fault("it loses last_error(): nobody sees why traces wait");
        if constexpr (progressing_exporter<tried>)
            expect(decorator.progress().steps == 7, "progress() is not the inner exporter's");
        else fault("it loses progress(): those who wait for delivery see nothing done");
        if constexpr (linking_exporter<tried>)
            expect(decorator.trace_url({1, 1}) == "http://a.page", "trace_url() is not the inner exporter's");
        else fault("it loses trace_url(): span.url() is empty");
    }

    void check_deferring() {
        using tried = Decorator<detail::deferring_probe>;
        if constexpr (!deferring_exporter<tried>)
            fault("it loses flush(), shutdown() or account(): what waits at the end of the program is lost");
        else {
            auto calls = std::make_shared<detail::decorated_calls>();
            tried decorator(around<detail::deferring_probe>(calls));
            trace_batch batch = exporter_conformance<tried>::sample();
            const std::size_t spans = batch.span_count();
            static_cast<void>(decorator.export_traces(batch));
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
            expect(decorator.flush(deadline) && calls->flushes > 0, "flush() does not reach the inner exporter");
            expect(decorator.shutdown(deadline) && calls->shutdowns > 0,
                   "shutdown() does not reach the inner exporter");
            const span_account counted = decorator.account();
            expect(counted.exported + counted.failed + counted.dropped + counted.queued == spans,
                   "account() does not answer for every span");
        }
    }

    std::vector<std::string> faults_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
