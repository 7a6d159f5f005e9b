// SPDX-License-Identifier: Apache-2.0
// A support assistant for a bike-sharing service. It records each turn with its user and session.
#include "agent.hpp"
#include "deliver.hpp"
#include "input.hpp"
#include "summary.hpp"
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

namespace {

namespace mt = mlflow::trace;

using mlflow_server = mt::mlflow_exporter<mt::beast_transport>;
using to_file = chat::counting<mt::json_lines_exporter>;
using to_mlflow = chat::counting<mlflow_server>;

template <class Exporter>
using tracer_to = mt::tracer<chat::schema, mt::thread_local_context, mt::batch<Exporter>>;

constexpr std::string_view usage =
    "usage: chat [FILE | -]\n\n"
    "Answers the messages in FILE (default: the conversations included with the example) or on standard input (-).\n"
    "Each line is a JSON object {\"user\": …, \"session\": …, \"request_id\": …, \"message\": …, \"stream\": true};\n"
    "only the message is required.\n\n"
    "Each turn is recorded to ./traces.jsonl. If MLFLOW_TRACKING_URI is set, it is recorded to that MLflow server, "
    "in\n"
    "the experiment MLFLOW_EXPERIMENT_NAME (created if it does not exist) or MLFLOW_EXPERIMENT_ID, with the\n"
    "credentials of MLflow's other variables.\n\n"
    "Exit status: 0 on success, 1 if a trace could not be delivered, 2 if the program could not start.\n";

/// The turn with its identity checked, or an error text.
std::variant<chat::turn, std::string> checked_turn(std::string_view line) {
    auto read = chat::read_turn(line);
    if (auto* const fault = std::get_if<std::string>(&read)) return *fault;
    auto& raw = std::get<chat::turn_request>(read);
    chat::turn turn{.message = std::move(raw.message), .stream = raw.stream};
    if (raw.user) {
        const auto user = mt::user::parse(*raw.user);
        if (!user) return "user: " + user.error().message();
        turn.user = *user;
    }
    if (raw.session) {
        const auto session = mt::session::parse(*raw.session);
        if (!session) return "session: " + session.error().message();
        turn.session = *session;
    }
    if (raw.request_id) {
        const auto request_id = mt::client_request_id::parse(*raw.request_id);
        if (!request_id) return "request_id: " + request_id.error().message();
        turn.request_id = *request_id;
    }
    return turn;
}

struct outcome {
    int turns = 0;
    int failed = 0;
    int skipped = 0;
};

template <class Tracer>
outcome answer_all(Tracer& tracer, std::istream& input) {
    chat::agent agent(tracer, MLFLOW_TRACE_EXAMPLES_DIR "/corpus");
    outcome counted;
    std::string line;
    for (int number = 1; std::getline(input, line); ++number) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty()) continue;
        auto checked = checked_turn(line);
        if (const auto* const fault = std::get_if<std::string>(&checked)) {
            std::fprintf(stderr, "line %d: %s\n", number, fault->c_str());
            ++counted.skipped;
            continue;
        }
        const auto& turn = std::get<chat::turn>(checked);
        const auto* const user = turn.user.get();
        std::printf("%.*s> %s\n", user ? static_cast<int>(user->view().size()) : 9,
                    user ? user->view().data() : "anonymous", turn.message.c_str());
        try {
            std::printf("  %s\n", agent.answer(turn).c_str());
        } catch (const std::exception& error) {
            std::printf("  (failed: %s)\n", error.what());
            ++counted.failed;
        }
        ++counted.turns;
    }
    return counted;
}

/// Delivers the recorded traces and prints the result. Returns the exit status of the program.
template <class Tracer>
int finish(Tracer& tracer, const outcome& counted, const chat::summary& recorded, const std::string& where) {
    chat::deliver(tracer, std::chrono::seconds(60));
    recorded.print();
    const mt::span_account account = tracer.account();
    std::printf("\n%d turns recorded, %d of them failed, %d lines skipped.\n%s\n", counted.turns, counted.failed,
                counted.skipped, where.c_str());
    if (account.exported == account.started) return 0;
    std::fprintf(stderr, "not delivered: %llu of %llu spans; %s\n",
                 static_cast<unsigned long long>(account.started - account.exported),
                 static_cast<unsigned long long>(account.started), tracer.last_error().message().c_str());
    return 1;
}

int run_with_mlflow(std::istream& input) {
    const auto server = mt::from_environment<mlflow_server>({.resource = {{"service.name", "bike-support"}}});
    if (!server) {
        std::fprintf(stderr, "chat: %s\n", server.error().message().c_str());
        return 2;
    }
    chat::summary recorded;
    tracer_to<mt::retry<to_mlflow>> tracer(*server, to_mlflow::options{.into = &recorded});
    auto& mlflow = tracer.get<mlflow_server>();
    if (const auto connected = mlflow.connect(); !connected) {
        std::fprintf(stderr, "chat: %s\n", connected.error().message().c_str());
        return 2;
    }
    const auto counted = answer_all(tracer, input);
    return finish(tracer, counted, recorded, "See them at " + mlflow.experiment_url());
}

int run_with_file(std::istream& input) {
    chat::summary recorded;
    const std::string path = "traces.jsonl";
    tracer_to<to_file> tracer(
        to_file::options{.into = &recorded},
        mt::json_lines_exporter::options{.path = path, .resource = {{"service.name", "bike-support"}}});
    const auto counted = answer_all(tracer, input);
    return finish(tracer, counted, recorded,
                  "Appended to ./" + path + "; set MLFLOW_TRACKING_URI to send them to MLflow.");
}

} // namespace

int main(int argc, char** argv) try {
    const std::string_view argument = argc > 1 ? argv[1] : "";
    if (argc > 2 || argument == "-h" || argument == "--help") {
        (argc > 2 ? std::cerr : std::cout) << usage;
        return argc > 2 ? 2 : 0;
    }
    std::ifstream file;
    if (argument != "-") {
        const std::string path =
            argument.empty() ? MLFLOW_TRACE_EXAMPLES_DIR "/conversations.jsonl" : std::string(argument);
        file.open(path);
        if (!file) {
            std::fprintf(stderr, "chat: cannot read %s\n", path.c_str());
            return 2;
        }
    }
    std::istream& input = argument == "-" ? std::cin : file;
    const char* const uri = std::getenv("MLFLOW_TRACKING_URI");
    return uri && *uri ? run_with_mlflow(input) : run_with_file(input);
} catch (const std::exception& error) {
    std::fprintf(stderr, "chat: %s\n", error.what());
    return 2;
}
