// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "conversation.hpp"

#include <cstddef>
#include <set>
#include <string>
#include <vector>

namespace commands {

struct show_options {
    std::string session;
    bool failed = false;
    bool stack = false;
};

// A filter selects the turns to show; their numbers and gaps are those of the whole session.
inline int print_session(source& from, const arguments::common& told, const show_options& how) {
    const auto whole = mt::session_flow(from, arguments::parse_key<mt::session>("SESSION", how.session));
    if (!whole) return fail(whole.error().message());
    if (whole->empty()) return fail(diagnosis::look_for(from, mt::session::name, how.session, "session").text);
    auto query = arguments::query_of(told);
    const bool chooses = !query.where.empty();
    std::set<std::string> meant;
    if (chooses) {
        query.where = std::move(query.where) && mt::field::metadata(mt::session::name) == how.session;
        const auto done = from.for_each_trace(query, [&](const mt::trace_info& one) { meant.insert(one.trace_id); });
        if (!done) return fail(done.error().message());
    }
    std::vector<std::size_t> shown;
    std::vector<std::string> ids;
    for (std::size_t at = 0; at < whole->size(); ++at) {
        const mt::trace_info& trace = (*whole)[at].trace;
        if ((chooses && !meant.contains(trace.trace_id)) || (how.failed && trace.status != mt::trace_status::error))
            continue;
        if (told.limit > 0 && shown.size() == told.limit) break;
        shown.push_back(at);
        ids.push_back(trace.trace_id);
    }
    if (told.json || !told.columns.empty()) {
        std::vector<json> all;
        all.reserve(shown.size());
        for (const std::size_t at : shown) all.push_back(rows::of((*whole)[at]));
        return print(from, std::move(all), told);
    }
    const auto steps = turns::steps_of(from, told, ids);
    conversation::print(how.session, *whole, shown, steps.value_or(turns::steps_by_trace()), links(from, told),
                        how.stack);
    return steps ? flushed() : fail("the spans cannot be read: " + steps.error().message());
}

inline command show(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand("show", "show a session as a conversation: messages, tool calls, errors");
    const auto how = std::make_shared<show_options>();
    parser->add_option("SESSION", how->session, "ID of the session")->required();
    parser->add_flag("--failed", how->failed, "only turns that failed");
    parser->add_flag("--stack", how->stack,
                     "stack traces of exceptions whole, not only the lines nearest to the cause");
    return {parser,
            [parser, &told, how](source& from) {
                if (told.json || !told.columns.empty())
                    arguments::refuse(*parser, {"--stack"}, told.json ? "with --json" : "with --columns");
                return print_session(from, told, *how);
            },
            {"--session"}};
}

} // namespace commands
