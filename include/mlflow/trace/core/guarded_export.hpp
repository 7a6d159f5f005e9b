// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/detail/guarded.hpp>
#include <mlflow/trace/text/displayed.hpp>
#include <mlflow/trace/text/exception_text.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <new>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Memory may be there again, for less at once sooner.
inline export_result export_without_memory(std::size_t spans) noexcept {
    export_result outcome;
    outcome.failed_spans = spans;
    outcome.retryable = outcome.too_slow = true;
    outcome.error = "out of memory"; // short enough not to need any
    return outcome;
}

inline export_result failed_export(std::size_t spans, const char* why) noexcept {
    export_result outcome;
    outcome.failed_spans = spans;
    guarded([&] { outcome.error = why; }, [] {}); // without memory for the reason the count stands all the same
    return outcome;
}

// What an exporter says of so many spans, made to add up: each is exported or failed, and what it has not counted has
// failed. An exporter that counts by itself may say nothing: it has taken them all over.
inline void balance(export_result& outcome, std::size_t spans, bool counts_itself) noexcept {
    if (counts_itself && outcome.exported_spans == 0 && outcome.failed_spans == 0) outcome.exported_spans = spans;
    if (outcome.exported_spans == spans && outcome.failed_spans == 0 && outcome.error.empty()) return;
    const std::size_t failed = outcome.failed_spans < spans ? outcome.failed_spans : spans;
    const std::size_t exported = outcome.exported_spans < spans - failed ? outcome.exported_spans : spans - failed;
    const bool is_balanced = exported == outcome.exported_spans && exported + outcome.failed_spans == spans;
    const auto tell = [&] {
        if (!is_balanced && outcome.error.empty())
            outcome.error = "the exporter does not count what it is given: exported_spans and failed_spans must add "
                            "up to trace_batch::span_count(); what is missing counts as failed";
        else if (!outcome.ok() && outcome.error.empty()) outcome.error = "the exporter failed without saying why";
    };
    guarded(tell, [] {});
    if (!is_balanced) outcome.is_final = true; // it did something with the spans, and cannot say what
#if MLFLOW_TRACE_HOSTED
    guarded([&] { outcome.error = displayed(outcome.error); }, [] {}); // may quote what a receiver said
#endif
    outcome.exported_spans = exported;
    outcome.failed_spans = spans - exported;
}

template <class Export>
export_result caught_export(std::size_t spans, const Export& run) noexcept {
#if MLFLOW_TRACE_HAS_EXCEPTIONS
    try {
        return run();
    } catch (const std::bad_alloc&) {
        return export_without_memory(spans);
    } catch (const std::exception& thrown) {
        return failed_export(spans, what_of(thrown));
    } catch (...) {
        return failed_export(spans, "the exporter threw what is not a std::exception");
    }
#else
    static_cast<void>(spans);
    return run();
#endif
}

template <class Exporter>
concept counts_itself = requires(Exporter& exporter) {
    { exporter.account() } -> std::same_as<span_account>;
};

// What a user's exporter throws must not end the thread that recorded, nor the one that delivers; nor may what it
// says break the account.
template <class Exporter>
export_result guarded_export(Exporter& exporter, trace_batch& batch) noexcept {
    const std::size_t spans = batch.span_count();
    export_result outcome = caught_export(spans, [&]() -> export_result { return exporter.export_traces(batch); });
    balance(outcome, spans, counts_itself<Exporter>);
    return outcome;
}

// What is left to be counted: of an exporter with an account of its own only what it threw, and so did not see.
template <class Exporter>
export_result uncounted_export(Exporter& exporter, trace_batch& batch) noexcept {
    if constexpr (counts_itself<Exporter>) {
        return caught_export(batch.span_count(), [&]() -> export_result {
            static_cast<void>(exporter.export_traces(batch));
            return {};
        });
    } else return guarded_export(exporter, batch);
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
