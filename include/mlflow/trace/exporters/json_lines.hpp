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

/// Appends to a file of OTLP JSON lines, which is what the OpenTelemetry Collector's file exporter writes and its
/// `otlpjsonfilereceiver` reads. One line per batch. Processes may share a file on a local disk: a line is written in
/// append mode, under a lock where it can be had at once. What a full disk or a crash has cut short, in this process
/// or another, costs no line but itself. A file that is renamed or removed is made anew.
///
/// The file is made readable by its owner only, since it holds what users said. Errors: a file that cannot be opened
/// or written (disk full) fails the batch, and is tried again with the next one. So does a file that belongs to
/// another user, that others may write to, that has a second name (a hard link), or that is reached by a symbolic
/// link of another user. A terminal, a pipe (`/dev/stdout`) and a FIFO of this user with a reader are written to as
/// they are.
class json_lines_exporter {
public:
    struct options {
        std::string path = "traces.jsonl";
        resource_attributes resource{{"service.name", "unknown_service"}};
    };

    json_lines_exporter() : json_lines_exporter(options{}) {}
    explicit json_lines_exporter(options chosen) : options_(std::move(chosen)) {}
    json_lines_exporter(const json_lines_exporter&) = delete;
    json_lines_exporter& operator=(const json_lines_exporter&) = delete;

    export_result export_traces(trace_batch& batch) {
        export_result outcome;
        if (batch.empty()) return outcome;
        request_.clear();
        line_.clear();
        if (!append_otlp_request(request_, batch, options_.resource, otlp_receiver::any) ||
            !detail::append_otlp_json(line_, request_.view()) || !line_.push_back('\n')) {
            return detail::export_without_memory(batch.span_count());
        }
        const std::string fault = append();
        request_.clear_to(detail::kept_request);
        line_.clear_to(detail::kept_request);
        if (!fault.empty()) return fail(batch, fault);
        outcome.exported_spans = batch.span_count();
        return outcome;
    }

private:
    export_result fail(const trace_batch& batch, std::string_view why) {
        export_result outcome;
        outcome.failed_spans = batch.span_count();
        outcome.error = std::string(why);
        if (!outcome.error.starts_with(options_.path)) outcome.error = options_.path + ": " + outcome.error;
        return outcome;
    }

    // Why the line is not in the file; empty when it is.
    std::string append() {
        if (!file_.is_at(options_.path))
            if (auto fault = file_.open(options_.path); !fault.empty()) return fault;
        return file_.append_line(line_.view()) ? std::string() : std::strerror(errno);
    }

    options options_;
    detail::buffer request_;
    detail::buffer line_;
    detail::appended_file file_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
