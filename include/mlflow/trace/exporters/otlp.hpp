// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/concepts.hpp>
#include <mlflow/trace/exporters/gen_ai.hpp>
#include <mlflow/trace/http/credentials.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/http/otlp_client.hpp>
#include <mlflow/trace/http/outcome.hpp>
#include <mlflow/trace/http/secret.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// Which responses with a success status prove that the receiver accepted the spans.
enum class otlp_success : std::uint8_t {
    /// An empty body or an OTLP export response. Anything else may come from a login page or a proxy.
    export_response,
    /// Also any other JSON object, unless its `error` or `errors` is not empty, or its `success` or `ok` is false:
    /// for receivers with response formats of their own, such as Langfuse. Spans that its `partialSuccess` rejects
    /// count as failed.
    json_object
};

/// Delivers traces to any receiver of OTLP/HTTP in protobuf, such as an OpenTelemetry Collector, in one request per
/// batch.
///
/// The root span of a trace, or each span (`identity_on_every_span`), has the attributes `user.id` and `session.id`.
/// `otlp_receiver` decides how other metadata, tags and the client request ID are sent.
///
/// Errors: http/outcome.hpp decides what a response means. Spans that the receiver rejects in an otherwise successful
/// response (`partial_success`) count as failed, with the receiver's reason.
///
/// Thread-safety: all functions may be called from any thread; exports run one at a time.
///
/// Not included by <mlflow/trace.hpp>. `from_environment` in <mlflow/trace/environment/otlp.hpp> sets the options
/// from OpenTelemetry's environment variables.
template <class Transport>
class otlp_exporter {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());

public:
    /// Options of `otlp_exporter`.
    struct options {
        std::string traces_endpoint = "http://127.0.0.1:4318/v1/traces"; ///< the whole URL; nothing is appended
        /// How metadata, tags and the client request ID are sent.
        otlp_receiver receiver = otlp_receiver::any;
        /// Writes user and session on each span, including spans that end after the root span: for receivers that sum
        /// tokens and cost by span. Otherwise only the root span has them, as MLflow requires.
        bool identity_on_every_span = false;
        /// Which responses count as a success. Change it for a receiver with responses of its own, such as Langfuse.
        otlp_success success = otlp_success::export_response;
        /// OpenTelemetry's resource.
        resource_attributes resource{{"service.name", "unknown_service"}};
        /// Headers sent with each request, for example an API key.
        std::vector<std::pair<std::string, secret>> headers{};
        /// `basic_authorization()`, `bearer_authorization()`, or a function. Empty: no credentials. Use them over
        /// `https` only.
        credentials authorization{};
        /// For each request. Raise it for a slow receiver.
        std::chrono::milliseconds timeout{10'000};
        /// Options of the transport.
        typename Transport::options transport{};
    };

    /// Stores the options. Does not connect.
    otlp_exporter() : otlp_exporter(options{}) {}
    /// Stores the options. Does not connect.
    explicit otlp_exporter(options chosen)
        : form_(chosen.receiver), success_(chosen.success), resource_(std::move(chosen.resource)),
          receiver_({"traces_endpoint",
                     std::move(chosen.traces_endpoint),
                     std::move(chosen.headers),
                     {},
                     std::move(chosen.authorization),
                     chosen.timeout,
                     std::move(chosen.transport)}) {
        if (chosen.receiver == otlp_receiver::gen_ai) form_.append_body = &detail::append_body_in_gen_ai_terms;
        form_.identity_on_every_span = chosen.identity_on_every_span;
    }

    /// Sends the batch in one request.
    export_result export_traces(trace_batch& batch) {
        const std::lock_guard guard(lock_);
        if (batch.empty()) return {};
        body_.clear();
        if (!append_otlp_request(body_, batch, resource_, form_))
            return failed(batch.span_count(), detail::no_memory_for_request());
        auto reply = receiver_.post(body_.view());
        body_.clear_to(detail::kept_request);
        if (!reply) return failed(batch.span_count(), reply.error());
        return taken(batch.span_count(), *reply);
    }

private:
    static export_result failed(std::size_t spans, const error& why) {
        export_result outcome;
        detail::add_failure(outcome, spans, why);
        return outcome;
    }

    export_result taken(std::size_t spans, const http_response& reply) const {
        auto told = detail::read_export_reply(reply);
        if (!told) {
            told = detail::read_object_reply(reply);
            if (!told || success_ == otlp_success::export_response) {
                auto why = receiver_.unproven(reply);
                if (told)
                    why = why.with_message(why.message() +
                                           " If this is the receiver's normal response, set success to json_object.");
                return failed(spans, std::move(why));
            }
        }
        return detail::partial_success(spans, *told, receiver_.secrets());
    }

    otlp_form form_;
    otlp_success success_;
    resource_attributes resource_;
    std::mutex lock_;
    detail::otlp_client<Transport> receiver_;
    detail::buffer body_;
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
