// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/platform/appended_file.hpp>
#include <mlflow/trace/wire/otlp_json.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Appends traces to a file of OTLP JSON lines, one line per batch. The OpenTelemetry Collector's file exporter
/// writes this format and its `otlpjsonfilereceiver` reads it.
///
/// Several processes may write to the same file on a local disk: lines are appended in append mode, and under a lock
/// if it is available at once. A line truncated by a full disk or a crash does not affect other lines. If the file is
/// renamed or removed, a new one is created. The file is readable by its owner only, because it holds recorded
/// content.
///
/// Errors: if the file cannot be opened or written, the batch fails and may be exported again, and the next batch
/// tries again. This includes a file that belongs to another user, that others may write to, that has a second hard
/// link, or that is reached by a symbolic link of another user. A terminal, a pipe (`/dev/stdout`), and a FIFO of
/// this user that has a reader are accepted.
///
/// Thread-safety: one thread at a time.
class json_lines_exporter {
public:
    /// Options of `json_lines_exporter`.
    struct options {
        /// The file.
        std::string path = "traces.jsonl";
        /// OpenTelemetry's resource, written on each line.
        resource_attributes resource{{"service.name", "unknown_service"}};
    };

    /// Stores the options. The first export opens the file.
    json_lines_exporter() : json_lines_exporter(options{}) {}
    /// Stores the options. The first export opens the file.
    explicit json_lines_exporter(options chosen) : options_(std::move(chosen)) {}
    json_lines_exporter(const json_lines_exporter&) = delete;
    json_lines_exporter& operator=(const json_lines_exporter&) = delete;

    /// Appends one line with all traces of the batch.
    export_result export_traces(trace_batch& batch) {
        export_result outcome;
        if (batch.empty()) return outcome;
        request_.clear();
        line_.clear();
        if (!append_otlp_request(request_, batch, options_.resource, otlp_receiver::any) ||
            !detail::append_otlp_json(line_, request_.view()) || !line_.push_back('\n')) {
            return detail::export_without_memory(batch.span_count());
        }
        outcome.error = append();
        request_.clear_to(detail::kept_request);
        line_.clear_to(detail::kept_request);
        outcome.retryable = static_cast<bool>(outcome.error); // the content is not the cause
        (outcome.error ? outcome.failed_spans : outcome.exported_spans) = batch.span_count();
        return outcome;
    }

private:
    // Returns why the line could not be written, or no error.
    error append() {
        if (!file_.is_at(options_.path))
            if (error fault = file_.open(options_.path)) return fault;
        return file_.append_line(line_.view()) ? error() : detail::file_error(options_.path, errno);
    }

    options options_;
    detail::buffer request_;
    detail::buffer line_;
    detail::appended_file file_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
