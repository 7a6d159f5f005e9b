// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source.hpp"
#include <mlflow/trace/client/intervals.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <map>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

// The values that `watch` computes for a period of time, and their limits.
namespace watching {

namespace mt = mlflow::trace;

struct limits {
    double error_rate = -1; ///< 0 to 1; below 0: no limit
    double p95 = -1;        ///< milliseconds
    double anonymous = -1;  ///< sessions without a user
    double cost_per_user = -1;
    std::size_t traces = 0; ///< a minimum
};

struct figures {
    static constexpr std::size_t parts = 30;

    mt::trace_time since;
    mt::trace_time until;
    mt::activity all;
    std::array<double, parts> traces{}; ///< over time
    std::array<double, parts> errors{};
    std::unordered_map<std::string, double> cost;   ///< by user
    std::map<std::string, std::size_t> failing;     ///< errors by user
    std::unordered_map<std::string, bool> sessions; ///< whether a user is known
    std::string last_error_user;
    std::string last_error_session;

    void add(const mt::trace_info& trace) {
        all.add(trace);
        const auto length = std::max<double>(1, static_cast<double>((until - since).count()));
        const auto place = static_cast<double>((trace.request_time - since).count()) / length * parts;
        const auto part = std::min(parts - 1, static_cast<std::size_t>(std::max(0.0, place)));
        ++traces[part];
        const std::string user(trace.user());
        if (!user.empty())
            cost[user] += mt::detail::number_of(
                mt::detail::parse_json(trace["mlflow.trace.cost"]).value_or(nlohmann::json()), "total_cost");
        if (!trace.session().empty()) {
            bool& is_known = sessions[std::string(trace.session())];
            is_known = is_known || !user.empty();
        }
        if (trace.status != mt::trace_status::error) return;
        ++errors[part];
        ++failing[user.empty() ? "(no user)" : user];
        if (all.last_error_id != trace.trace_id) return;
        last_error_user = user;
        last_error_session = trace.session();
    }

    [[nodiscard]] std::size_t anonymous() const {
        return static_cast<std::size_t>(
            std::count_if(sessions.begin(), sessions.end(), [](const auto& one) { return !one.second; }));
    }
    /// The user with the highest cost, and that cost.
    [[nodiscard]] std::pair<std::string, double> costliest() const {
        std::pair<std::string, double> most;
        for (const auto& one : cost)
            if (one.second > most.second || (one.second == most.second && one.first < most.first)) most = one;
        return most;
    }
    /// At most three users, those with the most errors first.
    [[nodiscard]] std::vector<std::pair<std::string, std::size_t>> failing_most() const {
        std::vector<std::pair<std::string, std::size_t>> order(failing.begin(), failing.end());
        std::stable_sort(order.begin(), order.end(),
                         [](const auto& a, const auto& b) { return a.second > b.second; });
        order.resize(std::min<std::size_t>(3, order.size()));
        return order;
    }

    /// The names of the options whose limits are exceeded.
    [[nodiscard]] std::vector<std::string> exceeded(const limits& most) const {
        std::vector<std::string> found;
        const auto check = [&](double limit, double value, const char* name) {
            if (limit >= 0 && value > limit) found.emplace_back(name);
        };
        check(most.error_rate, all.error_rate(), "max-error-rate");
        check(most.p95, all.durations.percentile(95), "max-p95");
        check(most.anonymous, static_cast<double>(anonymous()), "max-anonymous");
        check(most.cost_per_user, costliest().second, "max-cost-per-user");
        if (all.interactions < most.traces) found.emplace_back("min-traces");
        return found;
    }
};

} // namespace watching
