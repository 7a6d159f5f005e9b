// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "selection.hpp"

#include <utility>

namespace commands {

inline command users(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("users", "list users with their totals, most active first");
    const auto how = add_selection(*parser, "only users with a failed trace");
    return {parser, [&told, how](source& from) {
                auto conditions = how->conditions();
                if (how->failed) conditions = std::move(conditions) && mt::total::errors > 0;
                auto found = mt::summarise_users(from, arguments::query_of(told));
                if (!found) return fail(found.error().message());
                const auto now = mt::current_time();
                std::erase_if(*found, [&](const mt::user_summary& one) { return !conditions.matches(one, now); });
                if (found->empty()) return print_nothing(from, told, "user", mt::user::name);
                return print_selected(from, std::move(*found), *how, told);
            }};
}

} // namespace commands
