// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <chrono>

namespace mt = mlflow::trace;

// Nobody listens there: a program that links is what is shown, and one that sends.
int main() {
    mt::beast_transport transport(*mt::endpoint::parse("https://127.0.0.1:9"), {});
    const auto reply = transport.send({.target = "/", .timeout = std::chrono::seconds(5)});
    return reply.has_value() ? 1 : 0;
}
