// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"

namespace commands {

inline command show(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("show", "a session turn by turn");
    const auto id = std::make_shared<std::string>();
    parser->add_option("SESSION", *id, "ID of the session")->required();
    return {parser, [&told, id](source& from) {
                const auto whole = arguments::parse_key<mt::session>("SESSION", *id);
                return print_found(mt::session_flow(from, whole, arguments::query_of(told)), told);
            }};
}

} // namespace commands
