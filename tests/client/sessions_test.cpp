// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/export.hpp>
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/filter_parser.hpp>
#include <mlflow/trace/client/sessions.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;
namespace total = mt::total;
using namespace std::chrono_literals;

namespace {

constexpr mt::trace_time start{1'790'000'000'000ms};
constexpr mt::trace_time now = start + 24h;

// Traces in memory, as a source of one's own.
struct list {
    std::vector<mt::trace_info> traces;
    std::size_t searches = 0;

    template <class Visit>
    mt::search_result for_each_trace(const mt::trace_query& query, Visit visit) {
        ++searches;
        std::size_t count = 0;
        for (const mt::trace_info& one : traces)
            if (query.where.matches(one)) ++count, visit(one);
        return count;
    }
};

mt::trace_info trace_of(int number, std::string session, std::string user,
                        mt::trace_status status = mt::trace_status::ok) {
    mt::trace_info one;
    one.trace_id = "tr-" + std::to_string(number);
    one.request_time = start + number * 1min;
    one.execution_duration = 100ms * (number + 1);
    one.status = status;
    one.request_preview = "input " + std::to_string(number);
    if (!session.empty()) one.metadata["mlflow.trace.session"] = std::move(session);
    if (!user.empty()) one.metadata["mlflow.trace.user"] = std::move(user);
    return one;
}

std::string names_of(const std::vector<mt::session_summary>& sessions) {
    std::string names;
    for (const auto& one : sessions) names += one.session + ' ';
    return names;
}

struct Sessions : testing::Test {
    list source{{trace_of(4, "b", "u2"), trace_of(0, "a", "u1"), trace_of(1, "b", "u1", mt::trace_status::error),
                 trace_of(2, "a", "u1"), trace_of(3, "", "u3", mt::trace_status::error), trace_of(5, "c", "")}};

    std::vector<mt::session_summary> find(mt::filter where, mt::totals_filter having = {}, std::size_t searches = 0) {
        return mt::find_sessions(
                   source,
                   {.where = std::move(where), .having = std::move(having), .now = now, .most_searches = searches})
            .value();
    }
};

TEST_F(Sessions, AreChosenByOneTraceAndAddUpOverAll) {
    for (const std::size_t searches : {0U, 1U, 100U}) {
        const auto failed = find(field::status == field::error, {}, searches);
        ASSERT_EQ(names_of(failed), "b ");
        EXPECT_EQ(failed[0].interactions, 2U);
        EXPECT_EQ(failed[0].errors, 1U);
        EXPECT_EQ(failed[0].last_error_id, "tr-1");
        EXPECT_EQ(failed[0].last_error, start + 1min);
        EXPECT_EQ(failed[0].first_input, "input 1");
        EXPECT_EQ(failed[0].users, (std::vector<std::string>{"u1", "u2"}));
        EXPECT_EQ(failed[0].duration(), 3min + 500ms);
        const auto late = find(field::timestamp >= start + 2min, {}, searches);
        ASSERT_EQ(names_of(late), "a b c ");
        EXPECT_EQ(late[0].interactions, 2U) << "one turn is before the time";
    }
}

TEST_F(Sessions, FewOfThemAreAskedForOneByOne) {
    find({}, {}, 100);
    EXPECT_EQ(source.searches, 1U);
    find(field::status == field::error, {}, 0);
    EXPECT_EQ(source.searches, 2U);
    find(field::status == field::error, {}, 1);
    EXPECT_EQ(source.searches, 4U);
    find(field::timestamp >= start, {}, 2); // three are too many
    EXPECT_EQ(source.searches, 6U);
}

TEST_F(Sessions, AreFilteredByWhatTheyAddUpTo) {
    EXPECT_EQ(names_of(find({}, mt::having(total::turns >= 2))), "a b ");
    EXPECT_EQ(names_of(find({}, mt::having(total::turns >= 2 && total::errors > 0))), "b ");
    EXPECT_EQ(names_of(find({}, mt::having(total::idle < 24h - 4min - 1s))), "c ") << "b ended at 4 min 0.5 s";
    EXPECT_EQ(names_of(find({}, mt::having(total::users == 0))), "c ");
    EXPECT_EQ(names_of(find({}, mt::having(total::last_seen > start + 3min && total::first_seen < start + 5min))),
              "b ");
    EXPECT_EQ(names_of(find({}, mt::having(total::first_input.ilike("INPUT%") && total::user != "u1"))), "");
    EXPECT_EQ(names_of(find({}, mt::having(total::error_rate >= 0.5))), "b ");
    EXPECT_EQ(names_of(find({}, mt::having(total::feedback("helpful") < 1))), "") << "nobody gave any";
}

TEST_F(Sessions, AreSortedWithWhatIsMissingLast) {
    auto all = find({});
    mt::sort_by(all, {mt::total_kind::last_error}, true, now);
    EXPECT_EQ(names_of(all), "b a c ");
    mt::sort_by(all, {mt::total_kind::turns}, false, now);
    EXPECT_EQ(names_of(all), "c b a ") << "equal ones stay in their order";
    mt::sort_by(all, {mt::total_kind::user}, true, now);
    EXPECT_EQ(names_of(all), "b a c ");
}

TEST_F(Sessions, TracesAreGroupedByWhatAFunctionSays) {
    const auto groups = mt::summarise_by(
        source, [](const mt::trace_info& one) { return std::string_view(one.request_preview).substr(6); });
    ASSERT_EQ(groups->size(), 6U);
    EXPECT_EQ(groups->front().value, "0");
}

// ---- Against a plain model, at random

using traces = std::vector<const mt::trace_info*>;
using figure = std::optional<double>;

struct Random {
    std::mt19937 random;

