// SPDX-License-Identifier: Apache-2.0
// Any bytes as the header `traceparent`: what is accepted is written again as it was, but for what later versions of
// the header may add. A libFuzzer target.
#include "properties.hpp"
#include <mlflow/trace/core/traceparent.hpp>

using fuzz::require;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace mt = mlflow::trace;
    std::string_view given(reinterpret_cast<const char*>(data), size);
    const auto parsed = mt::remote_span::parse(given);
    if (!parsed) {
        require(parsed.error().kind() != mt::error_kind::none);
        fuzz::require_clean(parsed.error().message());
        return 0;
    }
    while (given.front() == ' ' || given.front() == '\t') given.remove_prefix(1);
    while (given.back() == ' ' || given.back() == '\t') given.remove_suffix(1);
    require(parsed->trace_id.valid() && parsed->id.valid());
    const auto text = parsed->text();
    require(given.substr(3, 50) == text.view().substr(3, 50)); // the IDs
    require(given.substr(0, 2) != "00" || given.size() == text.view().size());
    const auto again = mt::remote_span::parse(text.view());
    require(again && again->trace_id == parsed->trace_id && again->id == parsed->id &&
            again->is_sampled == parsed->is_sampled && again->has_random_id == parsed->has_random_id);
    return 0;
}
