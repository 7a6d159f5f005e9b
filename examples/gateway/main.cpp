// SPDX-License-Identifier: Apache-2.0
// Several services that answer a question together and record one trace. The first one has the user and the session;
// each calls the next, and the headers of the request propagate the trace.
#include "../chat_server/server.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/hmac_seal.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
namespace http = boost::beast::http;

constexpr std::string_view usage =
    "usage: gateway NAME [NEXT]\n\n"
    "Serves POST /ask, {\"question\": …}, on a free port of 127.0.0.1 until SIGTERM, as the service NAME. With NEXT, "
    "the\n"
    "URL of another service, it calls that service and returns its answer. Environment variables:\n"
    "  GATEWAY_KEY          the key that all services share; requests sealed with it are trusted for user and "
    "session\n"
    "  MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, and MLFLOW's other variables\n"
    "Without a trusted trace, the headers X-User-ID and X-Session-ID identify the user and the session.\n"
    "Exit status: 0, 1 when something could not be delivered, 2 when it could not start.\n";

using schema = mt::schema<mt::propagated<mt::required<mt::user>>, mt::propagated<mt::required<mt::session>>>;
using mlflow_server = mt::mlflow_exporter<mt::beast_transport>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::batch<mt::retry<mlflow_server>>>;
using wire = mt::propagator<schema, mt::hmac_seal>;
using identity = mt::http_headers<mt::header<"X-User-ID", mt::user>, mt::header<"X-Session-ID", mt::session>>;

// What each service does.
class service {
public:
    service(tracer_type& tracer, std::string name, const std::string& next, std::string_view key)
        : tracer_(tracer), name_(std::move(name)),
          headers_({.hosts = {"127.0.0.1"}, .seal = {.key = mt::secret(key)}}) {
        if (next.empty()) return;
        const auto parsed = mt::endpoint::parse(next);
        if (!parsed) throw std::invalid_argument(parsed.error().message());
        next_ = *parsed;
    }

    chat_server::response answer(const chat_server::request& asked) {
        const auto who = identity::parse(asked.base());
        if (!who) return chat_server::error_reply(http::status::bad_request, who.error().message());
        const auto body = nlohmann::json::parse(asked.body(), nullptr, false);
        if (!body.is_object() || !body.contains("question") || !body["question"].is_string())
            return chat_server::error_reply(http::status::bad_request, R"(send {"question": "…"})");

        auto trace = who->apply([&](const auto&... ids) {
            return tracer_.start_trace(name_, headers_.extract(asked.base()), mt::span_type::agent, ids...);
        });
        return trace.run([&] {
            const std::string question = body["question"];
            trace.inputs(mt::arg("question", question));
            const std::string said =
                next_.host.empty() ? "The answer to \"" + question + "\" is 42." : ask_next(question);
            trace.outputs(said);
            return chat_server::json_reply(http::status::ok,
                                           {{"answer", said}, {"trace_id", trace.trace_id().mlflow_id().view()}});
        });
    }

private:
    std::string ask_next(const std::string& question) {
        auto span = tracer_.start_span("ask the next service", mt::span_type::tool);
        std::vector<std::pair<std::string, std::string>> texts{{"Content-Type", "application/json"}};
        headers_.inject(span, next_.host,
                        [&](std::string_view name, std::string_view value) { texts.emplace_back(name, value); });
        std::vector<mt::http_header> headers;
        headers.reserve(texts.size());
        for (const auto& [name, value] : texts) headers.push_back({name, value});
        const std::string body =
            nlohmann::json{{"question", question}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        mt::beast_transport transport(next_);
        const auto reply =
            transport.send({.method = mt::http_method::post, .target = "/ask", .headers = headers, .body = body});
        if (!reply) throw std::runtime_error("the next service: " + reply.error().message());
        const auto said = nlohmann::json::parse(reply->body, nullptr, false);
        if (reply->status != 200 || !said.is_object() || !said.contains("answer") || !said["answer"].is_string())
            throw std::runtime_error("the next service answered " + std::to_string(reply->status));
        return said["answer"];
    }

    tracer_type& tracer_;
    const std::string name_;
    const wire headers_;
    mt::endpoint next_;
};

} // namespace

int main(int argc, char** argv) try {
    const char* const key = std::getenv("GATEWAY_KEY");
    if (argc < 2 || argc > 3 || !key || !*key) {
        std::fputs(usage.data(), stderr);
        return 2;
    }
    const auto server = mt::from_environment<mlflow_server>({.resource = {{"service.name", argv[1]}}});
    if (!server) {
        std::fprintf(stderr, "gateway: %s\n", server.error().message().c_str());
        return 2;
    }
    tracer_type tracer(*server);
    service answering(tracer, argv[1], argc == 3 ? argv[2] : "", key);
    boost::asio::thread_pool workers(4);
    chat_server::server serving(
        {.port = 0}, [&](chat_server::request asked, std::shared_ptr<chat_server::exchange> to) {
            boost::asio::post(workers, [&answering, asked = std::move(asked), to = std::move(to)] {
                try {
                    to->reply(answering.answer(asked));
                } catch (const std::exception& error) {
                    to->reply(chat_server::error_reply(http::status::bad_gateway, error.what()));
                }
            });
        });
    serving.stop_on_signals();
    std::printf("%s: http://127.0.0.1:%d\n", argv[1], serving.port());
    std::fflush(stdout);
    serving.run();
    workers.join();
    tracer.flush(std::chrono::minutes(1));
    const auto spans = tracer.account();
    if (spans.exported == spans.started) return 0;
    std::fprintf(stderr, "gateway: %s\n", tracer.last_error().message().c_str());
    return 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "gateway: %s\n", error.what());
    return 2;
}
