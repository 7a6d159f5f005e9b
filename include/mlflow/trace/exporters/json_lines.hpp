// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/core/otlp_request.hpp>
#include <mlflow/trace/detail/otlp_json.hpp>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace mlflow::trace::inline MLFLOW_TRACE_ABI {

/// Appends to a file of OTLP JSON lines, which is what the OpenTelemetry Collector's file exporter writes and its
/// `otlpjsonfilereceiver` reads. One line per batch; a line is written by one call in append mode, so that processes
/// may share a file on a local disk.
///
/// The file is made readable by its owner only, since it holds what users said. Errors: a file that cannot be opened
/// or written (disk full) fails the batch, and is tried again with the next one.
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
    ~json_lines_exporter() {
        if (file_ >= 0) ::close(file_);
    }

    export_result export_traces(trace_batch& batch) {
        export_result outcome;
        if (batch.empty()) return outcome;
        request_.clear();
        line_.clear();
        if (!append_otlp_request(request_, batch, options_.resource, otlp_receiver::any) ||
            !detail::append_otlp_json(line_, request_.view()) || !line_.push_back('\n')) {
            return fail(batch, "out of memory");
        }
        if (file_ < 0) file_ = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (file_ < 0 || !write_line()) return fail(batch, std::strerror(errno));
        outcome.exported_spans = batch.span_count();
        return outcome;
    }

private:
    export_result fail(const trace_batch& batch, std::string_view why) {
        export_result outcome;
        outcome.failed_spans = batch.span_count();
        outcome.error = options_.path + ": " + std::string(why);
        return outcome;
    }

    bool write_line() {
        std::string_view rest = line_.view();
        if (cut_) { // what was cut short before must not swallow this line
            if (::write(file_, "\n", 1) != 1) return false;
            cut_ = false;
        }
        while (!rest.empty()) {
            const ssize_t written = ::write(file_, rest.data(), rest.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) {
                cut_ = rest.size() != line_.size();
                return false;
            }
            rest.remove_prefix(static_cast<std::size_t>(written));
        }
        return true;
    }

    options options_;
    detail::buffer request_;
    detail::buffer line_;
    int file_ = -1;
    bool cut_ = false;
};

} // namespace mlflow::trace::inline MLFLOW_TRACE_ABI
