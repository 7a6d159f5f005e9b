// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "command.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace commands {

/// Selects and sorts users or sessions by their totals.
struct selection {
    std::string having{};
    std::string sort{};
    std::string top{};
    bool failed = false;

    [[nodiscard]] mt::totals_filter conditions() const {
        auto parsed = mt::parse_totals(having);
        if (!parsed) throw CLI::ValidationError("--having", parsed.error().message());
        return *parsed;
    }
};

inline std::shared_ptr<selection> add_selection(CLI::App& parser, const char* failed) {
    const auto told = std::make_shared<selection>();
    parser
        .add_option("--having", told->having, "only those whose totals match: errors > 0 AND p95 > 2s AND idle > 30m")
        ->check(arguments::refuse_empty);
    auto* const sort =
        parser
            .add_option("--sort", told->sort,
                        "sort by a total, largest first: cost, errors, p95, last_seen; for ascending order: cost:asc")
            ->check(arguments::refuse_empty);
    parser
        .add_option("--top", told->top,
                    "only the 10 with the largest value of a total, such as cost; --limit changes the number")
        ->check(arguments::refuse_empty)
        ->excludes(sort);
    parser.add_flag("--failed", told->failed, failed);
    return told;
}

/// Sorts as requested, and prints. Throws if the name of a total is invalid.
template <class Summary>
int print_selected(source& from, std::vector<Summary> found, const selection& how, const arguments::common& told) {
    std::vector<std::string> kept;
    if (how.failed) kept = {"errors", "last_error"};
    std::string name = how.top.empty() ? how.sort : how.top;
    if (!name.empty()) {
        const bool ascends = name.ends_with(":asc");
        if (ascends) name.resize(name.size() - 4);
        else if (name.ends_with(":desc")) name.resize(name.size() - 5);
        const auto total = mt::parse_total(name);
        if (!total) throw CLI::ValidationError(how.top.empty() ? "--sort" : "--top", total.error().message());
        mt::sort_by(found, *total, !ascends, mt::current_time());
        kept.push_back(name == "duration" ? "length_ms" : name == "idle" ? "idle_ms" : name);
    }
    if (!how.top.empty() && told.limit == 0 && found.size() > 10) found.erase(found.begin() + 10, found.end());
    std::vector<json> all;
    for (const Summary& one : found) {
        all.push_back(rows::of(one));
        if (!told.json) all.back()["latency"] = rows::latency(one.durations);
    }
    return print(from, std::move(all), told, std::move(kept));
}

} // namespace commands
