// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "selection.hpp"

#include <utility>

namespace commands {

// A filter selects sessions, but their totals include all of their traces.
inline command sessions(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand(
        "sessions", "list sessions that contain a matching trace, each with all its traces, in chronological order");
    const auto how = add_selection(*parser, "only sessions in which a matching trace failed");
    return {parser, [&told, how](source& from) {
                auto where = arguments::query_of(told).where;
                if (how->failed) where = std::move(where) && mt::field::status == mt::field::error;
                auto found = mt::find_sessions(from, {.where = std::move(where),
                                                      .having = how->conditions(),
                                                      .most_searches = from.server() ? 100U : 0U});
                if (!found) return fail(found.error().message());
                if (found->empty()) return print_nothing(from, told, "session", mt::session::name);
                return print_selected(from, std::move(*found), *how, told);
            }};
}

} // namespace commands
