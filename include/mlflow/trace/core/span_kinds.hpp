// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// The type of a span: one of MLflow's `SpanType` constants, or a name of your own.
class span_type {
public:
    /// A type with a name of your own. `name` must outlive the type.
    constexpr explicit span_type(std::string_view name) noexcept : name_(name) {}
    /// The name that MLflow shows.
    [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }

    /// MLflow's constants: `span_type::llm` is `LLM`, and so on.
    static const span_type llm, chain, agent, tool, chat_model, retriever, parser, embedding, reranker, memory,
        workflow, task, guardrail, evaluator, unknown;

private:
    std::string_view name_;
};

inline constexpr span_type span_type::llm{"LLM"};
inline constexpr span_type span_type::chain{"CHAIN"};
inline constexpr span_type span_type::agent{"AGENT"};
inline constexpr span_type span_type::tool{"TOOL"};
inline constexpr span_type span_type::chat_model{"CHAT_MODEL"};
inline constexpr span_type span_type::retriever{"RETRIEVER"};
inline constexpr span_type span_type::parser{"PARSER"};
inline constexpr span_type span_type::embedding{"EMBEDDING"};
inline constexpr span_type span_type::reranker{"RERANKER"};
inline constexpr span_type span_type::memory{"MEMORY"};
inline constexpr span_type span_type::workflow{"WORKFLOW"};
inline constexpr span_type span_type::task{"TASK"};
inline constexpr span_type span_type::guardrail{"GUARDRAIL"};
inline constexpr span_type span_type::evaluator{"EVALUATOR"};
inline constexpr span_type span_type::unknown{"UNKNOWN"};

/// The status of a span: OTLP's `Status.StatusCode`, with its numbers.
enum class status : std::uint8_t { unset = 0, ok = 1, error = 2 };

/// Tokens that a model call used, as counted by the provider. A `total` of 0 is replaced by the sum of `input` and
/// `output`. The cache counts are written when they are not 0; MLflow uses them for the cost (`TokenUsageKey`).
struct token_usage {
    std::uint64_t input = 0;                   ///< tokens of the prompt
    std::uint64_t output = 0;                  ///< tokens of the answer
    std::uint64_t total = 0;                   ///< 0: `input + output`
    std::uint64_t cache_read = 0;              ///< input tokens read from the provider's cache
    std::uint64_t cache_creation = 0;          ///< input tokens written to the provider's cache
    std::uint64_t cache_creation_above_1h = 0; ///< those of `cache_creation` that are cached for an hour
};

/// The cost of a model call in US dollars. A `total` of 0 is replaced by the sum of `input` and `output`.
struct llm_cost {
    double input = 0;  ///< cost of the input tokens
    double output = 0; ///< cost of the output tokens
    double total = 0;  ///< 0: `input + output`
};

/// The log level of a span: MLflow's `SpanLogLevel`, with its numbers.
enum class log_level : std::uint8_t { debug = 10, info = 20, warning = 30, error = 40, critical = 50 };

namespace detail {
inline constexpr span_type types_of_level_info[] = {span_type::llm,   span_type::chat_model,
                                                    span_type::tool,  span_type::retriever,
                                                    span_type::agent, span_type::embedding};
} // namespace detail

/// The log level of a span for which none was set (mlflow/tracing/utils/default_log_level.py): `info` for model
/// calls, tools, retrievers, agents and embeddings, `debug` for all other types.
[[nodiscard]] constexpr log_level default_log_level(span_type type) noexcept {
    for (const span_type& seen : detail::types_of_level_info)
        if (type.name() == seen.name()) return log_level::info;
    return log_level::debug;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
