// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/trace_data.hpp>
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/metadata/check.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// A version of a prompt in MLflow's registry that a trace has used: `trace.set(mt::linked_prompt("greeting", 3))`,
/// also given to `start_trace` and `update_current_trace`. Each adds one, and the same again nothing. MLflow's page
/// shows them with the trace (the tag `mlflow.linkedPrompts`), and the trace with the version of the prompt.
///
/// Names: 1 to 250 of ASCII letters, digits and `_-.` (`PROMPT_NAME_RULE`, mlflow/prompt/constants.py). Versions: 1
/// to 2^31 - 1. As many as fit into a tag of 4096 characters. Views its name: use it in the same expression.
///
/// On PostgreSQL and MySQL, MLflow 3.17 keeps name and version in a column of 36 characters
/// (`SqlEntityAssociation.destination_id`): a longer one is in the tag alone.
struct linked_prompt {
    static constexpr std::string_view tag_key = "mlflow.linkedPrompts";

    std::string_view name;
    std::int64_t version;

    constexpr linked_prompt(std::string_view prompt_name, std::int64_t prompt_version) noexcept
        : name(prompt_name), version(prompt_version) {}

    [[nodiscard]] constexpr error check() const noexcept {
        if (const auto wrong = detail::check_text(tag_key, name, 250); wrong.kind() != error_kind::none) return wrong;
        if (!ascii_word<"_-.">::allows(name) || name == "." || name == "..")
            return {error_kind::not_allowed, tag_key};
        if (version < 1 || version > 0x7fff'ffff) return {error_kind::out_of_range, tag_key};
        return {};
    }

    /// As MLflow's own client does (`update_linked_prompts_tag`, mlflow/tracing/utils/prompt.py).
    [[nodiscard]] error add_to(trace_entries& entries) const noexcept {
        if (const error wrong = check(); wrong.kind() != error_kind::none) return wrong;
        char digits[20];
        const auto* const end = std::to_chars(digits, digits + sizeof digits, version).ptr;
        detail::buffer added; // nothing in it needs to be escaped
        added.append(R"({"name": ")");
        added.append(name);
        added.append(R"(", "version": ")");
        added.append({digits, static_cast<std::size_t>(end - digits)});
        added.append(R"("})");
        std::string_view known = entries.find(entry_kind::tag, tag_key);
        if (!added.overflowed() && known.find(added.view()) != std::string_view::npos) return {};
        detail::buffer all;
        if (known.empty()) known = "[";
        else known.remove_suffix(1);
        all.append(known);
        if (known.size() > 1) all.append(", ");
        all.append(added.view());
        all.append("]");
        if (added.overflowed() || all.overflowed()) return {error_kind::out_of_memory, tag_key};
        if (all.size() > 4096) return {error_kind::too_long, tag_key, all.size(), 4096};
        return entries.set(entry_kind::tag, tag_key, all.view()) ? error{}
                                                                 : error{error_kind::out_of_memory, tag_key};
    }
};

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
