// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <string>
#include <utility>

// What the command line and the environment say.
namespace arguments {

namespace mt = mlflow::trace;

using to_mlflow = mt::mlflow_exporter<mt::beast_transport>;

struct values {
    std::string folder;
    std::string tracking_uri = "http://127.0.0.1:5000";
    std::string experiment;
    std::string service_name;
    std::string source_name;
    bool json = false;
    bool with_rejected = false;
    unsigned give_up_after = 60; // seconds
};

inline void add_folder(CLI::App& command, values& told) {
    command.add_option("FOLDER", told.folder, "of the spool")->required()->check(CLI::ExistingDirectory);
}
inline void add_output(CLI::App& command, values& told) {
    command.add_flag("--json", told.json, "all rows as a JSON array");
}
inline void add_receiver(CLI::App& command, values& told) {
    command.add_option("--tracking-uri", told.tracking_uri, "MLflow server")->envname("MLFLOW_TRACKING_URI");
    command
        .add_option("--experiment", told.experiment,
                    "name of the experiment (default: MLFLOW_EXPERIMENT_ID or Default)")
        ->envname("MLFLOW_EXPERIMENT_NAME");
    command.add_option("--service-name", told.service_name, "of the program that recorded: the tag service.name");
    command.add_option("--source-name", told.source_name, "of the program that recorded: mlflow.source.name");
    command.add_flag("--rejected", told.with_rejected, "also what the server has refused before");
    command.add_option("--give-up-after", told.give_up_after, "seconds in which nothing was taken (default: 60)");
}

inline std::string from_environment(const char* name) {
    const char* const value = std::getenv(name);
    return value ? value : "";
}

// As MLflow's own clients find their credentials.
inline mt::secret authorization() {
    if (const mt::secret token(from_environment("MLFLOW_TRACKING_TOKEN")); !token.empty())
        return mt::bearer_authorization(token);
    const auto name = from_environment("MLFLOW_TRACKING_USERNAME");
    if (name.empty()) return {};
    return mt::basic_authorization(name, mt::secret(from_environment("MLFLOW_TRACKING_PASSWORD")));
}

inline to_mlflow::options receiver(const values& told) {
    to_mlflow::options options{
        .tracking_uri = told.tracking_uri, .source_name = told.source_name, .authorization = authorization()};
    if (!told.service_name.empty()) options.resource = {{"service.name", told.service_name}};
    if (!told.experiment.empty()) options.experiment_name = told.experiment;
    else options.experiment_id = from_environment("MLFLOW_EXPERIMENT_ID");
    return options;
}

} // namespace arguments
