// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/linked_prompt.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using mt::error_kind;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;

mt::error_kind kind_of(std::string_view name, std::int64_t version) {
    return mt::linked_prompt(name, version).check().kind();
}

std::string tag_of(const mt::trace_entries& entries) {
    return std::string(entries.find(mt::entry_kind::tag, mt::linked_prompt::tag_key));
}

TEST(LinkedPrompt, TakesWhatTheRegistryTakes) {
    static_assert(mt::linked_prompt("greeting", 1).check().kind() == error_kind::none);
    EXPECT_EQ(kind_of("a_B-c.9", 2'147'483'647), error_kind::none);
    EXPECT_EQ(kind_of(std::string(250, 'n'), 1), error_kind::none);
    EXPECT_EQ(kind_of(std::string(251, 'n'), 1), error_kind::too_long);
    EXPECT_EQ(kind_of("", 1), error_kind::empty);
    for (const char* const bad : {"a b", "a/b", "a:b", "a\"b", ".", "..", "gr\xC3\xBC\xC3\x9F"})
        EXPECT_EQ(kind_of(bad, 1), error_kind::not_allowed) << bad;
    EXPECT_EQ(kind_of("a\xFF", 1), error_kind::invalid_utf8);
    EXPECT_EQ(kind_of("a\nb", 1), error_kind::control_character);
    for (const std::int64_t bad : {std::int64_t{0}, std::int64_t{-1}, std::int64_t{2'147'483'648}})
        EXPECT_EQ(kind_of("greeting", bad), error_kind::out_of_range) << bad;
}

TEST(LinkedPrompt, AddsEachPairOnceAsMlflowWritesThem) {
    mt::trace_entries entries;
    EXPECT_EQ(mt::linked_prompt("greeting", 1).add_to(entries).kind(), error_kind::none);
    EXPECT_EQ(tag_of(entries), R"([{"name": "greeting", "version": "1"}])");
    EXPECT_EQ(mt::linked_prompt("greeting", 12).add_to(entries).kind(), error_kind::none);
    EXPECT_EQ(mt::linked_prompt("greeting", 1).add_to(entries).kind(), error_kind::none);
    EXPECT_EQ(mt::linked_prompt("eeting", 1).add_to(entries).kind(), error_kind::none);
    EXPECT_EQ(tag_of(entries), R"([{"name": "greeting", "version": "1"}, {"name": "greeting", "version": "12"}, )"
                               R"({"name": "eeting", "version": "1"}])");
    EXPECT_EQ(mt::linked_prompt("bad name", 1).add_to(entries).kind(), error_kind::not_allowed);
    EXPECT_EQ(tag_of(entries).find("bad"), std::string::npos);
}

TEST(LinkedPrompt, RejectsWhatATagCannotHold) {
    mt::trace_entries entries;
    int version = 0;
    mt::error error;
    while (error.kind() == error_kind::none && version < 1'000)
        error = mt::linked_prompt("a-name-of-thirty-characters-..", ++version).add_to(entries);
    EXPECT_EQ(error.kind(), error_kind::too_long);
    EXPECT_LE(tag_of(entries).size(), 4096U);
    EXPECT_GT(tag_of(entries).size(), 4000U);
    EXPECT_TRUE(tag_of(entries).ends_with('"' + std::to_string(version - 1) + "\"}]"));
}

TEST(LinkedPrompt, BelongsToTheTraceWhoeverNamesIt) {
    std::vector<error_kind> reported;
    tracer_type::options chosen;
    chosen.on_error = [](void* context, const mt::error& error) noexcept {
        static_cast<std::vector<error_kind>*>(context)->push_back(error.kind());
    };
    chosen.error_context = &reported;
    tracer_type traces(chosen);
    {
        auto trace = traces.start_trace("chat", mt::user{"user-1"}, mt::linked_prompt("first", 1),
                                        mt::linked_prompt("second", 2));
        EXPECT_TRUE(trace.set(mt::linked_prompt("third", 3), mt::tag("key", "value")));
        EXPECT_TRUE(traces.update_current_trace(mt::linked_prompt("first", 1)));
        EXPECT_FALSE(trace.set(mt::linked_prompt("first", 0)));
        EXPECT_FALSE(trace.set(mt::tag("mlflow.linkedPrompts", "[]"))); // no other way in
        trace.end();
        EXPECT_FALSE(trace.set(mt::linked_prompt("late", 1)));
    }
    EXPECT_EQ(reported, (std::vector{error_kind::out_of_range, error_kind::reserved}));
    const auto recorded = traces.exporter().take();
    ASSERT_EQ(recorded.size(), 1U);
    std::string listed;
    for (const auto& [key, value] : recorded.front().tags)
        if (key == mt::linked_prompt::tag_key) listed = value;
    EXPECT_EQ(listed, R"([{"name": "first", "version": "1"}, {"name": "second", "version": "2"}, )"
                      R"({"name": "third", "version": "3"}])");
}

TEST(LinkedPrompt, IsCheckedByATracerThatIsOff) {
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, mt::record_nothing> traces;
    auto trace = traces.start_trace("chat", mt::linked_prompt("first", 1));
    EXPECT_TRUE(trace.set(mt::linked_prompt("second", 1)));
    EXPECT_TRUE(traces.update_current_trace(mt::linked_prompt("third", 1)));
}

} // namespace
