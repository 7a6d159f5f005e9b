// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <mlflow/trace/config.hpp>

#include <cstdint>
#include <initializer_list>
#include <string_view>

namespace mlflow::trace {
inline namespace MLFLOW_TRACE_ABI {

/// What a span stands for: MLflow's `SpanType` constants, or any text of your own.
class span_type {
public:
    constexpr explicit span_type(std::string_view name) noexcept : name_(name) {}
    [[nodiscard]] constexpr std::string_view name() const noexcept { return name_; }

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

/// How a span ended: OTLP's `Status.StatusCode`, with its numbers.
enum class status : std::uint8_t { unset = 0, ok = 1, error = 2 };

/// Tokens that a model call used, as its provider counts them. A total of 0 is filled in as the sum of input and
/// output. The others are written where they are not 0; MLflow counts them for the cost (`TokenUsageKey`).
struct token_usage {
    std::uint64_t input = 0;
    std::uint64_t output = 0;
    std::uint64_t total = 0;
    std::uint64_t cache_read = 0;
    std::uint64_t cache_creation = 0;
    std::uint64_t cache_creation_above_1h = 0; ///< of those, what is kept for an hour
};

/// What a model call cost, in US dollars. A total of 0 is filled in as the sum.
struct llm_cost {
    double input = 0;
    double output = 0;
    double total = 0;
};

/// How serious a span is: MLflow's `SpanLogLevel`, with its numbers.
enum class log_level : std::uint8_t { debug = 10, info = 20, warning = 30, error = 40, critical = 50 };

/// Of a span that does not say otherwise (mlflow/tracing/utils/default_log_level.py): what a person wants to see of a
/// trace is `info`, what holds it together is `debug`.
[[nodiscard]] constexpr log_level default_log_level(span_type type) noexcept {
    for (const span_type seen : {span_type::llm, span_type::chat_model, span_type::tool, span_type::retriever,
                                 span_type::agent, span_type::embedding})
        if (type.name() == seen.name()) return log_level::info;
    return log_level::debug;
}

} // namespace MLFLOW_TRACE_ABI
} // namespace mlflow::trace
