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

// Memory may become available again; smaller requests are more likely to succeed.
inline export_result export_without_memory(std::size_t spans) noexcept {
    export_result outcome;
    outcome.failed_spans = spans;
    outcome.retryable = outcome.too_slow = true;
    outcome.error = error(error_kind::out_of_memory);
    return outcome;
}

inline export_result failed_export(std::size_t spans, const char* why) noexcept {
    export_result outcome;
    outcome.failed_spans = spans;
    outcome.error = error(error_kind::other, {}, why);
    return outcome;
}

// Makes counts add up: spans that the exporter did not count have failed. Not inlined into the way of every trace.
__attribute__((noinline)) inline void balance(export_result& outcome, std::size_t spans) noexcept {
    const std::size_t failed = outcome.failed_spans < spans ? outcome.failed_spans : spans;
    const std::size_t exported = outcome.exported_spans < spans - failed ? outcome.exported_spans : spans - failed;
    const bool is_balanced = exported == outcome.exported_spans && exported + outcome.failed_spans == spans;
    if (!is_balanced && !outcome.error) outcome.error = error(error_kind::miscounted);
    else if (!outcome.ok() && !outcome.error) outcome.error = error(error_kind::other, "the exporter");
    if (!is_balanced) outcome.is_final = true; // what the exporter did with the spans is unknown
    if constexpr (machine::has_heap)           // the text may quote a receiver
        guarded([&] { outcome.error = outcome.error.with_message(displayed(outcome.error.message())); }, [] {});
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
        return failed_export(spans, "the exporter threw something other than a std::exception");
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

// Calls a user's exporter. An exception must not end the recording or the delivering thread, and wrong counts must
// not break the account.
template <class Exporter>
export_result guarded_export(Exporter& exporter, trace_batch& batch) noexcept {
    const std::size_t spans = batch.span_count();
    export_result outcome = caught_export(spans, [&]() -> export_result { return exporter.export_traces(batch); });
    if constexpr (counts_itself<Exporter>) // zero counts mean that it has taken over all spans
        if (outcome.exported_spans == 0 && outcome.failed_spans == 0) outcome.exported_spans = spans;
    if (outcome.exported_spans != spans || outcome.failed_spans != 0 || outcome.error) balance(outcome, spans);
    return outcome;
}

// Returns what remains to be counted. For an exporter with its own account, these are the spans of an export that
// threw, which that account does not contain.
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
