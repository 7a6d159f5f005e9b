// SPDX-License-Identifier: Apache-2.0
// Who uses an application and how: users, sessions and feedback of an MLflow server or of a local trace file.
#include "arguments.hpp"
#include "command.hpp"
#include "compare.hpp"
#include "export.hpp"
#include "feedback.hpp"
#include "sessions.hpp"
#include "show.hpp"
#include "users.hpp"

#include <exception>
#include <vector>

namespace {

int run(int argc, char** argv) {
    CLI::App app{"Users and sessions of a GenAI application, from MLflow or a trace file"};
    arguments::common told;
    arguments::add(app, told);
    app.require_subcommand(1);
    std::vector<command> all;
    for (const auto add : {commands::users, commands::sessions, commands::show, commands::compare, commands::feedback,
                           commands::exported}) {
        all.push_back(add(app, told));
        all.back().parser->fallthrough();
    }
    try {
        app.parse(argc, argv);
        static_cast<void>(arguments::query_of(told)); // what is wrong with it, before anything is asked for
        source from(told);
        int status = 0;
        for (const command& one : all)
            if (one.parser->parsed()) status = one.run(from);
        if (status == 0) from.tell_damage();
        return status;
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    }
}

} // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return commands::fail(error.what());
    }
}
