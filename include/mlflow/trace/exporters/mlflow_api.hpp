// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/exporters/mlflow_spans.hpp>
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/text/json_reader.hpp>
#include <mlflow/trace/text/timestamp.hpp>
#include <mlflow/trace/text/utf8.hpp>
#include <mlflow/trace/values/json_value.hpp>
#include <mlflow/trace/wire/otlp_request.hpp>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>

// Requests to MLflow's REST API other than the spans themselves.

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

struct mlflow_version {
    std::string text;
    unsigned major = 0;
    unsigned minor = 0;

    [[nodiscard]] bool is_before(unsigned other_major, unsigned other_minor) const noexcept {
        return major < other_major || (major == other_major && minor < other_minor);
    }
};

template <class Transport>
class mlflow_api {
public:
    using answer = result<std::string>;

    explicit mlflow_api(http_client<Transport>& server) noexcept : server_(server) {}

    // Returns an error unless the server is MLflow 3.1 or newer.
    result<mlflow_version> version() {
        const auto reply = get("/version");
        if (!reply) return failure{reply.error()};
        const bool is_of_mlflow = !is_success(reply->status) && json_find_string(reply->body, {"error_code"});
        if (is_of_mlflow || tells_its_own_reason(reply->status)) return failure{server_.refusal("/version", *reply)};
        std::string_view text = reply->body;
        while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
        const auto number = [&text](std::size_t& at) {
            unsigned value = 0;
            while (at < text.size() && text[at] >= '0' && text[at] <= '9' && value < 100'000)
                value = value * 10 + static_cast<unsigned>(text[at++] - '0');
            return value;
        };
        std::size_t at = 0;
        mlflow_version found{one_line(server_.secrets().masked(std::string(text)).substr(0, 60)), number(at), 0};
        if (!is_success(reply->status) || at == 0 || at == text.size() || text[at] != '.')
            return refuse(server_.uri(), " does not look like an MLflow server: its response to /version was " +
                                             std::to_string(reply->status) + " with \"" + found.text + '"');
        found.minor = number(++at);
        if (found.is_before(3, 1))
            return refuse(server_.uri(),
                          " is MLflow " + found.text + ": MLflow 3.1 or newer is required; upgrade the server");
        return found;
    }

    answer experiment_by_id(std::string_view id) {
        const auto reply = get("/api/2.0/mlflow/experiments/get?experiment_id=" + percent_encoded(id));
        if (!reply) return failure{reply.error()};
        if (is_not_found(reply->status))
            return refuse("experiment ID " + one_line(id),
                          " does not exist on " + server_.uri() +
                              ": create it, or set experiment_name, which is created if missing");
        return experiment_id(*reply, id, {"experiment", "experiment_id"}, "/api/2.0/mlflow/experiments/get");
    }

    answer experiment_by_name(std::string_view name) {
        const std::string target = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=" + percent_encoded(name);
        // Twice, because another process may create the experiment between the two requests.
        for (int attempt = 0; attempt < 2; ++attempt) {
            const auto found = get(target);
            if (!found) return failure{found.error()};
            if (!is_not_found(found->status))
                return experiment_id(*found, name, {"experiment", "experiment_id"}, target);
            buffer body;
            json_object object(body);
            if (!object.member("name", name).close()) break;
            const auto created = post("/api/2.0/mlflow/experiments/create", body.view());
            if (!created) return failure{created.error()};
            if (is_success(created->status) || attempt == 1)
                return experiment_id(*created, name, {"experiment_id"}, "/api/2.0/mlflow/experiments/create");
        }
        return failure{no_memory_for_request()};
    }

private:
    static failure refuse(std::string_view about, const std::string& text) {
        return failure{error(error_kind::other, about, text)};
    }

    result<http_response> get(std::string_view target) { return server_.send(http_method::get, target); }
    result<http_response> post(std::string_view target, std::string_view body) {
        const http_header headers[] = {{"Content-Type", "application/json"}};
        return server_.send(http_method::post, target, headers, body);
    }

    answer experiment_id(const http_response& reply, std::string_view asked,
                         std::initializer_list<std::string_view> path, std::string_view target) {
        if (!is_success(reply.status)) return failure{server_.refusal(target, reply)};
        if (json_find_string(reply.body, {"experiment", "lifecycle_stage"}) == "deleted")
            return refuse("experiment " + one_line(asked),
                          " is deleted on " + server_.uri() + ": restore it, or choose another one");
        auto id = json_find_string(reply.body, path);
        if (!id || id->empty()) return failure{unproven_success(server_.uri(), target, reply)};
        return std::move(*id);
    }

    http_client<Transport>& server_;
};

// The path of the running program, from the kernel; empty if it is unknown.
inline std::string program_path() {
    char path[1024];
    const auto size = ::readlink("/proc/self/exe", path, sizeof path);
    return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

// The program that records, as MLflow's own client describes it on each trace.
struct run_metadata {
    std::string_view source_name;
    std::string_view source_type;
    std::string_view git_commit, git_branch, git_repository;
};

// The metadata that the exporter adds to a trace, as pairs. A value may be empty.
template <class Pair>
void for_each_own_metadata(const run_metadata& run, const trace_summary& summary, Pair pair) {
    pair("mlflow.trace_schema.version", "3");
    pair("mlflow.source.name", first_code_points(run.source_name, 250));
    if (!run.source_name.empty()) pair("mlflow.source.type", run.source_type);
    pair("mlflow.source.git.commit", first_code_points(run.git_commit, 250));
    pair("mlflow.source.git.branch", first_code_points(run.git_branch, 250));
    pair("mlflow.source.git.repoURL", first_code_points(run.git_repository, 250));
    pair(mlflow_names::trace_token_usage, summary.token_usage);
    pair(mlflow_names::trace_cost, summary.cost);
}

// The body of StartTraceV3. `mark` is the name of a tag for a trace that another process describes: previews and the
// request ID are left out then. Previews that neither the application nor the summary has are left out: a server that
// has the spans takes them from the root span.
inline void append_trace_info(buffer& out, const trace_data& trace, std::string_view experiment_id,
                              const run_metadata& run, const trace_summary& summary = {},
                              std::string_view mark = {}) {
    const auto append_entries = [&](json_object<buffer>& object, entry_kind kind) {
        for (const trace_entry entry : trace.entries)
            if (entry.kind == kind) object.member(entry.key, entry.value);
        static_cast<void>(object.close());
    };
    const auto append_preview = [&](entry_kind kind, std::string_view name, std::string_view otherwise) {
        const auto set = trace.entries.find(kind, {});
        const auto shown = first_code_points(set.data() ? set : otherwise, 1000);
        if (!mark.empty() || (!set.data() && otherwise.empty())) return;
        out.append(name);
        append_json_string(out, shown);
    };
    out.append(R"({"trace":{"trace_info":{"trace_id":)");
    append_json_string(out, trace.id.mlflow_id());
    const auto request_id = trace.entries.find(entry_kind::client_request_id, "client_request_id");
    if (request_id.data() && mark.empty()) {
        out.append(R"(,"client_request_id":)");
        append_json_string(out, request_id);
    }
    out.append(R"(,"trace_location":{"type":"MLFLOW_EXPERIMENT","mlflow_experiment":{"experiment_id":)");
    append_json_string(out, experiment_id);
    out.append(R"(}},"request_time":)");
    append_json_string(out, rfc3339(trace.start_unix_nano));
    out.append(R"(,"execution_duration":)");
    append_json_string(out, duration_seconds(trace.duration_nano));
    out.append(trace.root->code == status::error ? R"(,"state":"ERROR")" : R"(,"state":"OK")");
    append_preview(entry_kind::request_preview, R"(,"request_preview":)", summary.inputs);
    append_preview(entry_kind::response_preview, R"(,"response_preview":)", summary.outputs);
    out.append(R"(,"trace_metadata":)");
    json_object metadata(out);
    for_each_own_metadata(run, summary, [&metadata](std::string_view key, std::string_view value) {
        if (!value.empty()) metadata.member(key, value);
    });
    append_entries(metadata, entry_kind::metadata);
    out.append(R"(,"tags":)");
    json_object tags(out);
    if (!mark.empty()) tags.member(mark, "true");
    append_entries(tags.member(mlflow_names::trace_name, trace_name(*trace.root)), entry_kind::tag);
    out.append("}}}");
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
