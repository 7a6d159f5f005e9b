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

/// A version of a prompt in MLflow's registry that a trace has used: `trace.set(mt::linked_prompt("greeting", 3))`.
/// It can also be given to `start_trace` and `update_current_trace`. Each call adds a prompt; adding the same version
/// again has no effect. MLflow's page shows the prompts with the trace (tag `mlflow.linkedPrompts`), and the trace
/// with the version of the prompt.
///
/// Names have 1 to 250 ASCII letters, digits and `_-.` (`PROMPT_NAME_RULE`, mlflow/prompt/constants.py). Versions are
/// 1 to 2^31 - 1. The prompts of a trace must fit into a tag of 4096 characters. The object views its name, so use it
/// in the same expression.
///
/// On PostgreSQL and MySQL, MLflow 3.17 stores name and version in a column of 36 characters
/// (`SqlEntityAssociation.destination_id`). A longer pair is in the tag only.
struct linked_prompt {
    /// The tag that holds the linked prompts.
    static constexpr std::string_view tag_key = "mlflow.linkedPrompts";

    /// The name of the prompt.
    std::string_view name;
    /// The version of the prompt.
    std::int64_t version;

    /// Does not check the name and version; `check` does.
    constexpr linked_prompt(std::string_view prompt_name, std::int64_t prompt_version) noexcept
        : name(prompt_name), version(prompt_version) {}

    /// Returns the error of the name or version, or an error of kind `error_kind::none`.
    [[nodiscard]] constexpr error check() const noexcept {
        if (const auto wrong = detail::check_text(tag_key, name, 250); wrong.kind() != error_kind::none) return wrong;
        if (!ascii_word<"_-.">::allows(name) || name == "." || name == "..")
            return {error_kind::not_allowed, tag_key};
        if (version < 1 || version > 0x7fff'ffff) return {error_kind::out_of_range, tag_key};
        return {};
    }

    /// Adds the prompt to the tag, as MLflow's own client does (`update_linked_prompts_tag`,
    /// mlflow/tracing/utils/prompt.py). Returns the error, or an error of kind `error_kind::none`.
    [[nodiscard]] error add_to(trace_entries& entries) const noexcept {
        if (const error wrong = check(); wrong.kind() != error_kind::none) return wrong;
        char digits[20];
        const auto* const end = std::to_chars(digits, digits + sizeof digits, version).ptr;
        detail::buffer added; // contains nothing that needs escaping
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
