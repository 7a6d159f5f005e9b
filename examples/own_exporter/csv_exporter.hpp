// SPDX-License-Identifier: Apache-2.0
// A custom exporter: one CSV line per span, for a spreadsheet.
#pragma once

#include <mlflow/trace/core/export_result.hpp>
#include <mlflow/trace/core/trace_batch.hpp>
#include <mlflow/trace/wire/recorded_trace.hpp>

#include <fcntl.h>
#include <fstream>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

class csv_exporter {
public:
    struct options {
        std::string path = "spans.csv";
    };

    explicit csv_exporter(options chosen) : path_(std::move(chosen.path)), file_(made(path_), std::ios::app) {}

    // The only required member of an exporter. An exception would be caught, and the spans would count as failed.
    mlflow::trace::export_result export_traces(mlflow::trace::trace_batch& batch) {
        for (const mlflow::trace::trace_data& data : batch) {
            const auto trace = mlflow::trace::decode(data);
            for (const auto& span : trace.spans) {
                file_ << trace.id.hex().view() << ',' << quoted(trace.metadata["mlflow.trace.user"]) << ','
                      << quoted(trace.metadata["mlflow.trace.session"]) << ',' << quoted(span.name) << ','
                      << static_cast<double>(span.end_unix_nano - span.start_unix_nano) / 1e6 << '\n';
            }
        }
        mlflow::trace::export_result outcome;
        if (file_.flush()) {
            outcome.exported_spans = batch.span_count();
        } else {
            file_.clear(); // the next batch tries again
            outcome.failed_spans = batch.span_count();
            outcome.error = mlflow::trace::error(mlflow::trace::error_kind::file, path_, "cannot be written");
        }
        return outcome;
    }

private:
    // Readable by its owner only, because it contains users' IDs.
    static std::string made(std::string path) {
        if (const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600); file >= 0)
            ::close(file);
        return path;
    }

    // Users choose these texts: an apostrophe keeps a spreadsheet from treating them as formulas.
    static std::string quoted(std::string_view text) {
        const bool is_formula =
            !text.empty() && std::string_view("=+-@\t\r\n").find(text[0]) != std::string_view::npos;
        std::string field = is_formula ? "\"'" : "\"";
        for (const char c : text) field.append(c == '"' ? 2 : 1, c);
        return field += '"';
    }

    std::string path_;
    std::ofstream file_;
};
