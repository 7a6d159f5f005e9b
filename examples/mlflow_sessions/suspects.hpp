// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "answers.hpp"
#include "command.hpp"
#include "compared.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

// Of all keys, the values whose traces fail, wait, cost or lack something more often than those of the others.
namespace commands {

// What a trace can have that is worth asking about. `slow` and `dear`: beyond nine of ten traces of the time before,
// or of this time where there is none.
enum class trait : std::size_t { failed, no_answer, slow, dear, no_session, no_user };
inline constexpr std::array<const char*, 6> trait_names = {"failed", "no answer",  "slow",
                                                           "dear",   "no session", "no user"};
using trait_flags = std::array<bool, trait_names.size()>;

struct trait_counts {
    std::size_t traces = 0;
    std::array<std::size_t, trait_names.size()> of{};

    void add(const trait_flags& has) {
        ++traces;
        for (std::size_t i = 0; i < has.size(); ++i) of[i] += has[i] ? 1U : 0U;
    }
};

struct suspect {
    std::string key;
    std::string value;
    std::size_t what = 0;
    std::size_t traces = 0;
    std::size_t count = 0;
    mt::confidence_interval difference; ///< of the rate with and without
    std::optional<double> before{};     ///< the same rate in the time before
    bool has_risen = false;             ///< since then, by more than noise
};

// The traces of one time, by the values of their keys.
class trait_table {
public:
    static constexpr std::size_t most_values = 50; // a key with more is as good as an ID

    void add(const mt::trace_info& trace) {
        row one;
        const auto spent = mt::detail::parse_json(trace["mlflow.trace.cost"]).value_or(nullptr);
        one.cost = mt::detail::number_of(spent, "total_cost");
        one.duration = trace.has_duration ? static_cast<double>(trace.execution_duration.count()) : 0;
        one.has[at(trait::failed)] = trace.status == mt::trace_status::error;
        one.has[at(trait::no_answer)] = answers::is_missing(trace);
        one.has[at(trait::no_session)] = trace.session().empty();
        one.has[at(trait::no_user)] = trace.user().empty();
        const auto add_value = [&](const std::string& key, const std::string& value) {
            // Sessions are answered by `sessions --failed`; what MLflow counts itself is no segment.
            if (key == mt::session::name || key.starts_with("mlflow.trace.token") || key == "mlflow.trace.cost" ||
                key.starts_with("mlflow.trace.size"))
                return;
            auto& values = keys_[key];
            if (values.size() > most_values) return;
            const auto place = values.try_emplace(value, values.size()).first->second;
            one.at.emplace_back(&values, place);
        };
        for (const auto& [key, value] : trace.metadata) add_value(key, value);
        for (const auto& [key, value] : trace.tags) add_value("tag." + key, value);
        rows_.push_back(std::move(one));
    }

    [[nodiscard]] std::pair<double, double> ninth_tenths() const {
        std::vector<double> durations;
        std::vector<double> costs;
        for (const row& one : rows_) {
            durations.push_back(one.duration);
            costs.push_back(one.cost);
        }
        const auto of = [](std::vector<double>& values) {
            if (values.empty()) return std::numeric_limits<double>::infinity();
            const auto place = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 9 / 10);
            std::nth_element(values.begin(), place, values.end());
            return *place;
        };
        return {of(durations), of(costs)};
    }

    void sum(const std::pair<double, double>& limits) {
        const bool has_answers = std::any_of(rows_.begin(), rows_.end(), [](const row& one) {
            return !one.has[at(trait::failed)] && !one.has[at(trait::no_answer)];
        });
        for (row& one : rows_) {
            one.has[at(trait::slow)] = one.duration > limits.first;
            one.has[at(trait::dear)] = one.cost > limits.second;
            if (!has_answers) one.has[at(trait::no_answer)] = false; // outputs are not recorded
            all.add(one.has);
            for (const auto& [values, place] : one.at) {
                auto& counted = counts_[values];
                if (counted.size() <= place) counted.resize(place + 1);
                counted[place].add(one.has);
            }
        }
    }

    /// Calls visit(key, value, counts); keys of too many values are left out.
    template <class Visit>
    void for_each(Visit visit) const {
        for (const auto& [key, values] : keys_) {
            if (values.size() > most_values) continue;
            const auto counted = counts_.find(&values);
            if (counted == counts_.end()) continue;
            for (const auto& [value, place] : values) visit(key, value, counted->second[place]);
        }
    }
    [[nodiscard]] const trait_counts* find(const std::string& key, const std::string& value) const {
        const auto values = keys_.find(key);
        if (values == keys_.end() || values->second.size() > most_values) return nullptr;
        const auto place = values->second.find(value);
        return place == values->second.end() ? nullptr : &counts_.at(&values->second)[place->second];
    }

    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }

    trait_counts all;

private:
    using value_places = std::map<std::string, std::size_t>;
    struct row {
        trait_flags has{};
        double duration = 0;
        double cost = 0;
        std::vector<std::pair<const value_places*, std::size_t>> at;
    };
    static constexpr std::size_t at(trait what) { return static_cast<std::size_t>(what); }

    std::map<std::string, value_places> keys_;
    std::map<const value_places*, std::vector<trait_counts>> counts_;
    std::vector<row> rows_;
};

