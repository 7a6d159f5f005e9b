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

// As the environment says, and the command line before it. Throws what is wrong with one of its variables.
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
