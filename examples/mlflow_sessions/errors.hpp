// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "conversation.hpp"
#include "turn_spans.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace commands {

// Failures that the spans explain in the same words, but for the numbers in them.
struct error_group {
    std::string text;
    std::size_t traces = 0;
    std::set<std::string> users;
    std::set<std::string> sessions;
    mt::trace_time first{};
    mt::trace_time last{};
    std::string trace;
    std::string session;

    void add(const mt::trace_info& one) {
        first = traces == 0 ? one.request_time : std::min(first, one.request_time);
        if (traces++ == 0 || one.request_time > last) {
            last = one.request_time;
            trace = one.trace_id;
            session = one.session();
        }
        if (!one.user().empty()) users.emplace(one.user());
        if (!one.session().empty()) sessions.emplace(one.session());
    }
};

inline std::string without_numbers(std::string_view text) {
    std::string masked;
    for (const char c : text) {
        if (c < '0' || c > '9') masked += c;
        else if (masked.empty() || masked.back() != '#') masked += '#';
    }
    return masked;
}

inline std::vector<error_group> errors_in(const std::vector<mt::trace_info>& failed,
                                          const turns::steps_by_trace& steps) {
    std::map<std::string, error_group> groups;
    for (const mt::trace_info& trace : failed) {
        std::map<std::string, std::string> causes; // each once for a trace
        if (const auto found = steps.find(trace.trace_id); found != steps.end())
            for (const turns::step* const cause : turns::causes_in(found->second)) {
                std::string text = cause->name + (cause->message.empty() ? " failed" : ": " + cause->message);
                causes.emplace(without_numbers(text), std::move(text));
            }
        if (causes.empty()) causes.emplace("", "no span says why");
        for (const auto& [masked, text] : causes) {
            error_group& group = groups[masked];
            if (group.traces == 0) group.text = text;
            group.add(trace);
        }
    }
    std::vector<error_group> order;
    for (auto& [masked, group] : groups) order.push_back(std::move(group));
    std::stable_sort(order.begin(), order.end(),
                     [](const error_group& a, const error_group& b) { return a.traces > b.traces; });
    return order;
}

inline void print_error(const error_group& one, const links& to) {
    const auto count = [](std::size_t number, const char* what) {
        return std::to_string(number) + what + (number == 1 ? "" : "s");
    };
    std::cout << table::coloured(count(one.traces, " trace"), table::red) << ", " << count(one.users.size(), " user")
              << ", " << count(one.sessions.size(), " session") << ", " << table::time_text(mt::to_string(one.first));
    if (one.first != one.last) std::cout << " to " << table::time_text(mt::to_string(one.last));
    std::cout << '\n';
    for (const std::string& line : table::wrapped(table::harmless(one.text), conversation::width() - 2))
        std::cout << "  " << line << '\n';
    std::cout << "  last " << table::linked(table::harmless(one.trace), to.of_trace(one.trace)) << '\n';
    if (!one.session.empty())
        std::cout << "  in   " << table::linked(table::harmless(one.session), to.of_session(one.session)) << '\n';
}

inline int print_errors(source& from, const arguments::common& told, std::size_t most) {
    auto query = arguments::query_of(told);
    query.where = std::move(query.where) && mt::field::status == mt::field::error;
    query.order_by = {mt::field::timestamp.descending()};
    query.max_results = most;
    const auto failed = mt::find_all(from, query);
    if (!failed) return fail(failed.error().message());
    if (failed->empty()) return print_nothing(from, told, "trace that failed");
    std::vector<std::string> ids;
    for (const mt::trace_info& one : *failed) ids.push_back(one.trace_id);
    const auto groups = errors_in(*failed, turns::steps_of(from, told, ids));
    if (told.json || !told.columns.empty()) {
        std::vector<json> all;
        for (const error_group& one : groups)
            all.push_back({{"error", one.text},
                           {"traces", one.traces},
                           {"users", one.users.size()},
                           {"sessions", one.sessions.size()},
                           {"first_seen", mt::to_string(one.first)},
                           {"last_seen", mt::to_string(one.last)},
                           {"trace_id", one.trace},
                           {"session", one.session.empty() ? json() : json(one.session)}});
        return print(from, std::move(all), told);
    }
    if (failed->size() == most) std::cout << "of the newest " << most << " failed traces:\n";
    const links to(from, told);
    for (std::size_t i = 0; i < groups.size() && (told.limit == 0 || i < told.limit); ++i) print_error(groups[i], to);
    return flushed();
}

inline command errors(CLI::App& app, const arguments::common& told) {
    auto* const parser =
        app.add_subcommand("errors", "why traces failed: what their spans say, the most frequent first");
    const auto most = std::make_shared<std::size_t>(500);
    parser->add_option("--newest", *most, "failed traces to read")->check(CLI::PositiveNumber)->capture_default_str();
    return {parser, [&told, most](source& from) { return print_errors(from, told, *most); }};
}

} // namespace commands