    int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random); }
    bool coin(int in) { return below(in) == 0; }
    template <class T>
    const T& one_of(const std::vector<T>& all) {
        return all[static_cast<std::size_t>(below(static_cast<int>(all.size())))];
    }

    mt::trace_info trace(int number) {
        auto one = trace_of(number, coin(6) ? "" : "s" + std::to_string(below(9)),
                            coin(4) ? "" : "u" + std::to_string(below(4)),
                            coin(4) ? mt::trace_status::error : mt::trace_status::ok);
        one.request_time = start + below(40) * 7min; // several at the same time
        one.execution_duration = std::chrono::milliseconds(below(5) * 700 + below(3));
        one.has_duration = !coin(9);
        if (!one.has_duration) one.execution_duration = {};
        one.request_preview = coin(8) ? "" : one_of<std::string>({"Refund", "refund!", "where is my bike", "100%"});
        if (!coin(3))
            one.metadata["mlflow.trace.cost"] =
                R"({"total_cost": )" + std::to_string(below(90) * 0.125) + "}"; // exact in every order
        if (!coin(3))
            one.metadata["mlflow.trace.tokenUsage"] =
                R"({"input_tokens": 5, "output_tokens": )" + std::to_string(below(9)) + "}";
        for (int i = below(3); i > 0; --i) {
            mt::assessment said;
            said.name = one_of<std::string>({"helpful", "tone"});
            said.what = mt::assessment::kind::feedback;
            said.value = one_of<std::string>({"true", "false", "0.5", "3", "\"good\"", ""});
            said.valid = !coin(4);
            one.assessments.push_back(said);
        }
        return one;
    }
};

double in_milliseconds(mt::trace_time time) { return static_cast<double>(time.time_since_epoch().count()); }

figure percentile(const traces& all, double percent) {
    std::vector<double> sorted;
    for (const auto* one : all)
        if (one->has_duration) sorted.push_back(static_cast<double>(one->execution_duration.count()));
    if (sorted.empty()) return std::nullopt;
    std::sort(sorted.begin(), sorted.end());
    const double place = static_cast<double>(sorted.size() - 1) * percent / 100; // rounds as that of the library
    const auto at = static_cast<std::size_t>(place);
    return sorted[at] +
           (sorted[std::min(at + 1, sorted.size() - 1)] - sorted[at]) * (place - static_cast<double>(at));
}

