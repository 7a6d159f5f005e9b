// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/mlflow_names.hpp>
#include <mlflow/trace/exporters/mlflow_api.hpp>
#include <mlflow/trace/exporters/mlflow_infos.hpp>
#include <mlflow/trace/exporters/mlflow_spans.hpp>
#include <mlflow/trace/http/client.hpp>
#include <mlflow/trace/http/export_reply.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// Stores traces on servers that do not accept OTLP: one request for the trace's info, then the spans as the file
// traces.json.
//
// Servers before 3.2 have only an older API and assign their own trace IDs. The recorded ID is then stored as a tag,
// by which a trace that is sent again is found.
//
// The spans of a process that continues a trace may come before the info of the process that began it. They are then
// stored with an info of their own, which a tag marks, so that the latter can correct it.
template <class Transport>
class mlflow_artifacts {
public:
    using failed = std::optional<error>;

    mlflow_artifacts(http_client<Transport>& server, std::string_view experiment_id, const run_metadata& run,
                     bool is_before_3_2) noexcept
        : server_(server), experiment_id_(experiment_id), run_(run), is_before_3_2_(is_before_3_2) {}

    // `trace` is a whole trace, a part with spans that ended after the root span, or what this process added to a
    // trace of another one.
    failed store(const trace_data& trace) {
        auto where = is_before_3_2_ ? find_or_start(trace) : find_or_post(trace);
        if (!where) return where.error();
        if (where->id.empty()) return without_first_part();
        auto target = artifact_target(*where);
        if (!target) return target.error();
        body_.clear();
        body_.append(R"({"spans":[)");
        if (!where->is_new) {
            const auto stored = stored_spans(*target);
            if (!stored) return stored.error();
            const ids_of replaced(trace);
            for_each_element(*stored, [&](std::string_view span) {
                if (replaced.contain(json_find_string(span, {"span_id"}).value_or(std::string()))) return;
                body_.append(span);
                body_.push_back(',');
            });
        }
        for (const span_data* span = trace.spans; span; span = span->next) {
            append_span_json(body_, span->body.view(), where->id);
            if (span->next) body_.push_back(',');
        }
        body_.append("]}");
        const auto stored = call(http_method::put, *target);
        if (!stored) return stored.error();
        if (!stored->empty() && !each_member(*stored, [](auto, auto) { return false; })) return unproven(*target);
        return std::nullopt;
    }

private:
    using answer = result<std::string>;
    struct place {
        std::string id{};          // empty if the server does not have the trace
        std::string artifacts{};   // the location of its files
        bool is_continued = false; // the info is of a process that continued the trace
        bool is_new = false;       // so that there is no file yet
    };
    using found = result<place>;

    // Names of tags.
    static constexpr std::string_view own_id = "mlflow_trace.trace_id";
    static constexpr std::string_view continued = "mlflow_trace.continued";
    static constexpr std::string_view artifacts_api = "/api/2.0/mlflow-artifacts/artifacts";
    static constexpr std::string_view file_name = "traces.json";

    // Sends `body_`, except with GET.
    answer call(http_method method, std::string_view target) {
        if (body_.overflowed()) return failure{no_memory_for_request()};
        const http_header headers[] = {{"Content-Type", "application/json"}};
        const bool has_body = method != http_method::get;
        auto reply = server_.send(method, target, has_body ? headers : std::span<const http_header>(),
                                  has_body ? body_.view() : std::string_view());
        if (has_body) body_.clear_to(kept_request);
        if (!reply) return failure{std::move(reply).error()};
        if (!is_success(reply->status)) return failure{server_.refusal(target, *reply)};
        return std::move(reply->body);
    }

    // The JSON array of the spans in this file; empty if there is no file.
    answer stored_spans(const std::string& target) {
        const auto reply = server_.send(http_method::get, target);
        if (!reply) return failure{of_one_file(reply.error())};
        if (!is_success(reply->status)) {
            if (is_missing(target, *reply)) return std::string();
            return failure{of_one_file(server_.refusal(target, *reply))};
        }
        const std::string_view file = reply->body;
        if (const auto spans = json_find(file, {"spans"}); !spans.empty()) return std::string(spans);
        // A server without space leaves a part of the file. The complete spans in it count.
        if (file.empty()) return std::string();
        if (file.starts_with(R"({"spans":)"))
            return std::string(file.substr(std::string_view(R"({"spans":)").size()));
        return failure{of_one_file(unproven(target))};
    }

    // Whether there is no such file. Not every 404 says so, because a proxy may have responded, and MLflow before 3.4
    // responds 500.
    bool is_missing(const std::string& target, const http_response& reply) {
        if (!may_be_missing(reply.status)) return false;
        if (json_find_string(reply.body, {"error_code"}) == "RESOURCE_DOES_NOT_EXIST") return true;
        const std::string_view folder = std::string_view(target).substr(0, target.rfind('/'));
        const auto list = server_.send(http_method::get, std::string(artifacts_api) + "?path=" +
                                                             std::string(folder.substr(artifacts_api.size() + 1)));
        if (!list || !is_success(list->status)) return false;
        bool is_listed = false;
        const bool is_list = each_member(list->body, [&](std::string_view, std::string_view files) {
            for_each_element(files, [&](std::string_view file) {
                is_listed = is_listed || json_find_string(file, {"path"}) == file_name;
            });
            return true;
        });
        return is_list && !is_listed;
    }

