// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client.hpp>
#include <mlflow/trace/environment/mlflow.hpp>
#include <mlflow/trace/transports/beast.hpp>

#if defined(MLFLOW_SESSIONS_READS_GZIP)
#include <mlflow/trace/client/gzip_file.hpp>
#endif
#if defined(MLFLOW_SESSIONS_READS_ZSTD)
#include <mlflow/trace/client/zstd_file.hpp>
#endif

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// The command line and the environment.
namespace arguments {

namespace mt = mlflow::trace;
namespace field = mt::field;

using server = mt::client<mt::beast_transport>;
using source = std::variant<server, mt::trace_file>;

struct common {
    std::string tracking_uri = "http://127.0.0.1:5000";
    std::string experiment;
    std::string user;
    std::string session;
    std::string since;
    std::string until;
    std::string filter;
    std::vector<std::string> columns;
    std::size_t limit = 0;
    std::size_t connections = 4;
    bool json = false;
};

// An option that a script leaves empty by mistake must not select everything.
inline std::string refuse_empty(const std::string& text) {
    return text.empty() ? "must not be empty; give a value, or omit the option" : "";
}

/// Whether the command line has the option, with another value than the environment.
inline bool is_told(const CLI::Option& option) {
    const char* const variable = option.get_envname().empty() ? nullptr : std::getenv(option.get_envname().c_str());
    return option.count() > 0 && !(variable && option.results() == std::vector<std::string>{variable});
}

/// Throws if one of these options is given: it would have no effect `where`. They are options of the command, or of
/// those above it.
inline void refuse(const CLI::App& command, const std::vector<const char*>& names, const std::string& where) {
    for (const char* const name : names)
        for (const CLI::App* at = &command; at; at = at->get_parent())
            if (const auto* const option = at->get_option_no_throw(name)) {
                if (is_told(*option)) throw CLI::ValidationError(name, "has no effect " + where + "; leave it out");
                break;
            }
}

// The options may be given before or after the command.
inline void add(CLI::App& app, common& told) {
    app.add_option("--tracking-uri", told.tracking_uri,
                   "URL of the MLflow server, or path of a trace file (OTLP JSON lines)")
        ->envname("MLFLOW_TRACKING_URI");
    app.add_option("--experiment", told.experiment,
                   "experiment name (default: the experiment MLFLOW_EXPERIMENT_ID, or Default)")
        ->envname("MLFLOW_EXPERIMENT_NAME");
    app.add_option("--user", told.user, "only traces of this user");
    app.add_option("--session", told.session, "only traces of this session");
    app.add_option(
        "--since", told.since,
        "only traces that started at or after this time: 2026-11-23, 2026-11-23T04:03:42, 2026-11-23T04:03:42+01:00 "
        "or 12:00, in UTC unless it has an offset; or in the last 90m, 24h or 7d");
    app.add_option("--until", told.until, "only traces that started before this time, in the same formats");
    app.add_option(
        "--filter", told.filter,
        "only traces that match this MLflow filter: trace.status = 'OK' AND metadata.`app.segment` = 'pro'");
    app.add_option("--connections", told.connections, "number of concurrent requests to the server")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_option("--columns", told.columns, "columns of the table, in order: user,errors,p95")->delimiter(',');
    app.add_option("--limit", told.limit, "maximum number of rows; for dataset fill, of turns or sessions")
        ->check(CLI::PositiveNumber);
    for (auto* const option : app.get_options())
        if (option->get_lnames() != std::vector<std::string>{"help"}) option->check(refuse_empty);
    app.add_flag("--json", told.json, "print all rows as a JSON array");
    app.fallthrough();
}

inline std::vector<mt::file_compression> compressions() {
    return {
#if defined(MLFLOW_SESSIONS_READS_GZIP)
        mt::gzip_compression(),
#endif
#if defined(MLFLOW_SESSIONS_READS_ZSTD)
        mt::zstd_compression(),
#endif
    };
}

inline bool is_of_server(const std::string& uri) { return uri.starts_with("http://") || uri.starts_with("https://"); }
inline std::string path_of(const std::string& uri) { return uri.starts_with("file://") ? uri.substr(7) : uri; }

inline source open(const common& told) {
    const std::string& uri = told.tracking_uri;
    if (!is_of_server(uri)) {
        const std::string path = path_of(uri);
        if (!std::filesystem::exists(path) || std::filesystem::is_directory(path))
            throw std::runtime_error("--tracking-uri " + uri +
                                     ": neither a server URL such as http://host:port nor an OTLP JSON lines file");
        return mt::trace_file({.path = path, .skip_damaged_lines = true, .compressions = compressions()});
    }
    ::setenv("MLFLOW_TRACKING_URI", uri.c_str(), 1); // the command line takes precedence over the environment
    auto options = mt::from_environment<server>();
    if (!options) throw std::runtime_error(options.error().message());
    if (!told.experiment.empty()) {
        options->experiment_name = told.experiment;
        options->experiment_id.clear();
    }
    options->connections = told.connections;
    return server(std::move(*options));
}

// Parses a point in time, a time of today such as 12:00, or an age such as 90m, 24h or 7d.
inline std::optional<mt::trace_time> parse_moment(std::string_view text) {
    using namespace std::chrono;
    if (const auto time = mt::detail::parse_time(text)) return time;
    const mt::trace_time now = mt::current_time();
    if (text.size() == 5 && text[2] == ':') { // the latest such time in the past
        const auto today = mt::detail::parse_time(mt::to_string(now).substr(0, 11) + std::string(text) + ":00Z");
        return today && *today > now ? std::optional(*today - hours(24)) : today;
    }
    if (text.size() < 2 || text.size() > 7 || text.find_first_not_of("0123456789") + 1 != text.size() ||
        std::string_view("smhd").find(text.back()) == std::string_view::npos)
        return std::nullopt;
    return now - *mt::parse_length(text);
}

// Throws CLI's own errors, which name the option.
template <class Key>
Key parse_key(const char* option, const std::string& text) {
    auto parsed = Key::parse(text);
    if (!parsed) throw CLI::ValidationError(option, parsed.error().message());
    return *parsed;
}

inline mt::trace_query query_of(const common& told) {
    mt::trace_query query;
    if (!told.filter.empty()) {
        auto parsed = mt::parse_filter(told.filter);
        if (!parsed) throw CLI::ValidationError("--filter", parsed.error().message());
        query.where = std::move(*parsed);
    }
    if (!told.user.empty())
        query.where = std::move(query.where) && field::user == parse_key<mt::user>("--user", told.user);
    if (!told.session.empty())
        query.where = std::move(query.where) && field::session == parse_key<mt::session>("--session", told.session);
    const auto moment = [](const char* option, const std::string& text) {
        const auto time = parse_moment(text);
        if (!time)
            throw CLI::ValidationError(
                option,
                "must be a time such as 2026-11-23, 2026-11-23T04:03:42Z or 12:00, or an age such as 90m, 24h or 7d");
        return *time;
    };
    std::optional<mt::trace_time> since;
    if (!told.since.empty()) since = moment("--since", told.since);
    if (since) query.where = std::move(query.where) && field::timestamp >= *since;
    if (told.until.empty()) return query;
    const mt::trace_time until = moment("--until", told.until);
    if (since && until <= *since) throw CLI::ValidationError("--until", "is not after --since; nothing can match");
    query.where = std::move(query.where) && field::timestamp < until;
    return query;
}

} // namespace arguments
