// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "answers.hpp"
#include "links.hpp"
#include "table.hpp"
#include "turn_spans.hpp"
#include <mlflow/trace/client/analysis.hpp>

#include <algorithm>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

// Prints a session as a conversation.
namespace conversation {

namespace mt = mlflow::trace;

inline constexpr std::size_t widest = 100; // for continuous text
inline constexpr std::size_t indent = 4;

inline std::size_t width() { return std::min(table::width_of_terminal(), widest); }

struct piece {
    std::string text;
    std::string_view colour{};
};

// Prints pieces next to each other, and continues on a new line if there is no room.
inline void print_pieces(const std::vector<piece>& pieces) {
    std::size_t used = 0;
    for (const piece& one : pieces) {
        const std::size_t size = table::width_of(one.text);
        if (used > 0 && used + 2 + size > width()) {
            used = indent + size <= width() ? indent : 0;
            std::cout << '\n' << std::string(used, ' ');
        } else if (used > 0) {
            std::cout << "  ";
            used += 2;
        }
        std::cout << table::coloured(one.text, one.colour);
        used += size;
    }
    std::cout << '\n';
}

// Prints a speaker and a message in wrapped lines; paragraphs are kept.
inline void say(std::string_view who, std::string_view what, std::string_view colour = {}) {
    const std::string label = table::harmless(who);
    const std::size_t least = 16; // columns; with less room, the text begins on the next line
    const bool is_below = table::width_of(label) > 16 || width() < indent + table::width_of(label) + 2 + least;
    std::string lead = std::string(indent, ' ') + table::coloured(label, table::bold);
    if (is_below) std::cout << lead << '\n';
    const std::size_t margin = indent + (is_below ? 2 : table::width_of(label) + 2);
    lead = is_below ? std::string(margin, ' ') : lead + "  ";
    const std::size_t room = width() > margin + 8 ? width() - margin : 8;
    while (!what.empty()) {
        const auto end = what.find('\n');
        for (const std::string& line : table::wrapped(table::harmless(what.substr(0, end)), room)) {
            std::cout << lead << table::coloured(line, colour) << '\n';
            lead = std::string(margin, ' ');
        }
        what.remove_prefix(end == std::string_view::npos ? what.size() : end + 1);
    }
}

// The text of an object that contains only one text, such as {"message": "…"}.
inline std::string readable(const std::string& preview) {
    if (!preview.starts_with('{') && !preview.starts_with('"')) return preview;
    const auto told = mt::detail::parse_json(preview);
    if (!told) return preview;
    if (told->is_string()) return told->get<std::string>();
    if (!told->is_object() || told->size() != 1 || !told->begin()->is_string()) return preview;
    return told->begin()->get<std::string>();
}

inline std::string one_line(std::string_view text, std::size_t most) {
    const std::string shown = table::harmless(text);
    return table::width_of(shown) > most ? table::fitted(shown, most, false) : shown;
}

inline void print_tool(const turns::step& one) {
    std::string line = one.name + ' ' + table::length_text(static_cast<double>(one.end - one.start) / 1e6);
    const std::size_t room = width() / 2;
    if (!one.inputs.empty()) line += ' ' + one_line(one.inputs, room);
    if (one.is_failed) line += " FAILED" + (one.message.empty() ? "" : ": " + one.message);
    else if (!one.outputs.empty()) line += " → " + one_line(one.outputs, room);
    say("tool", line, one.is_failed ? table::red : table::faint);
}

inline void print_feedback(const mt::trace_info& trace) {
    for (const mt::assessment& one : trace.assessments) {
        if (one.what != mt::assessment::kind::feedback || !one.valid) continue;
        std::string line =
            one.name + (one.error.empty() ? " = " + turns::unquoted(one.value) : " failed: " + one.error);
        line += " (" + (one.source.id.empty() ? one.source.type : one.source.id) +
                (one.is_of_session() ? ", of the session)" : ")");
        if (!one.rationale.empty()) line += ": " + one.rationale;
        say("feedback", line, table::yellow);
    }
}

// Where an exception came from: the lines nearest to it, which are the last ones in Python and the first elsewhere.
inline void print_stack(const turns::step& one, bool whole) {
    std::vector<std::string> lines;
    for (std::string_view rest = one.stack; !rest.empty();) {
        const auto end = std::min(rest.find('\n'), rest.size());
        if (rest.substr(0, end).find_first_not_of(" \t\r") != std::string_view::npos)
            lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    if (lines.empty()) return;
    constexpr std::size_t most = 8;
    const bool ends_with_cause = lines.front().starts_with("Traceback");
    const std::size_t count = whole ? lines.size() : std::min(most, lines.size());
    const std::size_t first = ends_with_cause ? lines.size() - count : 0;
    const std::string left_out = std::to_string(lines.size() - count) + " lines more: --stack";
    std::string text;
    if (first > 0) text = "… " + left_out + '\n';
    for (std::size_t at = first; at < first + count; ++at) text += lines[at] + '\n';
    if (first == 0 && count < lines.size()) text += "… " + left_out;
    say("stack", text, table::faint);
}

inline void print_turn(const mt::session_turn& turn, const std::vector<turns::step>& steps, const links& to,
                       bool whole_stacks) {
    const mt::trace_info& trace = turn.trace;
    const bool is_failed = trace.status == mt::trace_status::error;
    std::vector<piece> head{
        {std::to_string(turn.number), table::bold},
        {table::time_text(mt::to_string(trace.request_time))},
        {trace.has_duration ? table::length_text(static_cast<double>(trace.execution_duration.count())) : "no end"}};
    if (turn.gap) head.push_back({"after " + table::length_text(static_cast<double>(turn.gap->count()))});
    if (is_failed) head.push_back({"FAILED", table::red});
    else if (trace.status != mt::trace_status::ok) head.push_back({std::string(mt::to_string(trace.status))});
    std::cout << '\n';
    print_pieces(head);
    const std::string id = table::harmless(trace.trace_id);
    std::cout << std::string(indent, ' ')
              << table::linked(table::coloured(id, table::faint), to.of_trace(trace.trace_id)) << '\n';
    say(trace.user().empty() ? "user" : trace.user(),
        trace.request_preview.empty() ? "(nothing recorded)" : readable(trace.request_preview));
    for (const turns::step& one : steps)
        if (one.is_tool) print_tool(one);
    const bool is_silent = !trace.response_preview.empty() && answers::is_missing(trace);
    if (is_silent) {
        const std::string why = turns::ending_of(steps);
        say("assistant", why.empty() ? "(no answer)" : "(no answer: " + why + ')', table::red);
    } else if (!trace.response_preview.empty()) {
        say("assistant", readable(trace.response_preview));
    } else {
        say("assistant", is_failed ? "(no answer)" : "(nothing recorded)", table::faint);
    }
    if (is_failed) {
        bool is_explained = false;
        for (const turns::step* const cause : turns::causes_in(steps)) {
            const bool is_said = cause->is_tool && !cause->message.empty(); // where the tool stands
            is_explained = true;
            if (!is_said)
                say("error", cause->name + (cause->message.empty() ? " failed" : ": " + cause->message), table::red);
            print_stack(*cause, whole_stacks);
        }
        if (!is_explained && std::none_of(steps.begin(), steps.end(), [](const auto& one) { return one.is_failed; }))
            say("error", "no span has an error message", table::red);
    }
    print_feedback(trace);
}

/// `whole` are all turns of the session, `shown` the indices of those to show.
inline void print(const std::string& session, const std::vector<mt::session_turn>& whole,
                  const std::vector<std::size_t>& shown, const turns::steps_by_trace& steps, const links& to,
                  bool whole_stacks) {
    mt::activity all;
    std::vector<std::string> users;
    for (const mt::session_turn& turn : whole) {
        all.add(turn.trace);
        if (const std::string user(turn.trace.user());
            !user.empty() && std::find(users.begin(), users.end(), user) == users.end())
            users.push_back(user);
    }
    std::cout << table::coloured("session ", table::bold)
              << table::linked(table::harmless(session), to.of_session(session)) << '\n';
    for (const std::string& user : users)
        std::cout << table::coloured("user    ", table::bold) << table::harmless(user) << '\n';
    std::vector<piece> sums{
        {table::counted(whole.size(), "turn")},
        {"in " + table::length_text(static_cast<double>((all.last_end - all.first_seen).count()))}};
    if (all.errors > 0) sums.push_back({std::to_string(all.errors) + " failed", table::red});
    if (all.durations.count() > 0) sums.push_back({"median " + table::length_text(all.durations.percentile(50))});
    if (all.cost > 0) sums.push_back({'$' + table::money_text(all.cost)});
    if (shown.size() < whole.size()) sums.push_back({std::to_string(shown.size()) + " shown"});
    print_pieces(sums);
    static const std::vector<turns::step> none;
    for (const std::size_t at : shown) {
        const auto found = steps.find(whole[at].trace.trace_id);
        print_turn(whole[at], found == steps.end() ? none : found->second, to, whole_stacks);
    }
}

} // namespace conversation
