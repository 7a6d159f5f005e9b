// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/ids.hpp>
#include <mlflow/trace/core/uuid_v7.hpp>
#include <mlflow/trace/http/masked.hpp>
#include <mlflow/trace/platform/hosted.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A file that belongs to a trace: an image, a sound, a PDF. A span records where it is, `reference()`, and MLflow's
/// page (checked with 3.17) shows it there; the bytes go to the server apart, by `attachment_client` once the trace
/// has been delivered. In a message: `content_part::image(picture.reference(span.trace_id()))`.
///
/// Making one throws `std::bad_alloc` when there is no memory for it. Thread-safety: as `std::string`.
class attachment {
public:
    /// `content_type`: a MIME type, such as `application/pdf`.
    attachment(std::string content_type, std::string bytes)
        : id_(new_uuid_v7<hosted_platform>()), content_type_(std::move(content_type)), bytes_(std::move(bytes)) {}

    [[nodiscard]] std::string_view id() const noexcept { return id_; }
    [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
    /// For inputs and outputs of the trace's spans (mlflow/tracing/attachments.py).
    [[nodiscard]] std::string reference(const trace_id& trace) const {
        return "mlflow-attachment://" + std::string(id()) +
               "?content_type=" + detail::percent_encoded(content_type_) +
               "&trace_id=" + std::string(trace.mlflow_id().view()) + "&size=" + std::to_string(bytes_.size());
    }

private:
    id_text<36> id_;
    std::string content_type_;
    std::string bytes_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
