// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/client/rest.hpp>
#include <mlflow/trace/client/trace_json.hpp>

#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// MLflow rejects a request for spans if it keeps those of one of the traces as a file.
inline bool is_kept_as_file(const error& why) {
    return why.message().find("not stored in tracking store") != std::string_view::npos;
}

// Reads the file of spans of a trace, of MLflow 3 or 2.
inline std::vector<stored_span> read_span_file(const json& told) {
    std::vector<stored_span> spans;
    const json& list = member(told, "spans");
    if (!list.is_array()) return spans;
    const auto without_prefix = [](const std::string& id) { return id.starts_with("0x") ? id.substr(2) : id; };
    for (const json& one : list) {
        stored_span span = read_span(one);
        span.attributes = texts_of(one, "attributes");
        const json& events = member(one, "events");
        if (events.is_array())
            for (std::size_t i = 0; i < events.size(); ++i)
                span.events[i].attributes = texts_of(events[i], "attributes");
        if (const json& context = member(one, "context"); context.is_object()) { // of MLflow 2
            span.id = without_prefix(text_of(context, "span_id"));
            span.parent = without_prefix(text_of(one, "parent_id"));
            span.start_unix_nano = integer_of(one, "start_time");
            span.end_unix_nano = integer_of(one, "end_time");
            span.status = status_of(text_of(one, "status_code"));
            span.status_message = text_of(one, "status_message");
            for (std::size_t i = 0; i < span.events.size(); ++i)
                span.events[i].unix_nano = integer_of(events[i], "timestamp");
        }
        spans.push_back(std::move(span));
    }
    return spans;
}

template <class Transport>
result<trace_info> get_trace_info(rest<Transport>& server, std::string_view trace_id) {
    const auto told = server.call(http_method::get, "/api/3.0/mlflow/traces/" + percent_encoded(trace_id));
    if (!told) return failure{told.error()};
    auto read = read_trace_info(member(member(*told, "trace"), "trace_info"));
    if (!read) return malformed(server.uri(), "traces", "no trace");
    return std::move(*read);
}

// A trace whose spans are kept as a file. It has no spans if there is no file.
template <class Transport>
result<stored_trace> get_with_file(rest<Transport>& server, trace_info info) {
    const auto file = server.call(http_method::get, "/ajax-api/3.0/mlflow/get-trace-artifact?request_id=" +
                                                        percent_encoded(info.trace_id));
    if (!file && !is_not_found(file.error().status())) return failure{file.error()};
    return stored_trace{std::move(info), file ? read_span_file(*file) : std::vector<stored_span>()};
}

template <class Transport>
result<stored_trace> get_trace(rest<Transport>& server, std::string_view trace_id) {
    const auto told = server.call(http_method::get, "/api/3.0/mlflow/traces/get?allow_partial=true&trace_id=" +
                                                        percent_encoded(trace_id));
    if (!told && is_kept_as_file(told.error())) {
        auto info = get_trace_info(server, trace_id);
        if (!info) return failure{info.error()};
        return get_with_file(server, std::move(*info));
    }
    if (!told) return failure{told.error()};
    auto read = read_trace(member(*told, "trace"));
    if (!read) return malformed(server.uri(), "traces/get", "no trace");
    return std::move(*read);
}

template <class Transport>
result<std::vector<stored_trace>> get_in_one_request(rest<Transport>& server,
                                                     std::span<const std::string> trace_ids) {
    constexpr const char* path = "/api/3.0/mlflow/traces/batchGet";
    std::string target = path;
    for (const std::string& id : trace_ids)
        target += (&id == trace_ids.data() ? "?trace_ids=" : "&trace_ids=") + percent_encoded(id);
    const auto told = server.call(http_method::get, target);
    if (!told) return failure{told.error()};
    std::vector<stored_trace> found;
    for (const auto& one : member(*told, "traces")) {
        auto read = read_trace(one);
        if (!read) return malformed(server.uri(), path, "a trace without its ID or times");
        found.push_back(std::move(*read));
    }
    return found;
}

// Divides traces into those whose spans the server finds itself, and those it keeps as a file, which are read.
template <class Transport>
result<std::vector<std::string>> divide_by_place(rest<Transport>& server, std::span<const std::string> trace_ids,
                                                 std::vector<stored_trace>& in_files) {
    std::vector<std::string> in_store;
    for (const std::string& id : trace_ids) {
        auto info = get_trace_info(server, id);
        if (!info && is_not_found(info.error().status())) continue;
        if (!info) return failure{info.error()};
        const auto place = info->tag("mlflow.trace.spansLocation");
        if (!place.empty() && place != "ARTIFACT_REPO") {
            in_store.push_back(id);
            continue;
        }
        auto read = get_with_file(server, std::move(*info));
        if (!read) return failure{read.error()};
        in_files.push_back(std::move(*read));
    }
    return in_store;
}

// Reads the traces that are stored, in the order of their IDs, with one request if it can. MLflow rejects that
// request if it keeps the spans of one of the traces as a file, and leaves out traces of which spans are still
// missing.
template <class Transport>
result<std::vector<stored_trace>> get_batch(rest<Transport>& server, std::span<const std::string> trace_ids) {
    auto found = get_in_one_request(server, trace_ids);
    std::vector<stored_trace> in_files;
    if (!found && is_kept_as_file(found.error())) {
        const auto in_store = divide_by_place(server, trace_ids, in_files);
        if (!in_store) return failure{in_store.error()};
        found = in_store->empty() ? result<std::vector<stored_trace>>(std::vector<stored_trace>())
                                  : get_in_one_request(server, *in_store);
    }
    if (!found || found->size() == trace_ids.size()) return found;
    std::map<std::string, stored_trace, std::less<>> by_id;
    for (auto* const some : {&*found, &in_files})
        for (stored_trace& one : *some) by_id.try_emplace(one.info.trace_id, std::move(one));
    std::vector<stored_trace> in_order;
    std::set<std::string_view> done;
    for (const std::string& id : trace_ids) {
        if (!done.insert(id).second) continue;
        if (const auto one = by_id.find(id); one != by_id.end()) {
            in_order.push_back(std::move(one->second));
            continue;
        }
        auto read = get_trace(server, id);
        if (!read && is_not_found(read.error().status())) continue;
        if (!read) return failure{read.error()};
        in_order.push_back(std::move(*read));
    }
    return in_order;
}

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
