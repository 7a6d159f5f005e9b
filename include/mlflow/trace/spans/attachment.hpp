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

/// A file that belongs to a trace: an image, an audio recording, a PDF. A span records a `reference()` to the file,
/// and MLflow's page shows the file in its place (checked with MLflow 3.17). The bytes are uploaded separately, by
/// `attachment_client`, once the trace has been delivered. In a message:
/// `content_part::image(picture.reference(span.trace_id()))`.
///
/// The constructor throws `std::bad_alloc` when memory runs out. Thread-safety: as `std::string`.
class attachment {
public:
    /// `content_type`: a MIME type, such as `application/pdf`. The attachment gets a new ID.
    attachment(std::string content_type, std::string bytes)
        : id_(new_uuid_v7<hosted_platform>()), content_type_(std::move(content_type)), bytes_(std::move(bytes)) {}

    /// The ID of the file in MLflow, a UUID.
    [[nodiscard]] std::string_view id() const noexcept { return id_; }
    /// The content of the file.
    [[nodiscard]] const std::string& bytes() const noexcept { return bytes_; }
    /// The URL by which inputs and outputs of the trace's spans refer to the file (mlflow/tracing/attachments.py).
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
