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

// What the command line and the environment say.
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
    std::string filter;
    std::size_t connections = 4;
    bool json = false;
};

// What a script leaves empty by mistake must not mean everything.
inline std::string refuse_empty(const std::string& text) {
    return text.empty() ? "empty; give a value, or leave the option out" : "";
}

// Before or after the command, as one likes.
inline void add(CLI::App& app, common& told) {
    app.add_option("--tracking-uri", told.tracking_uri, "MLflow server, or a file of OTLP JSON lines")
        ->envname("MLFLOW_TRACKING_URI");
    app.add_option("--experiment", told.experiment,
                   "name of the experiment (default: MLFLOW_EXPERIMENT_ID or Default)")
        ->envname("MLFLOW_EXPERIMENT_NAME");
    app.add_option("--user", told.user, "only traces of this user");
    app.add_option("--session", told.session, "only traces of this session");
    app.add_option("--since", told.since,
                   "only traces from then on, in UTC: 2026-11-23, 2026-11-23T04:03:42, 2026-11-23T04:03:42+01:00; or "
                   "of the last 90m, 24h or 7d");
    app.add_option("--filter", told.filter,
                   "MLflow's grammar: trace.status = 'OK' AND metadata.`app.segment` = 'pro'");
    app.add_option("--connections", told.connections, "requests to the server at the same time")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    for (auto* const option : app.get_options())
        if (option->get_lnames() != std::vector<std::string>{"help"}) option->check(refuse_empty);
    app.add_flag("--json", told.json, "all rows as a JSON array");
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

inline bool is_server(const common& told) {
    return told.tracking_uri.starts_with("http://") || told.tracking_uri.starts_with("https://");
}
inline std::string path_of(const common& told) {
    const std::string& uri = told.tracking_uri;
    return uri.starts_with("file://") ? uri.substr(7) : uri;
}

inline source open(const common& told) {
    const std::string& uri = told.tracking_uri;
    if (!is_server(told)) {
        const std::string path = path_of(told);
        if (!std::filesystem::exists(path) || std::filesystem::is_directory(path))
            throw std::runtime_error("--tracking-uri " + uri +
                                     ": neither a server, as http://host:port, nor a file of OTLP JSON lines");
        return mt::trace_file({.path = path, .skip_damaged_lines = true, .compressions = compressions()});
    }
    ::setenv("MLFLOW_TRACKING_URI", uri.c_str(), 1); // the command line goes before the environment
    auto options = mt::from_environment<server>();
    if (!options) throw std::runtime_error(options.error().message());
    if (!told.experiment.empty()) {
        options->experiment_name = told.experiment;
        options->experiment_id.clear();
    }
    options->connections = told.connections;
    return server(std::move(*options));
}

// 90s, 90m, 24h, 7d, or a point in time.
inline std::optional<mt::trace_time> parse_since(std::string_view text) {
    if (const auto time = mt::detail::parse_time(text)) return time;
    const auto unit = text.empty() ? std::string_view::npos : std::string_view("smhd").find(text.back());
    if (unit == std::string_view::npos || text.size() < 2 || text.size() > 7) return std::nullopt;
    long number = 0;
    for (const char c : text.substr(0, text.size() - 1)) {
        if (c < '0' || c > '9') return std::nullopt;
        number = number * 10 + (c - '0');
    }
    constexpr long seconds[] = {1, 60, 3600, 86'400};
    const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    return now - std::chrono::seconds(number * seconds[unit]);
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
    if (!told.since.empty()) {
        const auto since = parse_since(told.since);
        if (!since)
            throw CLI::ValidationError(
                "--since",
                "neither a point in time, as 2026-11-23 or 2026-11-23T04:03:42Z, nor as long ago as 90m, 24h or 7d");
        query.where = std::move(query.where) && field::timestamp >= *since;
    }
    return query;
}

} // namespace arguments
