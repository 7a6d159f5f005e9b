// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "answers.hpp"
#include "command.hpp"
#include "conversation.hpp"
#include "suspects.hpp"
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

// Failures with the same message, except for the numbers in it.
struct error_group {
    std::string text;
    std::size_t traces = 0;
    std::set<std::string> users;
    std::set<std::string> sessions;
    mt::trace_time first{};
    mt::trace_time last{};
    std::string trace;
    std::string session;
    std::optional<std::size_t> before{}; ///< traces in the time before

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

// What the spans say of why a trace failed, each once: without the numbers, and as it stands.
inline std::map<std::string, std::string> causes_of(const mt::trace_info& trace, const turns::steps_by_trace& steps) {
    std::map<std::string, std::string> causes;
    if (trace.status != mt::trace_status::error) {
        const auto found = steps.find(trace.trace_id);
        const std::string why = found == steps.end() ? std::string() : turns::ending_of(found->second);
        std::string text = "no answer, and no error: " + (why.empty() ? "the output is empty" : why);
        causes.emplace(without_numbers(text), std::move(text));
        return causes;
    }
    if (const auto found = steps.find(trace.trace_id); found != steps.end())
        for (const turns::step* const cause : turns::causes_in(found->second)) {
            std::string text = cause->name + (cause->message.empty() ? " failed" : ": " + cause->message);
            causes.emplace(without_numbers(text), std::move(text));
        }
    if (causes.empty()) causes.emplace("", "no span has an error message");
    return causes;
}

using groups_by_cause = std::map<std::string, error_group>;

inline std::vector<error_group> errors_in(const std::vector<mt::trace_info>& failed,
                                          const turns::steps_by_trace& steps,
                                          const std::optional<groups_by_cause>& before) {
    groups_by_cause groups;
    for (const mt::trace_info& trace : failed)
        for (const auto& [masked, text] : causes_of(trace, steps)) {
            error_group& group = groups[masked];
            if (group.traces == 0) group.text = text;
            group.add(trace);
        }
    if (before)
        for (auto& [masked, group] : groups) {
            const auto earlier = before->find(masked);
            group.before = earlier == before->end() ? 0 : earlier->second.traces;
        }
    std::vector<error_group> order;
    for (auto& [masked, group] : groups) order.push_back(std::move(group));
    std::stable_sort(order.begin(), order.end(),
                     [](const error_group& a, const error_group& b) { return a.traces > b.traces; });
    return order;
}

inline void print_error(const error_group& one, const links& to) {
    std::cout << table::coloured(table::counted(one.traces, "trace"), table::red) << ", "
              << table::counted(one.users.size(), "user") << ", " << table::counted(one.sessions.size(), "session")
              << ", " << table::time_text(mt::to_string(one.first));
    if (one.first != one.last) std::cout << " to " << table::time_text(mt::to_string(one.last));
    if (one.before)
        std::cout << ", "
                  << (*one.before == 0 ? table::coloured("new", table::yellow)
                                       : std::to_string(*one.before) + " in the time before");
    std::cout << '\n';
    for (const std::string& line : table::wrapped(table::harmless(one.text), conversation::width() - 2))
        std::cout << "  " << line << '\n';
    std::cout << "  last " << table::linked(table::harmless(one.trace), to.of_trace(one.trace)) << '\n';
    if (!one.session.empty())
        std::cout << "  in   " << table::linked(table::harmless(one.session), to.of_session(one.session)) << '\n';
}

struct error_options {
    std::size_t newest = 500;
    std::string of;
};

// The newest traces that failed, and those that ended well without an answer: that is what a user calls an error too.
inline mt::result<std::vector<mt::trace_info>> failures(source& from, mt::trace_query query, std::size_t most) {
    query.order_by = {mt::field::timestamp.descending()};
    mt::trace_query wrong = query;
    wrong.where = std::move(wrong.where) && mt::field::status == mt::field::error;
    wrong.max_results = most;
    auto found = mt::find_all(from, wrong);
    if (!found) return found;
    std::vector<mt::trace_info> silent;
    bool has_answers = false;
    const auto read = from.for_each_trace(query, [&](const mt::trace_info& trace) {
        has_answers = has_answers || !answers::is_blank_answer(trace.response_preview);
        if (silent.size() < most && answers::is_missing(trace)) silent.push_back(trace);
    });
    if (!read) return mt::failure{read.error()};
    if (has_answers) // else outputs are not recorded
        found->insert(found->end(), std::make_move_iterator(silent.begin()), std::make_move_iterator(silent.end()));
    return found;
}

inline mt::result<turns::steps_by_trace> steps_of_failed(source& from, const arguments::common& told,
                                                         const std::vector<mt::trace_info>& found) {
    std::vector<std::string> ids;
    ids.reserve(found.size());
    for (const mt::trace_info& one : found) ids.push_back(one.trace_id);
    return turns::steps_of(from, told, ids);
}

// The turns of one error, one by one.
inline int print_turns_of(source& from, const arguments::common& told, const std::string& text,
                          const std::vector<mt::trace_info>& failed, const turns::steps_by_trace& steps) {
    std::vector<json> all;
    for (const mt::trace_info& one : failed)
        for (const auto& [masked, cause] : causes_of(one, steps)) {
            if (mt::detail::lower_ascii(cause).find(mt::detail::lower_ascii(text)) == std::string::npos) continue;
            all.push_back({{"time", mt::to_string(one.request_time)},
                           {"user", one.user().empty() ? json() : json(one.user())},
                           {"session", one.session().empty() ? json() : json(one.session())},
                           {"trace_id", one.trace_id}});
            if (told.json) all.back()["error"] = cause;
            break;
        }
    if (all.empty()) return fail("no error has the text " + text + "; `errors` without --of lists them");
    return print(from, std::move(all), told);
}

inline int print_errors(source& from, const arguments::common& told, const error_options& how) {
    const auto failed = failures(from, arguments::query_of(told), how.newest);
    if (!failed) return fail(failed.error().message());
    if (failed->empty()) return print_nothing(from, told, "failed or unanswered trace");
    const auto steps = steps_of_failed(from, told, *failed);
    if (!steps) return fail(steps.error().message());
    if (!how.of.empty()) return print_turns_of(from, told, how.of, *failed, *steps);
    std::optional<groups_by_cause> before;
    if (const auto earlier = time_before(told)) {
        const auto then = failures(from, *earlier, how.newest);
        if (!then) return fail(then.error().message());
        before.emplace();
        const auto steps_then = steps_of_failed(from, told, *then);
        if (!steps_then) return fail(steps_then.error().message());
        for (const mt::trace_info& trace : *then)
            for (const auto& [masked, text] : causes_of(trace, *steps_then)) (*before)[masked].add(trace);
    }
    const auto groups = errors_in(*failed, *steps, before);
    if (told.json || !told.columns.empty()) {
        std::vector<json> all;
        all.reserve(groups.size());
        for (const error_group& one : groups)
            all.push_back({{"error", one.text},
                           {"traces", one.traces},
                           {"before", one.before ? json(*one.before) : json()},
                           {"users", one.users.size()},
                           {"sessions", one.sessions.size()},
                           {"first_seen", mt::to_string(one.first)},
                           {"last_seen", mt::to_string(one.last)},
                           {"trace_id", one.trace},
                           {"session", one.session.empty() ? json() : json(one.session)}});
        return print(from, std::move(all), told);
    }
    if (failed->size() >= how.newest)
        std::cout << "of the newest " << table::counted(how.newest, "trace") << " that failed:\n";
    const links to(from, told);
    for (std::size_t i = 0; i < groups.size() && (told.limit == 0 || i < told.limit); ++i) print_error(groups[i], to);
    return flushed();
}

inline command errors(CLI::App& app, const arguments::common& told) {
    auto* const parser = app.add_subcommand(
        "errors", "why traces failed or have no answer: what their spans say, the most frequent first");
    const auto how = std::make_shared<error_options>();
    parser->add_option("--newest", how->newest, "failed traces to read")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    parser->add_option("--of", how->of, "the turns of the errors that have this text, with user and session")
        ->check(arguments::refuse_empty);
    return {parser, [&told, how](source& from) { return print_errors(from, told, *how); }};
}

} // namespace commands
