// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "report.hpp"

#include <memory>
#include <string>

namespace commands {

inline command reported(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("report", "write an HTML page with figures, sessions and messages");
    const auto chosen = std::make_shared<report::options>();
    report::add(*parser, *chosen);
    return {parser,
            [&told, chosen](source& from) {
                const auto query = arguments::query_of(told);
                const std::string fault = from.server() ? report::write(from, *from.server(), told, query, *chosen)
                                                        : report::write(from, *from.file(), told, query, *chosen);
                return fault.empty() ? 0 : fail(fault);
            },
            {"--limit", "--columns", "--json"}};
}

} // namespace commands
