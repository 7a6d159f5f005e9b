// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"

namespace commands {

inline command sessions(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("sessions", "each session, in the order in which they began");
    return {parser, [&told](source& from) {
                return print_found(mt::summarise_sessions(from, arguments::query_of(told)), told);
            }};
}

} // namespace commands
