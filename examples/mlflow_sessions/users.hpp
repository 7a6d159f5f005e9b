// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"

namespace commands {

inline command users(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("users", "what each user did");
    return {parser, [&told](source& from) {
                return print_found(mt::summarise_users(from, arguments::query_of(told)), told);
            }};
}

} // namespace commands
