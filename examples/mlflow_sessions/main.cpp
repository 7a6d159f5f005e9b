// SPDX-License-Identifier: Apache-2.0
// Shows who uses an application and how: users, sessions and feedback from an MLflow server or a local trace file.
#include "arguments.hpp"
#include "command.hpp"
#include "compare.hpp"
#include "dataset.hpp"
#include "errors.hpp"
#include "export.hpp"
#include "feedback.hpp"
#include "forget.hpp"
#include "generated.hpp"
#include "no_command.hpp"
#include "report_command.hpp"
#include "sessions.hpp"
#include "show.hpp"
#include "users.hpp"
#include "watch.hpp"
#include <mlflow/trace/config.hpp>

#include <exception>
#include <fcntl.h>
#include <iostream>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

constexpr const char* questions = R"(Questions, and the command for each:
  How is it right now?              mlflow_sessions watch --once
  Which errors are there?           mlflow_sessions errors --since 24h
  Who got this one, and when?       mlflow_sessions errors --of "TimeoutError" --since 24h
  Who gets them?                    mlflow_sessions users --failed --since 24h
  Which sessions failed?            mlflow_sessions sessions --failed --since 1h
  What happened in this one?        mlflow_sessions show SESSION --failed
  For whom is it worse since then?  mlflow_sessions compare --since 12:00
  Does the new version fail more?   mlflow_sessions compare --by app.version --since 24h
  Is it worse than last week?       mlflow_sessions compare --by app.segment --before 7d
  What was slow?                    mlflow_sessions sessions --top p95 --since 24h
  Who costs most?                   mlflow_sessions users --top cost --since 7d
  Who asked once and left?          mlflow_sessions sessions --having "turns = 1 AND errors > 0"
  What do users dislike?            mlflow_sessions sessions --having "feedback.helpful < 0.5"
  Is this deployment healthy?       mlflow_sessions watch --for 10m --max-error-rate 2% --max-p95 3s
  What can I plot?                  mlflow_sessions export --since 7d --output traces.csv
  What can I share?                 mlflow_sessions report --since 7d --output report.html
  What should I evaluate?           mlflow_sessions dataset fill NAME --worst helpful --limit 50
  How do I delete a user's data?    mlflow_sessions forget --user ID)";

int run(int argc, char** argv) {
    CLI::App app{"analyse the users and sessions of a GenAI application, from an MLflow server or a trace file",
                 "mlflow_sessions"};
    arguments::common told;
    arguments::add(app, told);
    generated::add(app, MLFLOW_TRACE_VERSION);
    app.footer(questions);
    app.require_subcommand(0, 1);
    std::vector<command> all;
    for (const auto add : {commands::users, commands::sessions, commands::show, commands::errors, commands::compare,
                           commands::watch, commands::feedback, commands::exported, commands::reported}) {
        all.push_back(add(app, told));
        all.back().parser->fallthrough();
    }
    all.push_back(dataset::add(app, told));
    const forget::command forgotten(app);
    try {
        generated::parse(app, argc, argv);
        if (told.json) arguments::refuse(app, {"--columns"}, "with --json");
        if (forgotten.parsed()) return forgotten.run(told);
        static_cast<void>(arguments::query_of(told)); // checks the query before anything is requested
        for (const command& one : all)
            if (one.parser->parsed()) arguments::refuse(*one.parser, one.unused, "on " + one.parser->get_name());
        source from(told);
        int status = 0;
        for (const command& one : all)
            if (one.parser->parsed() && from.file() && !one.takes_files)
                return commands::fail(one.parser->get_name() +
                                      ": works on an MLflow server only; set --tracking-uri to its URL");
        if (from.file()) arguments::refuse(app, {"--experiment", "--connections"}, "on a trace file");
        for (const command& one : all)
            if (one.parser->parsed()) status = one.run(from);
        if (status == 0) from.tell_damage();
        return status;
    } catch (const CLI::ParseError& error) {
        return app.exit(error);
    } catch (const generated::output& wanted) {
        std::cout << wanted.text;
        return commands::flushed();
    }
}

} // namespace

int main(int argc, char** argv) {
    // A standard file that is closed would be the next file to be opened, and would get the output.
    for (const int file : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(file, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDONLY)); // writing to it fails
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        return commands::fail(error.what());
    }
}