inline double rate_of(std::size_t part, std::size_t whole) {
    return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

inline std::vector<suspect> suspects_in(const trait_table& now, const trait_table& before) {
    std::vector<suspect> found;
    now.for_each([&](const std::string& key, const std::string& value, const trait_counts& one) {
        if (one.traces == now.all.traces) return;
        const trait_counts* const earlier = before.find(key, value);
        for (std::size_t i = 0; i < trait_names.size(); ++i) {
            if (key == mt::user::name && i == static_cast<std::size_t>(trait::no_user)) continue;
            const auto difference =
                mt::newcombe_interval(one.of[i], one.traces, now.all.of[i] - one.of[i], now.all.traces - one.traces);
            if (difference.low <= 0) continue;
            suspect made{key, value, i, one.traces, one.of[i], difference};
            if (earlier) {
                made.before = rate_of(earlier->of[i], earlier->traces);
                made.has_risen =
                    mt::newcombe_interval(one.of[i], one.traces, earlier->of[i], earlier->traces).low > 0;
            } else {
                made.has_risen = before.all.traces > 0; // a value that was not there
            }
            found.push_back(std::move(made));
        }
    });
    // What has become worse first, then what users notice, then by how much.
    std::stable_sort(found.begin(), found.end(), [](const suspect& a, const suspect& b) {
        const auto rank = [](const suspect& one) {
            const bool is_noticed = one.what <= static_cast<std::size_t>(trait::no_answer);
            return std::tuple(one.has_risen, is_noticed, one.difference.low);
        };
        return rank(a) > rank(b);
    });
    return found;
}

// From as long before --since as it is ago, until then.
inline std::optional<mt::trace_query> time_before(const arguments::common& told) {
    if (told.since.empty()) return std::nullopt;
    const auto since = arguments::parse_moment(told.since);
    const auto until = told.until.empty() ? std::optional(mt::current_time()) : arguments::parse_moment(told.until);
    if (!since || !until || *until <= *since) return std::nullopt;
    arguments::common times = told;
    times.since = mt::to_string(*since - (*until - *since));
    times.until = mt::to_string(*since);
    return arguments::query_of(times);
}

inline int print_suspects(source& from, const arguments::common& told) {
    trait_table now;
    trait_table before;
    const auto done =
        from.for_each_trace(arguments::query_of(told), [&](const mt::trace_info& trace) { now.add(trace); });
    if (!done) return fail(done.error().message());
    if (*done == 0) return print_nothing(from, told, "trace");
    const auto earlier = time_before(told);
    if (earlier) {
        const auto read = from.for_each_trace(*earlier, [&](const mt::trace_info& trace) { before.add(trace); });
        if (!read) return fail(read.error().message());
    }
    constexpr std::size_t enough = 100; // traces, to say what is usual
    const auto limits = earlier && before.size() >= enough ? before.ninth_tenths() : now.ninth_tenths();
    now.sum(limits);
    before.sum(limits);
    const auto found = suspects_in(now, before);
    if (found.empty() && !told.json) {
        std::string keys;
        now.for_each([&](const std::string& key, const std::string&, const trait_counts& one) {
            if (one.traces < now.all.traces && keys.find(key) == std::string::npos)
                keys += (keys.empty() ? "" : ", ") + key;
        });
        const std::string text = keys.empty()
                                     ? "no key with values to compare: record metadata or tags, such as app.version"
                                     : "no value has a higher rate of failed, slow or dear traces, or of traces "
                                       "without an answer, session or user, than the others; keys compared: " +
                                           keys;
        for (const std::string& line : table::wrapped(table::harmless(text), table::width_of_terminal()))
            std::cout << line << '\n';
        return flushed();
    }
    std::vector<json> rows;
    for (const suspect& one : found) {
        const auto rest = now.all.traces - one.traces;
        const auto rest_count = now.all.of[one.what] - one.count;
        const json here = compared::interval(mt::wilson_interval(one.count, one.traces));
        const json there = compared::interval(mt::wilson_interval(rest_count, rest));
        json row{{"what", trait_names[one.what]}, {"key", one.key}, {"value", one.value}};
        if (told.json) {
            row["interactions"] = one.traces;
            row["count"] = one.count;
            row["rate"] = rate_of(one.count, one.traces);
            row["rate_95"] = here;
            row["others_rate"] = rate_of(rest_count, rest);
            row["others_rate_95"] = there;
            row["difference_95"] = compared::interval(one.difference);
            row["rate_before"] = one.before ? json(*one.before) : json();
            row["has_risen"] = one.has_risen;
        } else {
            const auto percent = [](double rate) { return table::number_text(rate * 100, "%.1f"); };
            row["of"] = std::to_string(one.count) + " of " + std::to_string(one.traces);
            row["rate_95"] = compared::with_interval(rate_of(one.count, one.traces), here, 100, "%.1f");
            row["others_95"] = compared::with_interval(rate_of(rest_count, rest), there, 100, "%.1f");
            if (earlier)
                row["before"] = (one.before ? percent(*one.before) : std::string("-")) + (one.has_risen ? " ▲" : "");
        }
        rows.push_back(std::move(row));
    }
    return print(from, std::move(rows), told);
}

} // namespace commands
