// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"
#include "compared.hpp"
#include "conversation.hpp"
#include "suspects.hpp"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace commands {

struct compare_options {
    std::string key;
    std::string before;
};

// The value of a metadata key or tag; users and sessions have short names.
inline std::string_view value_of_key(const mt::trace_info& trace, std::string_view key) {
    constexpr std::string_view tag = "tag.";
    if (key.starts_with(tag)) return trace.tag(key.substr(tag.size()));
    if (const auto value = trace[key]; !value.empty()) return value;
    if (key == "user") return trace.user();
    if (key == "session") return trace.session();
    if (key == "name") return trace.name();
    return trace.tag(key);
}

// If no trace has the key, prints the keys that exist.
inline int fail_by_key(source& from, const arguments::common& told, const std::string& key) {
    diagnosis::name_counts keys;
    std::size_t traces = 0;
    const auto done = from.for_each_trace(arguments::query_of(told), [&](const mt::trace_info& trace) {
        ++traces;
        for (const auto& [name, value] : trace.metadata) ++keys[name];
        for (const auto& [name, value] : trace.tags) ++keys["tag." + name];
    });
    if (!done) return fail(done.error().message());
    if (traces == 0) return print_nothing(from, told, "trace");
    std::string known;
    for (const auto& [name, count] : keys) known += (known.empty() ? "" : ", ") + name;
    return fail("--by " + key + ": none of " + table::counted(traces, "trace") +
                " has this key; keys: user, session, name, " + known);
}

// The query, and the same query earlier by `by`; without a start, the time range has the length `by`. Throws if the
// two overlap.
inline std::pair<mt::trace_query, mt::trace_query> now_and_before(const arguments::common& told,
                                                                  std::chrono::milliseconds by) {
    arguments::common times = told;
    const mt::trace_time now = mt::current_time();
    const mt::trace_time until = arguments::parse_moment(told.until).value_or(now);
    const mt::trace_time since =
        told.since.empty() ? until - by : arguments::parse_moment(told.since).value_or(until - by);
    if (until - since > by)
        throw CLI::ValidationError(
            "--before", "must be at least as long as the time since --since, so that the periods do not overlap");
    times.since = mt::to_string(since);
    times.until = mt::to_string(until);
    auto here = arguments::query_of(times);
    times.since = mt::to_string(since - by);
    times.until = mt::to_string(until - by);
    return {std::move(here), arguments::query_of(times)};
}

inline int print_comparison(source& from, const arguments::common& told, const compare_options& how) {
    const auto key_of = [&how](const mt::trace_info& trace) { return value_of_key(trace, how.key); };
    auto query = arguments::query_of(told);
    std::vector<mt::group_summary> before;
    if (!how.before.empty()) {
        const auto by = mt::parse_length(how.before);
        if (!by || by->count() == 0) throw CLI::ValidationError("--before", "expected a duration: 24h or 7d");
        auto [here, there] = now_and_before(told, *by);
        query = std::move(here);
        auto found = mt::summarise_by(from, key_of, there);
        if (!found) return fail(found.error().message());
        before = std::move(*found);
    }
    const auto now = mt::summarise_by(from, key_of, query);
    if (!now) return fail(now.error().message());
    if (now->empty() && before.empty()) return fail_by_key(from, told, how.key);

    const mt::activity all = how.before.empty() ? compared::sum_of(*now) : mt::activity{};
    std::vector<json> found;
    const auto add = [&](const mt::group_summary& one, const char* period, const std::vector<std::string>& differs) {
        json row{{"value", one.value}};
        if (period) row["period"] = period;
        row.update(rows::of(one));
        compared::add_intervals(row, one);
        row["differs"] = differs;
        found.push_back(told.json ? std::move(row) : compared::row_of_table(row, one));
    };
    const auto find = [](const std::vector<mt::group_summary>& in, const std::string& value) {
        return std::find_if(in.begin(), in.end(), [&](const mt::group_summary& one) { return one.value == value; });
    };
    for (const mt::group_summary& one : *now) {
        if (how.before.empty()) {
            add(one, nullptr,
                now->size() < 2 ? std::vector<std::string>()
                                : compared::differences(one, compared::rest_of(all, one)));
            continue;
        }
        const auto earlier = find(before, one.value);
        add(one, "now", earlier == before.end() ? std::vector<std::string>() : compared::differences(one, *earlier));
        if (earlier != before.end()) add(*earlier, "before", {});
    }
    for (const mt::group_summary& one : before)
        if (find(*now, one.value) == now->end()) add(one, "before", {});
    if (!told.json && table::is_terminal(STDOUT_FILENO))
        for (const std::string& line : table::wrapped(compared::methods, conversation::width()))
            std::cout << table::coloured(line, table::faint) << '\n';
    return print(from, std::move(found), told);
}

inline command compare(CLI::App& app, const arguments::common& told) {
    auto* const parser =
        app.add_subcommand("compare", "compare groups of traces, and mark statistically significant differences");
    const auto how = std::make_shared<compare_options>();
    auto* const by =
        parser
            ->add_option(
                "--by", how->key,
                "user, session, name, a metadata key such as app.segment, or a tag (default: the values of any "
                "key with which traces fail, are slow or dear, or lack an answer, a session or a user more often "
                "than without)")
            ->check(arguments::refuse_empty);
    parser
        ->add_option("--before", how->before,
                     "compare each group with the same period this much earlier: 24h, 7d; without --since, the "
                     "period has that length")
        ->check(arguments::refuse_empty)
        ->needs(by);
    parser->footer(compared::methods);
    return {parser, [&told, how](source& from) {
                return how->key.empty() ? print_suspects(from, told) : print_comparison(from, told, *how);
            }};
}

} // namespace commands
