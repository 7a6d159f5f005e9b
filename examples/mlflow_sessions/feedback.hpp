// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"

#include <utility>

namespace commands {

inline command feedback(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("feedback", "list feedback on traces, spans and sessions");
    return {parser, [&told](source& from) {
                std::vector<json> all;
                const auto done = from.for_each_trace(arguments::query_of(told), [&](const mt::trace_info& trace) {
                    for (json& row : rows::feedback_of(trace)) all.push_back(std::move(row));
                });
                if (!done) return fail(done.error().message());
                if (all.empty()) return print_nothing(from, told, "feedback");
                return print(from, std::move(all), told);
            }};
}

} // namespace commands
