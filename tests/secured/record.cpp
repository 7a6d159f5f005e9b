// SPDX-License-Identifier: Apache-2.0
// Records a trace for each line of standard input, on the server and with the credentials that the environment names,
// and says where it is or why it failed, a line each. With an argument, that file holds user:password, and is read
// whenever the server refuses what it held before.
#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>
#include <mlflow/trace/transports/gzip.hpp>

#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <utility>

namespace mt = mlflow::trace;

using mlflow_server = mt::mlflow_exporter<mt::gzip_transport<mt::beast_transport>>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mlflow_server>;

int main(int argc, char** argv) {
    auto server = mt::from_environment<mlflow_server>({.experiment_name = "secured", .transport = {.at_least = 0}});
    if (!server) return std::printf("%s\n", server.error().message().c_str()), 1;
    if (argc > 1)
        server->authorization = [path = std::string(argv[1])] {
            std::string user, password;
            std::ifstream file(path);
            std::getline(std::getline(file, user, ':'), password);
            return mt::basic_authorization(user, mt::secret(password));
        };
    tracer_type tracer({.exporter = std::move(*server)});
    for (std::string name; std::getline(std::cin, name);) {
        const auto before = tracer.account().failed;
        auto trace = tracer.start_trace(name, mt::user{"user-1042"}, mt::session{"session-7"});
        trace.metadata("app.segment", "pro"); // needs MLflow's own API besides OTLP
        const auto id = trace.trace_id();
        trace.end();
        const bool arrived = tracer.account().failed == before;
        std::printf("%s\n", (arrived ? tracer.exporter().trace_url(id) : tracer.last_error().message()).c_str());
        std::fflush(stdout);
    }
}