double sum_of(const traces& all, const char* key, const char* member) {
    double sum = 0;
    for (const auto* one : all)
        if (const auto found = one->metadata.find(key); found != one->metadata.end())
            sum += nlohmann::json::parse(found->second).at(member).get<double>();
    return sum;
}

figure score(const traces& all, const std::string& name) {
    double sum = 0;
    int count = 0;
    for (const auto* one : all)
        for (const auto& said : one->assessments) {
            if (said.name != name || !said.valid || said.value.empty() || said.value.front() == '"') continue;
            sum += said.value == "true" ? 1 : said.value == "false" ? 0 : std::stod(said.value);
            ++count;
        }
    return count == 0 ? std::nullopt : figure(sum / count);
}

// The traces of one session in the order of time.
figure number(const traces& all, const std::string& name) {
    const auto errors =
        std::count_if(all.begin(), all.end(), [](auto* t) { return t->status == mt::trace_status::error; });
    const double turns = static_cast<double>(all.size());
    double end = 0;
    figure last_error;
    std::set<std::string> users;
    for (const auto* one : all) {
        end = std::max(end, in_milliseconds(one->request_time + one->execution_duration));
        if (!one->user().empty()) users.emplace(one->user());
        if (one->status == mt::trace_status::error) last_error = in_milliseconds(one->request_time);
    }
    if (name == "turns" || name == "interactions") return turns;
    if (name == "sessions") return 1;
    if (name == "users") return static_cast<double>(users.size());
    if (name == "errors") return static_cast<double>(errors);
    if (name == "error_rate") return static_cast<double>(errors) / turns;
    if (name == "input_tokens" || name == "output_tokens")
        return sum_of(all, "mlflow.trace.tokenUsage", name.c_str());
    if (name == "tokens") return *number(all, "input_tokens") + *number(all, "output_tokens");
    if (name == "cost") return sum_of(all, "mlflow.trace.cost", "total_cost");
    if (name == "p50" || name == "p95" || name == "p99") return percentile(all, std::stod(name.substr(1)));
    if (name == "duration") return end - in_milliseconds(all.front()->request_time);
    if (name == "idle") return in_milliseconds(now) - end;
    if (name == "first_seen") return in_milliseconds(all.front()->request_time);
    if (name == "last_seen") return in_milliseconds(all.back()->request_time);
    if (name == "last_error") return last_error;
    if (name.starts_with("feedback.")) return score(all, name.substr(9));
    ADD_FAILURE() << name;
    return std::nullopt;
}

bool holds(const figure& value, const std::string& how, double limit) {
    if (!value) return false;
    if (how == "=") return *value == limit;
    if (how == "!=") return *value != limit;
    if (how == "<") return *value < limit;
    if (how == "<=") return *value <= limit;
    return how == ">" ? *value > limit : *value >= limit;
}

