// SPDX-License-Identifier: Apache-2.0
// Any bytes as a filter: what is accepted says the same when it is written again, and cannot swallow the clause of a
// tenant that is added to it; any value can be compared with, and matches itself. A libFuzzer target.
//
// The input: a filter, and a value.
#include "properties.hpp"
#include <mlflow/trace/client/fields.hpp>
#include <mlflow/trace/client/filter_parser.hpp>

using fuzz::require;

namespace {

namespace mt = mlflow::trace;
namespace field = mt::field;

void check_text(std::string_view text) {
    const auto parsed = mt::parse_filter(text);
    if (!parsed) return fuzz::require_clean(parsed.error().message());
    const mt::trace_info nothing{};
    static_cast<void>(parsed->matches(nothing));
    const auto written = parsed->text();
    if (!written) return fuzz::require_clean(written.error().message());
    const auto with_tenant = *parsed && field::metadata("tenant") == "a";
    const auto tenant_text = with_tenant.text();
    require(tenant_text && tenant_text->ends_with("metadata.`tenant` = 'a'"));
    const auto again = mt::parse_filter(*tenant_text);
    require(again && again->clauses().size() == parsed->clauses().size() + 1);
    require(!parsed->is_exact() || *again == with_tenant);
    require(again->clauses().back() == with_tenant.clauses().back());
}

void check_value(std::string_view value) {
    mt::trace_info trace;
    trace.metadata["k"] = value;
    const auto equal = field::metadata("k") == value;
    require(equal.matches(trace) && !(field::metadata("k") != value).matches(trace));
    require(field::metadata("k").exists().matches(trace));
    const auto text = equal.text();
    if (!text) return fuzz::require_clean(text.error().message());
    // What a server that takes the pattern lets through holds what is meant.
    const auto parsed = mt::parse_filter(*text);
    require(parsed && parsed->clauses().size() == 1 && parsed->matches(trace));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    fuzz::input in(data, size);
    check_text(in.take_text());
    check_value(in.rest());
    return 0;
}
