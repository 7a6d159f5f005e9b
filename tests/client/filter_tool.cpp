// SPDX-License-Identifier: Apache-2.0
// For filter_differential.py: each line of the input is {"clauses": [{…}…], "value": …} and is answered by what the
// library makes of it; {"filter": TEXT} by what it reads.
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/filter_parser.hpp>

#include <nlohmann/json.hpp>

#include <iostream>
#include <string>

namespace mt = mlflow::trace;
using nlohmann::json;

namespace {

mt::filter filter_of(const json& clauses) {
    mt::filter all;
    for (const json& told : clauses) {
        mt::clause one{static_cast<mt::subject>(told["subject"].get<int>()), told.value("key", ""),
                       static_cast<mt::comparison>(told["comparison"].get<int>())};
        one.values = told.value("values", std::vector<std::string>{});
        if (told.contains("number")) one.milliseconds = told["number"].get<std::int64_t>();
        all = std::move(all) && mt::filter(std::move(one));
    }
    return all;
}

json answer(const json& asked) {
    const auto parsed = asked.contains("filter") ? mt::parse_filter(asked["filter"].get<std::string>())
                                                 : mt::result<mt::filter>(filter_of(asked["clauses"]));
    if (!parsed) return {{"error", parsed.error().message()}};
    const auto text = parsed->text();
    if (!text) return {{"error", text.error().message()}};
    json told{{"text", *text}, {"exact", parsed->is_exact()}};
    if (const auto again = mt::parse_filter(*text); !again) told["unread"] = again.error().message();
    else told["same"] = *again == *parsed;
    if (asked.contains("metadata")) {
        mt::trace_info trace;
        trace.metadata = asked["metadata"].get<mt::text_map>();
        told["matches"] = parsed->matches(trace);
    }
    return told;
}

} // namespace

int main() {
    std::ios::sync_with_stdio(false);
    for (std::string line; std::getline(std::cin, line);) std::cout << answer(json::parse(line)).dump() << '\n';
}
