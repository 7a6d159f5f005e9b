// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/spool/spool.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <utility>

// The command line and the environment.
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
    command.add_option("FOLDER", told.folder, "folder of the spool")->required()->check(CLI::ExistingDirectory);
}
inline void add_output(CLI::App& command, values& told) {
    command.add_flag("--json", told.json, "print all rows as a JSON array");
}
inline void add_receiver(CLI::App& command, values& told) {
    command.add_option("--tracking-uri", told.tracking_uri, "URL of the MLflow server")
        ->envname("MLFLOW_TRACKING_URI");
    command
        .add_option("--experiment", told.experiment,
                    "experiment name (default: the experiment MLFLOW_EXPERIMENT_ID, or Default)")
        ->envname("MLFLOW_EXPERIMENT_NAME");
    command.add_option("--service-name", told.service_name, "service.name of the program that recorded the traces");
    command.add_option("--source-name", told.source_name,
                       "mlflow.source.name of the program that recorded the traces");
    command.add_flag("--rejected", told.with_rejected,
                     "also retry spans that the server has rejected (*.rejected files)");
    command.add_option("--give-up-after", told.give_up_after,
                       "give up after this many seconds in which the server accepts nothing (default: 60)");
}

// The exporter's options. The command line takes precedence over the environment. Throws if a variable is invalid.
inline to_mlflow::options receiver(const values& told) {
    ::setenv("MLFLOW_TRACKING_URI", told.tracking_uri.c_str(), 1);
    auto options = mt::from_environment<to_mlflow>({.source_name = told.source_name});
    if (!options) throw std::runtime_error(options.error().message());
    if (!told.service_name.empty()) options->resource = {{"service.name", told.service_name}};
    if (!told.experiment.empty()) {
        options->experiment_name = told.experiment;
        options->experiment_id.clear();
    }
    return std::move(*options);
}

} // namespace arguments
