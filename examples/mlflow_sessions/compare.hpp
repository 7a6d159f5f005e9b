// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"

namespace commands {

inline command compare(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("compare", "groups of traces side by side");
    const auto key = std::make_shared<std::string>();
    parser->add_option("--by", *key, "metadata key: app.segment, app.version, …")
        ->required()
        ->check(arguments::refuse_empty);
    return {parser, [&told, key](source& from) {
                return print_found(mt::summarise_by(from, *key, arguments::query_of(told)), told);
            }};
}

} // namespace commands