    // An error that waiting may not mend. Other traces must not wait for this one.
    static error of_one_file(const error& why) {
        const bool is_about_it =
            why.kind() == error_kind::bad_reply || (why.kind() == error_kind::other && !is_busy(why.status()));
        return is_about_it ? error(error_kind::other, {}, why.message()).with_reply(may_be_at_fault) : why;
    }

    error unproven(std::string_view target) const {
        return unproven_success(server_.uri(), target, http_response{200, {}, {}});
    }

    // Whether the trace has the root span and its description.
    static bool is_described(const trace_data& trace) noexcept { return trace.root && !is_continued(trace); }

    // The IDs of the trace's spans, as the file has them: in base64.
    class ids_of {
    public:
        explicit ids_of(const trace_data& trace) {
            buffer texts;
            for (const span_data* span = trace.spans; span; span = span->next) {
                char bytes[8];
                write_big_endian(bytes, span->id.value);
                append_base64(texts, {bytes, sizeof bytes});
            }
            sorted_ = whole(texts);
            std::qsort(sorted_.data(), sorted_.size() / size, size, compare);
        }
        [[nodiscard]] bool contain(const std::string& id) const noexcept {
            return id.size() == size && std::bsearch(id.data(), sorted_.data(), sorted_.size() / size, size, compare);
        }

    private:
        static constexpr std::size_t size = 12;
        static int compare(const void* a, const void* b) noexcept { return std::memcmp(a, b, size); }

        std::string sorted_;
    };

    found find_or_post(const trace_data& trace) {
        if (!is_described(trace)) {
            auto there = find(trace);
            if (!there || !there->id.empty() || !trace.root) return there;
        }
        auto posted = post_info(trace);
        if (posted) posted->is_new = true; // these servers reject the info of a trace that they have
        if (posted || !may_be_there_already(posted.error().status())) return posted;
        auto there = find(trace);
        if (!there) return there;
        if (there->id.empty()) return posted;
        if (there->is_continued && is_described(trace)) {
            auto error = correct(*there, trace);
            const bool is_possible = error && !is_unsupported(error->status()) && !is_denied(error->status());
            if (is_possible) return failure{std::move(*error)}; // otherwise the spans count more
        }
        return there;
    }

    found post_info(const trace_data& trace) {
        constexpr std::string_view target = "/api/3.0/mlflow/traces";
        body_.clear();
        if (is_described(trace)) append_trace_info(body_, trace, experiment_id_, run_, summarise(trace));
        else append_trace_info(body_, trace, experiment_id_, run_, summarise(trace), continued);
        return read_info(trace, call(http_method::post, target));
    }

    found find(const trace_data& trace) {
        const std::string id(trace.id.mlflow_id().view());
        auto there = read_info(trace, call(http_method::get, "/api/3.0/mlflow/traces/" + id));
        if (!there && is_not_found(there.error().status())) return place{};
        return there;
    }
    // The first part was lost or the trace deleted. Other traces must not wait for these spans.
    [[nodiscard]] error without_first_part() const noexcept {
        return error(error_kind::other, server_.uri(), "the server does not have the first part of this trace")
            .with_reply(may_be_at_fault);
    }

    found read_info(const trace_data& trace, const answer& reply) const {
        if (!reply) return failure{reply.error()};
        if (!is_stored_info(*reply, trace.id)) return failure{unproven("/api/3.0/mlflow/traces")};
        auto location = json_find_string(*reply, {"trace", "trace_info", "tags", mlflow_names::artifact_location});
        const auto mark = json_find_string(*reply, {"trace", "trace_info", "tags", continued});
        return place{std::string(trace.id.mlflow_id().view()), location.value_or(std::string()), mark == "true"};
    }

    // ---- MLflow before 3.2

    found find_or_start(const trace_data& trace) {
        const std::string filter =
            "tags.`" + std::string(own_id) + "` = '" + std::string(trace.id.mlflow_id().view()) + "'";
        auto reply = call(http_method::get,
                          "/api/2.0/mlflow/traces?max_results=1&experiment_ids=" + percent_encoded(experiment_id_) +
                              "&filter=" + percent_encoded(filter));
        if (!reply) return failure{std::move(reply).error()};
        place where;
        for_each_element(json_find(*reply, {"traces"}),
                         [&where](std::string_view info) { where = read_old_info(info); });
        const bool is_there = !where.id.empty();
        if (!is_described(trace) && (is_there || !trace.root)) return where;
        if (!is_there) {
            body_.clear();
            append_old_start(trace);
            reply = call(http_method::post, "/api/2.0/mlflow/traces");
            if (!reply) return failure{std::move(reply).error()};
            where = read_old_info(json_find(*reply, {"trace_info"}));
            if (where.id.empty()) return failure{unproven("/api/2.0/mlflow/traces")};
            where.is_new = true;
        }
        if (!is_path_part(where.id))
            return failure{error(error_kind::other, server_.uri(),
                                 " assigned an invalid trace ID: \"" + one_line(where.id) + '"')};
        if (auto error = is_there && where.is_continued ? correct(where, trace) : end(where, trace))
            return failure{*error};
        return where;
    }

