// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "arguments.hpp"
#include "diagnosis.hpp"
#include "links.hpp"
#include "rows.hpp"
#include "source.hpp"
#include "table.hpp"

#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// The parts of a command. Each command is a function in its own header, which adds itself to the command line and
// returns what to run: `command name(CLI::App&, const arguments::common&)`.
struct command {
    CLI::App* parser;
    std::function<int(source&)> run;   ///< returns the exit code
    std::vector<const char*> unused{}; ///< options of all commands that have no effect on this one
    bool takes_files = true;           ///< whether it also works on a trace file
};

namespace commands {

namespace mt = mlflow::trace;
using json = nlohmann::ordered_json;

inline int fail(const std::string& message) {
    std::cerr << "mlflow_sessions: " << table::harmless(message) << '\n';
    return 1;
}

inline int flushed() { return std::cout.flush() ? 0 : fail("the output cannot be written"); }

inline int print_json(const std::vector<json>& rows) {
    std::cout << '[';
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::string line = mt::json_line(rows[i]);
        line.pop_back();
        std::cout << (i == 0 ? "\n" : ",\n") << line;
    }
    std::cout << "\n]\n";
    return flushed();
}

inline void limit(std::vector<json>& rows, const arguments::common& told) {
    if (told.limit == 0 || rows.size() <= told.limit) return;
    if (!told.json && table::is_terminal(STDOUT_FILENO))
        std::cerr << "the first " << told.limit << " of " << rows.size() << '\n';
    rows.resize(told.limit);
}

/// `kept` are columns of the table that are never left out.
inline int print(source& from, std::vector<json> rows, const arguments::common& told,
                 std::vector<std::string> kept = {}) {
    limit(rows, told);
    if (told.json) return print_json(rows);
    table::print(std::move(rows), {.columns = told.columns, .kept = std::move(kept), .address = links(from, told)});
    return flushed();
}

/// Explains an empty result.
inline int print_nothing(source& from, const arguments::common& told, const char* what, std::string_view key = {}) {
    const auto why = diagnosis::nothing_found(from, told, what, key);
    if (why.is_wrong_name) return fail(why.text);
    if (told.json) return print_json({});
    for (const std::string& line : table::wrapped(table::harmless(why.text), table::width_of_terminal()))
        std::cout << line << '\n';
    return flushed();
}

} // namespace commands
