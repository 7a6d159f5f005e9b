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

/// Which replies with a status of success say that the spans have arrived.
enum class otlp_success : std::uint8_t {
    /// No body, or an OTLP export response. Whatever else may be a login page's or a proxy's.
    export_response,
    /// Also any other object in JSON, but for one with something in `error` or `errors`, or with `success` or `ok`
    /// that is false: for receivers with words of their own, as Langfuse has them. What its `partialSuccess` rejects
    /// fails.
    json_object
};

/// Delivers to any receiver of OTLP/HTTP in protobuf, such as an OpenTelemetry Collector: one request for each batch.
///
/// The root span of a trace, or each span (`identity_on_every_span`), has the user as `user.id` and the session as
/// `session.id`, bare; `otlp_receiver` says what becomes of further metadata, tags and the client request ID. Errors:
/// what an answer means is decided in http/outcome.hpp; spans that the receiver took and rejects (`partial_success`)
/// fail, with its reason. Thread-safety: all functions, from any thread, one at a time.
///
/// Not part of <mlflow/trace.hpp>. `from_environment` of <mlflow/trace/environment/otlp.hpp> fills the options in
/// from OpenTelemetry's variables.
template <class Transport>
class otlp_exporter {
    static_assert(transport<Transport>,
                  "the transport lacks a member: mlflow::trace::result<http_response> send(const "
                  "mlflow::trace::http_request&)");
    static_assert(detail::is_made_as_transport<Transport>());

public:
    struct options {
        std::string traces_endpoint = "http://127.0.0.1:4318/v1/traces"; ///< the whole URL, used as it is
        otlp_receiver receiver = otlp_receiver::any;
        /// User and session on each span, also on those that end after their root: for receivers that sum up tokens
        /// and cost by span. Without it they are on the root alone, as MLflow wants them.
        bool identity_on_every_span = false;
        otlp_success success = otlp_success::export_response;
        resource_attributes resource{{"service.name", "unknown_service"}};
        /// Sent with each request, such as a key that the receiver asks for.
        std::vector<std::pair<std::string, secret>> headers{};
        /// `basic_authorization()`, `bearer_authorization()`, or a function; none when empty. Give it over `https`
        /// only.
        credentials authorization{};
        std::chrono::milliseconds timeout{10'000}; ///< for each request
        typename Transport::options transport{};
    };

    otlp_exporter() : otlp_exporter(options{}) {}
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
    static export_result failed(std::size_t spans, error why) {
        export_result outcome;
        detail::add_failure(outcome, spans, std::move(why));
        return outcome;
    }

    export_result taken(std::size_t spans, const http_response& reply) const {
        auto told = detail::read_export_reply(reply);
        if (!told) {
            told = detail::read_object_reply(reply);
            if (!told || success_ == otlp_success::export_response) {
                auto why = receiver_.unproven(reply);
                if (told)
                    why =
                        why.with_message(why.message() + " If it is the receiver's own, set success to json_object.");
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
