// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {
namespace detail {

// The spans that a `batch` has dropped, by reason.
struct batch_drops {
    std::uint64_t full = 0;
    std::uint64_t too_large = 0;
    std::uint64_t late = 0; // after the shutdown, or recorded by the exporter itself

    [[nodiscard]] std::uint64_t for_want_of_room() const noexcept { return full + too_large; }
    [[nodiscard]] bool any() const noexcept { return full + too_large + late != 0; }
    [[nodiscard]] std::string reason() const {
        std::string text;
        const auto add = [&](std::uint64_t spans, std::string_view before, std::string_view after) {
            if (spans == 0) return;
            if (!text.empty()) text += "; ";
            text.append(before).append(std::to_string(spans)).append(after);
        };
        add(full, "the queue was full, so ",
            " spans were dropped so far; raise max_queue_spans and max_queue_bytes, or find out why delivery is "
            "slow");
        add(too_large, "a trace was larger than the whole queue, so ",
            " spans were dropped so far; raise max_queue_spans and max_queue_bytes, or record less in one trace");
        add(late, "",
            " spans were dropped because they ended after the shutdown or were recorded by the exporter itself");
        return text;
    }
};

} // namespace detail
} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