TEST(SessionsAtRandom, AreThoseOfAPlainModel) {
    const auto seed = std::random_device()();
    std::printf("seed %u\n", seed);
    Random random{std::mt19937(seed)};
    const std::vector<std::string> names{"turns",         "users",     "errors",     "error_rate",
                                         "input_tokens",  "tokens",    "cost",       "p50",
                                         "p95",           "p99",       "duration",   "idle",
                                         "first_seen",    "last_seen", "last_error", "feedback.helpful",
                                         "feedback.tone", "sessions"};
    std::size_t found_in_all = 0;
    for (int round = 0; round < 3000; ++round) {
        SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(round));
        list source;
        for (int i = random.below(60); i > 0; --i) source.traces.push_back(random.trace(i));
        std::map<std::string, traces> sessions;
        for (const auto& one : source.traces)
            if (!one.session().empty()) sessions[std::string(one.session())].push_back(&one);
        for (auto& [name, all] : sessions)
            std::sort(all.begin(), all.end(), [](auto* a, auto* b) {
                return a->request_time != b->request_time ? a->request_time < b->request_time
                                                          : a->trace_id < b->trace_id;
            });

        const auto where = random.one_of<mt::filter>({{},
                                                      {},
                                                      field::status == field::error,
                                                      field::user == mt::user{"u1"},
                                                      field::timestamp > start + 100min,
                                                      field::user.is_absent() && field::execution_time > 500ms});
        std::string text;
        std::vector<std::function<bool(const traces&)>> conditions;
        for (int i = random.below(4); i > 0; --i) {
            text += text.empty() ? "" : random.coin(2) ? " AND " : "  and ";
            if (random.coin(6)) {
                const auto how = random.one_of<std::string>({"LIKE", "ILIKE", "=", "!="});
                const auto value = random.one_of<std::string>({"%efund%", "refund_", "Refund", "100%", "%"});
                text += "first_input " + how + " '" + value + "'";
                conditions.push_back([how, value](const traces& all) {
                    mt::trace_info as_name; // the same comparison as of metadata, which has tests of its own
                    if (all.front()->request_preview.empty()) return false;
                    as_name.metadata["k"] = all.front()->request_preview;
                    return mt::parse_filter("metadata.k " + how + " '" + value + "'")->matches(as_name);
                });
                continue;
            }
            const auto name = random.one_of(names);
            const auto how = random.one_of<std::string>({"=", "!=", "<", "<=", ">", ">="});
            // A value that some session has makes the limits themselves count.
            figure limit = static_cast<double>(random.below(4));
            if (!sessions.empty() && !random.coin(4))
                limit = number(std::next(sessions.begin(), random.below(static_cast<int>(sessions.size())))->second,
                               name);
            if (!limit) limit = 1;
            const auto kind = mt::parse_total(name).value();
            if (kind.is_milliseconds() || kind.is_time()) limit = std::round(*limit);
            char written[64];
            std::snprintf(written, sizeof written, "%.17g", *limit);
            text += name + ' ' + how + (random.coin(2) ? " " : "") +
                    (kind.is_time() ? mt::to_string(mt::trace_time(std::chrono::milliseconds(std::llround(*limit))))
                                    : written);
            if (kind.is_milliseconds() && random.coin(2)) text += "ms";
            conditions.push_back([=](const traces& all) { return holds(number(all, name), how, *limit); });
        }
        const auto having = mt::parse_totals(text);
        ASSERT_TRUE(having) << text << ": " << having.error().message();

        std::set<std::string> expected;
        for (const auto& [name, all] : sessions)
            if (std::any_of(all.begin(), all.end(), [&](auto* t) { return where.matches(*t); }) &&
                std::all_of(conditions.begin(), conditions.end(),
                            [&, &of = all](const auto& holds_for) { return holds_for(of); }))
                expected.insert(name);
        const auto found = mt::find_sessions(source, {.where = where,
                                                      .having = *having,
                                                      .now = now,
                                                      .most_searches = static_cast<std::size_t>(random.below(12))});
        ASSERT_TRUE(found);
        std::set<std::string> names_found;
        for (const auto& one : *found) {
            names_found.insert(one.session);
            const traces& all = sessions.at(one.session);
            ASSERT_EQ(one.interactions, all.size());
            ASSERT_EQ(one.first_input, all.front()->request_preview);
        }
        ASSERT_EQ(names_found, expected) << text;
        found_in_all += expected.size();

        const auto by = random.one_of(names);
        auto sorted = *found;
        mt::sort_by(sorted, mt::parse_total(by).value(), true, now);
        for (std::size_t i = 1; i < sorted.size(); ++i) {
            const auto a = number(sessions.at(sorted[i - 1].session), by);
            const auto b = number(sessions.at(sorted[i].session), by);
            ASSERT_TRUE(!b || (a && *a >= *b)) << by;
        }
    }
    EXPECT_GT(found_in_all, 1000U) << "hardly anything was compared";
}

} // namespace
