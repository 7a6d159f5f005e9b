// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "generated.hpp"

#include <CLI/CLI.hpp>
#include <string>

// Parses the command line of a program with subcommands. CLI11's own error about a missing or unknown one names none.
namespace generated {

// The program, or its subcommand, for which a subcommand was not given; null if none is missing.
inline const CLI::App* without_command(const CLI::App& app) {
    const auto given = app.get_subcommands();
    if (!given.empty()) return without_command(*given.front());
    return commands_of(app).empty() ? nullptr : &app;
}

/// Throws CLI's errors.
inline void parse(CLI::App& app, int argc, char** argv) {
    const auto commands = [&app] {
        const CLI::App* const of = without_command(app);
        std::string names;
        if (of)
            for (const CLI::App* const one : commands_of(*of)) names += (names.empty() ? "" : ", ") + one->get_name();
        return of ? "The commands" + (of == &app ? std::string() : " of " + of->get_name()) + " are: " + names
                  : names;
    };
    try {
        app.parse(argc, argv);
    } catch (const CLI::ExtrasError& error) {
        if (!without_command(app)) throw;
        throw CLI::ExtrasError(std::string(error.what()) + '\n' + commands(), CLI::ExitCodes::ExtrasError);
    }
    if (without_command(app))
        throw CLI::RequiredError("No command was given. " + commands(), CLI::ExitCodes::RequiredError);
}

} // namespace generated
