// SPDX-License-Identifier: Apache-2.0
// The support assistant of examples/chat as a web service. Each turn is recorded with the user and session in its
// headers.
#include "../chat/deliver.hpp"
#include "application.hpp"
#include "coroutines.hpp" // before other headers of Boost.Asio
#include "server.hpp"
#include <mlflow/trace/environment/mlflow.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace {

namespace mt = mlflow::trace;

constexpr std::string_view usage =
    "usage: chat_server [--coroutines] [PORT]\n\n"
    "Serves POST /chat, POST /feedback and GET /health on 127.0.0.1, on PORT (default 8080; 0 for any free port).\n"
    "On SIGTERM or SIGINT it finishes the requests in progress, delivers the recorded traces and exits. Each turn "
    "is\n"
    "answered by a thread, or with --coroutines by a coroutine.\n\n"
    "Environment variables:\n"
    "  MLFLOW_TRACKING_URI      MLflow server; if not set, traces are written to ./traces.jsonl\n"
    "  MLFLOW_EXPERIMENT_NAME, MLFLOW_EXPERIMENT_ID, and MLflow's other variables\n"
    "  OPENAI_BASE_URL          OpenAI-compatible server, over http; if not set, the built-in model answers\n"
    "  OPENAI_API_KEY, OPENAI_MODEL\n"
    "  APP_ENVIRONMENT, APP_VERSION, APP_REGION, APP_HOST   tags of every trace\n"
    "  CHAT_TRACING=off         disables tracing\n\n"
    "Exit status: 0 on success, 1 if a request was not answered or a trace not delivered, 2 if it could not start.\n";

std::string environment(const char* name) {
    const char* const value = std::getenv(name);
    return value ? value : "";
}

mt::deployment_info deployment() {
    return {.environment = environment("APP_ENVIRONMENT"),
            .version = environment("APP_VERSION"),
            .region = environment("APP_REGION"),
            .host = environment("APP_HOST")};
}

chat_server::served_model chosen_model() {
    const std::string base_url = environment("OPENAI_BASE_URL");
    if (base_url.empty()) return {};
    chat_server::openai_model::options upstream{.base_url = base_url, .api_key = environment("OPENAI_API_KEY")};
    if (const auto name = environment("OPENAI_MODEL"); !name.empty()) upstream.model = name;
    return chat_server::served_model(upstream);
}

template <class Context, class Exporter>
using tracer_to = mt::tracer<chat::schema, Context, mt::batch<mt::deployed<Exporter>>>;

template <class Tracer>
using pages_of = std::conditional_t<std::is_same_v<typename Tracer::context_type, mt::coroutine_context>,
                                    chat_server::coroutine_application<Tracer>, chat_server::application<Tracer>>;

/// Serves until a signal, then delivers the recorded traces. Returns the exit status of the program.
template <class Tracer>
int serve(Tracer& tracer, std::uint16_t port, std::optional<chat_server::feedback_store> feedback,
          const std::string& where) {
    using chat_server::exchange;
    using chat_server::request;
    pages_of<Tracer> pages(
        tracer,
        {.corpus = MLFLOW_TRACE_EXAMPLES_DIR "/corpus", .model = chosen_model(), .feedback = std::move(feedback)});
    chat_server::server server({.port = port}, [&pages](request asked, std::shared_ptr<exchange> to) {
        pages.handle(std::move(asked), std::move(to));
    });
    server.stop_on_signals();
    std::printf("listening on http://127.0.0.1:%d, recording to %s\n", server.port(), where.c_str());
    std::fflush(stdout);
    const bool all_answered = server.run();
    pages.finish();
    chat::deliver(tracer, std::chrono::minutes(1)); // a second signal ends the wait
    const mt::span_account spans = tracer.account();
    std::printf("%llu of %llu spans delivered\n", static_cast<unsigned long long>(spans.exported),
                static_cast<unsigned long long>(spans.started));
    if (!all_answered) std::fprintf(stderr, "chat_server: not every request was answered in time\n");
    if (spans.exported != spans.started)
        std::fprintf(stderr, "chat_server: %s\n", tracer.last_error().message().c_str());
    return all_answered && spans.exported == spans.started ? 0 : 1;
}

template <class Context>
int run(std::uint16_t port) {
    const bool enabled = environment("CHAT_TRACING") != "off";
    const mt::resource_attributes resource{{"service.name", "bike-support"}};
    if (environment("MLFLOW_TRACKING_URI").empty()) {
        using tracer_type = tracer_to<Context, mt::json_lines_exporter>;
        tracer_type tracer(typename tracer_type::options{.enabled = enabled}, deployment(),
                           mt::json_lines_exporter::options{.path = "traces.jsonl", .resource = resource});
        return serve(tracer, port, std::nullopt, "./traces.jsonl");
    }
    using mlflow = mt::mlflow_exporter<mt::beast_transport>;
    const auto server = mt::from_environment<mlflow>({.resource = resource});
    const auto client = mt::from_environment<chat_server::feedback_store::client>();
    if (!server || !client) {
        std::fprintf(stderr, "chat_server: %s\n", (!server ? server.error() : client.error()).message().c_str());
        return 2;
    }
    using tracer_type = tracer_to<Context, mt::retry<mlflow>>;
    tracer_type tracer(typename tracer_type::options{.enabled = enabled}, deployment(), *server);
    auto& exporter = tracer.template get<mlflow>();
    if (const auto connected = exporter.connect(); !connected) {
        std::fprintf(stderr, "chat_server: %s\n", connected.error().message().c_str());
        return 2;
    }
    return serve(tracer, port, chat_server::feedback_store(*client), exporter.experiment_url());
}

} // namespace

int main(int argc, char** argv) try {
    const bool by_coroutines = argc > 1 && argv[1] == std::string_view("--coroutines");
    if (by_coroutines) ++argv, --argc;
    const std::string argument = argc > 1 ? argv[1] : "8080";
    const bool is_port = !argument.empty() && argument.size() < 6 &&
                         argument.find_first_not_of("0123456789") == std::string::npos && std::stoi(argument) < 65536;
    if (argc > 2 || !is_port) {
        const bool is_help = argc == 2 && (argument == "-h" || argument == "--help");
        (is_help ? std::cout : std::cerr) << usage;
        return is_help ? 0 : 2;
    }
    const auto port = static_cast<std::uint16_t>(std::stoi(argument));
    return by_coroutines ? run<mt::coroutine_context>(port) : run<mt::thread_local_context>(port);
} catch (const std::exception& error) {
    std::fprintf(stderr, "chat_server: %s\n", error.what());
    return 2;
}
