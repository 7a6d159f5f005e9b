// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include "rows.hpp"
#include "source.hpp"
#include "table.hpp"

#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

// What each command is made of. A command is a function in a header of its own, which adds itself to the command line
// and says what to do when it is called: `command name(CLI::App&, const arguments::common&)`.
struct command {
    CLI::App* parser;
    std::function<int(source&)> run; ///< gives the exit code
};

namespace commands {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

inline int fail(const std::string& message) {
    std::cerr << "mlflow_sessions: " << table::harmless(message) << '\n';
    return 1;
}

inline int print(const std::vector<json>& rows, const arguments::common& told) {
    if (told.json) {
        std::cout << '[';
        for (std::size_t i = 0; i < rows.size(); ++i) {
            std::string line = mt::json_line(rows[i]);
            line.pop_back();
            std::cout << (i == 0 ? "\n" : ",\n") << line;
        }
        std::cout << "\n]\n";
    } else {
        table::print(rows);
    }
    return std::cout.flush() ? 0 : fail("the output cannot be written");
}

template <class Found>
int print_found(const Found& found, const arguments::common& told) {
    if (!found) return fail(found.error().message());
    std::vector<json> all;
    for (const auto& one : *found) all.push_back(rows::of(one));
    return print(all, told);
}

} // namespace commands
