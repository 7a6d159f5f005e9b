// SPDX-License-Identifier: Apache-2.0
// Records traces into a file with the library's default exporter, and prints what it recorded as one JSON object.
//
//   file_writer FILE TRACES USERS
//
// A trace has two spans. The first users have most of the traces; a session has up to five turns of one user; about
// one trace in 20 fails, and about one in 10 has no token usage.
#include <mlflow/trace.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <random>
#include <string>
#include <vector>

namespace mt = mlflow::trace;

namespace {

struct recorded {
    std::uint64_t traces = 0;
    std::uint64_t errors = 0;
    std::uint64_t input_tokens = 0;
    std::uint64_t output_tokens = 0;
};

void record(mt::tracer<>& tracer, std::size_t number, std::size_t who, std::minstd_rand& random, recorded& of_user) {
    const std::string user = "user-" + std::to_string(who);
    const std::string session = user + "/" + std::to_string(of_user.traces++ / 5);
    auto trace = tracer.start_trace("chat", mt::user::parse(user).value(), mt::session::parse(session).value());
    trace.inputs("Question " + std::to_string(number) + ": where is my \"order\"?");
    {
        auto call = trace.start_span("generate", mt::span_type::llm);
        call.model("small");
        if (random() % 10 != 0) {
            const mt::token_usage used{.input = random() % 4'000, .output = random() % 900};
            call.usage(used);
            of_user.input_tokens += used.input;
            of_user.output_tokens += used.output;
        }
    }
    if (random() % 20 == 0) {
        trace.exception("std::runtime_error", "the shop did not answer");
        ++of_user.errors;
    } else {
        trace.outputs("Answer " + std::to_string(number) + ": it arrives tomorrow.");
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    const std::size_t count = std::stoul(argv[2]);
    std::vector<recorded> users(std::stoul(argv[3]));
    std::minstd_rand random(1);
    std::uniform_real_distribution<double> share(0, 1);
    mt::span_account account;
    {
        mt::tracer<> tracer({.exporter = {.path = argv[1]}});
        for (std::size_t number = 0; number < count; ++number) {
            const double at = share(random);
            const auto who = static_cast<std::size_t>(at * at * static_cast<double>(users.size()));
            record(tracer, number, who, random, users[who]);
        }
        account = tracer.account();
        if (account.exported != 2 * count) {
            std::fprintf(stderr, "%s\n", tracer.last_error().message().c_str());
            return 1;
        }
    }
    auto told = nlohmann::ordered_json::object();
    for (std::size_t who = 0; who < users.size(); ++who) {
        const recorded& of = users[who];
        if (of.traces > 0)
            told["user-" + std::to_string(who)] = {of.traces, (of.traces + 4) / 5, of.errors, of.input_tokens,
                                                   of.output_tokens};
    }
    std::cout << told << '\n';
}
