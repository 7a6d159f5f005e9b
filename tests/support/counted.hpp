// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace.hpp>

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace support {

// Whose traces the spans are in whose names end with their user's. A part of a trace that came after its root counts
// for the user of the root.
struct counted {
    std::size_t right = 0;
    std::size_t of_others = 0;
    std::size_t of_nobody = 0;

    explicit counted(const std::vector<mlflow::trace::recorded_trace>& traces) {
        std::map<std::string, std::string> users;
        for (const auto& trace : traces)
            if (trace.has_root) users[key(trace)] = trace.metadata["mlflow.trace.user"];
        for (const auto& trace : traces)
            for (const auto& span : trace.spans) {
                const std::string& user = users[key(trace)];
                ++(user.empty() ? of_nobody : span.name.ends_with(" " + user) ? right : of_others);
            }
    }

private:
    static std::string key(const mlflow::trace::recorded_trace& trace) { return std::string(trace.id.hex().view()); }
};

} // namespace support