    failed end(const place& where, const trace_data& trace) {
        body_.clear();
        append_old_end(trace);
        body_.push_back('}');
        return patch(where);
    }
    // Replaces what the process that continued the trace said about it.
    failed correct(const place& where, const trace_data& trace) {
        body_.clear();
        append_old_end(trace);
        append_old_description(trace, "false");
        body_.push_back('}');
        return patch(where);
    }
    failed patch(const place& where) {
        const auto reply = call(http_method::patch, "/api/2.0/mlflow/traces/" + percent_encoded(where.id));
        return reply ? std::nullopt : failed(reply.error());
    }

    static place read_old_info(std::string_view info) {
        place where{json_find_string(info, {"request_id"}).value_or(std::string())};
        for_each_element(json_find(info, {"tags"}), [&where](std::string_view tag) {
            if (json_find_string(tag, {"key"}) == mlflow_names::artifact_location)
                where.artifacts = json_find_string(tag, {"value"}).value_or(std::string());
            else if (json_find_string(tag, {"key"}) == continued)
                where.is_continued = json_find_string(tag, {"value"}) == "true";
        });
        return where;
    }

    void append_old_start(const trace_data& trace) {
        body_.append(R"({"experiment_id":)");
        append_json_string(body_, experiment_id_);
        body_.append(R"(,"timestamp_ms":")");
        append_json_uint(body_, trace.start_unix_nano / 1'000'000);
        body_.push_back('"');
        append_old_description(trace, is_described(trace) ? "" : "true");
        body_.push_back('}');
    }

    void append_old_end(const trace_data& trace) {
        body_.append(R"({"timestamp_ms":")");
        append_json_uint(body_, (trace.start_unix_nano + trace.duration_nano) / 1'000'000);
        body_.append(trace.root->code == status::error ? R"(","status":"ERROR")" : R"(","status":"OK")");
    }

    void append_old_description(const trace_data& trace, std::string_view mark) {
        bool is_first = true;
        const auto pair = [&](std::string_view key, std::string_view value) {
            if (value.empty()) return;
            if (!std::exchange(is_first, false)) body_.push_back(',');
            json_object object(body_);
            static_cast<void>(object.member("key", key).member("value", value).close());
        };
        const auto entries = [&](entry_kind kind) {
            for (const trace_entry entry : trace.entries)
                if (entry.kind == kind) pair(entry.key, entry.value);
        };
        const auto preview = [&](entry_kind kind, std::string_view otherwise) {
            const auto set = trace.entries.find(kind, {});
            return first_code_points(set.data() ? set : otherwise, 250);
        };
        body_.append(R"(,"request_metadata":[)");
        const trace_summary summary = summarise(trace);
        for_each_own_metadata(run_, summary, pair);
        pair("mlflow.traceInputs", preview(entry_kind::request_preview, summary.inputs));
        pair("mlflow.traceOutputs", preview(entry_kind::response_preview, summary.outputs));
        entries(entry_kind::metadata);
        is_first = true;
        body_.append(R"(],"tags":[)");
        pair(mlflow_names::trace_name, trace_name(*trace.root));
        if (is_before_3_2_) pair(own_id, trace.id.mlflow_id());
        for (const trace_entry entry : trace.entries)
            if (entry.kind == entry_kind::client_request_id) pair(mlflow_names::client_request_id, entry.value);
        entries(entry_kind::tag);
        pair(continued, mark);
        body_.push_back(']');
    }

    result<std::string> artifact_target(const place& where) const {
        std::string_view path = where.artifacts;
        constexpr std::string_view scheme = "mlflow-artifacts:";
        if (where.id.empty() || !path.starts_with(scheme) ||
            path.find('/', scheme.size() + 2) == std::string_view::npos || !is_path_part(path))
            return failure{error(error_kind::other, server_.uri(),
                                 " does not support OTLP spans and stores artifacts at \"" + one_line(path) +
                                     "\", where clients cannot write; start it without --default-artifact-root, or "
                                     "use a newer MLflow with a database")};
        path.remove_prefix(scheme.size());
        if (path.starts_with("//")) path = path.substr(path.find('/', 2)); // skips the name of the server
        std::string target(artifacts_api);
        for (const char c : path) target += c == '/' ? "/" : percent_encoded({&c, 1});
        return target.append("/").append(file_name);
    }

    http_client<Transport>& server_;
    std::string_view experiment_id_;
    run_metadata run_;
    bool is_before_3_2_;
    buffer body_;
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
