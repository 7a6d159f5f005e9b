// SPDX-License-Identifier: Apache-2.0
// Custom metadata keys, each with its own checks, in a schema.
#include <mlflow/trace.hpp>

#include <cstdio>
#include <string_view>

namespace mt = mlflow::trace;

// Enrichment: the values by which a team compares its traces.
using segment = mt::key<"app.segment", mt::one_of<"free", "pro", "enterprise">>;
using session_type = mt::key<"app.session_type", mt::one_of<"chat", "voice">>;
using environment = mt::key<"deployment.environment", mt::one_of<"production", "staging", "development">>;
using version = mt::key<"app.version", mt::max_length<32>>;

// A custom check: the last digit of an order number is its check digit.
constexpr bool is_order(std::string_view text) noexcept {
    int sum = 0;
    for (const char c : text.substr(0, text.size() - 1)) {
        if (c < '0' || c > '9') return false;
        sum += c - '0';
    }
    return text.back() - '0' == sum % 10;
}

// A type of its own, not an alias, so that compiler errors show its name.
struct order : mt::key_of<order, "shop.order", mt::max_length<12>, mt::predicate<is_order>> {
    using key_of::key_of;
};

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::required<environment>,
                          mt::late<order>, mt::optional<segment>, mt::optional<session_type>, mt::optional<version>>;

int main(int count, char** arguments) {
    mt::tracer<schema> tracer;
    auto trace = tracer.start_trace("checkout", mt::user{"user-1042"}, mt::session{"session-7"},
                                    environment{"staging"}, segment{"pro"}, session_type{"chat"}, version{"1.4.0"});
    const auto number = order::parse(count > 1 ? arguments[1] : "47113"); // known only inside the call
    if (number) trace.set(*number);
    else trace.set(mt::absent<order>{});
    std::printf("%s\n", number ? "recorded in traces.jsonl" : number.error().message().c_str());
    return number ? 0 : 1;
}
