// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/span_kinds.hpp>

#include <gtest/gtest.h>

namespace mt = mlflow::trace;

namespace {

TEST(span_kinds, are_named_as_mlflow_names_them) {
    static_assert(mt::span_type::llm.name() == "LLM");
    EXPECT_EQ(mt::span_type::chat_model.name(), "CHAT_MODEL");
    EXPECT_EQ(mt::span_type::unknown.name(), "UNKNOWN");
    EXPECT_EQ(mt::span_type("own type").name(), "own type");
    EXPECT_EQ(static_cast<int>(mt::status::error), 2);
    EXPECT_EQ(static_cast<int>(mt::log_level::critical), 50);
}

// mlflow/tracing/utils/default_log_level.py
TEST(span_kinds, what_a_person_wants_to_see_is_info) {
    using type = mt::span_type;
    for (const type seen : {type::llm, type::chat_model, type::tool, type::retriever, type::agent, type::embedding})
        EXPECT_EQ(mt::default_log_level(seen), mt::log_level::info) << seen.name();
    for (const type other : {type::chain, type::parser, type::reranker, type::memory, type::workflow, type::task,
                             type::guardrail, type::evaluator, type::unknown, type("own"), type("llm"), type("")})
        EXPECT_EQ(mt::default_log_level(other), mt::log_level::debug) << other.name();
    EXPECT_EQ(mt::default_log_level(type("LLM")), mt::log_level::info) << "by its name";
}

} // namespace
