// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
template <class Recording>
using recorder = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, Recording>;

template <class Tracer>
mt::recorded_span only_span(Tracer& tracer) {
    return tracer.exporter().take().at(0).spans.at(0);
}

struct mask_digits {
    mt::redaction operator()(std::string_view, std::string_view value) const {
        std::string masked(value);
        for (char& c : masked)
            if (c >= '0' && c <= '9') c = '#';
        return masked == value ? mt::redaction::keep() : mt::redaction::replace(masked);
    }
};

TEST(recording_policy, redacts_by_value) {
    recorder<mt::recording_policy<mt::record_all, mask_digits>> tracer;
    {
        auto trace = tracer.start_trace("pay");
        trace.inputs("card 4711").outputs(std::optional<int>(42)).attribute("key1", "plain");
        trace.previews("pays with 4711", "");
        trace.exception("std::runtime_error", "card 4711 refused");
    }
    const auto trace = tracer.exporter().take().at(0);
    const auto& span = trace.spans.at(0);
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], R"("card ####")");
    EXPECT_EQ(span.attributes["mlflow.spanOutputs"], "##");
    EXPECT_EQ(span.attributes["key1"], "plain");
    EXPECT_EQ(span.events.at(0).attributes["exception.message"], "card #### refused");
    EXPECT_EQ(span.status_message, "std::runtime_error: card #### refused");
    EXPECT_EQ(trace.request_preview, "pays with ####");
}

TEST(recording_policy, a_character_is_a_text_to_the_redactor) {
    recorder<mt::recording_policy<mt::record_all, mask_digits>> tracer;
    tracer.start_span("span").attribute("digit", '7').attribute("letter", 'x');
    const auto span = only_span(tracer);
    EXPECT_EQ(span.attributes["digit"], "#");
    EXPECT_EQ(span.attributes["letter"], "x");
}

TEST(recording_policy, cuts_texts_within_their_characters_and_says_so) {
    recorder<mt::recording_policy<>> tracer({.recording = {.limits = {.text_bytes = 4}}});
    {
        auto span = tracer.start_span("long");
        span.inputs("abcdefgh").attribute("euros", "€€€").attribute("fits", "abcd").attribute("n", 123456);
    }
    const auto span = only_span(tracer);
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], R"("abcd… [cut: 4 bytes]")");
    EXPECT_EQ(span.attributes["euros"], "€… [cut: 6 bytes]");
    EXPECT_EQ(span.attributes["fits"], "abcd");
    EXPECT_EQ(span.attributes["n"], "123456");
}

TEST(recording_policy, counts_the_attributes_and_events_over_the_limit) {
    recorder<mt::recording_policy<>> tracer({.recording = {.limits = {.attributes = 2, .events = 1}}});
    {
        auto span = tracer.start_span("many");
        for (const char* key : {"a", "b", "c", "d"}) span.attribute(key, 1);
        for (const char* chunk : {"x", "y"}) span.chunk(chunk);
    }
    const auto span = only_span(tracer);
    EXPECT_TRUE(span.attributes.contains("b"));
    EXPECT_FALSE(span.attributes.contains("c"));
    EXPECT_EQ(span.events.size(), 1U);
    EXPECT_EQ(span.attributes["mlflow_trace.dropped_attributes"], "2");
    EXPECT_EQ(span.attributes["mlflow_trace.dropped_events"], "1");
    EXPECT_TRUE(span.end_unix_nano >= span.start_unix_nano && span.end_unix_nano != 0);
}

TEST(recording_policy, a_full_span_still_ends_as_it_should) {
    recorder<mt::recording_policy<>> tracer({.recording = {.limits = {.span_bytes = 1'000}}});
    {
        auto span = tracer.start_span("big");
        span.inputs(std::string(2'000, 'x')).attribute("big", std::string(2'000, 'x')).attribute("small", "y");
    }
    const auto span = only_span(tracer);
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], "[cut: the span is full]");
    EXPECT_FALSE(span.attributes.contains("big"));
    EXPECT_EQ(span.attributes["small"], "y");
    EXPECT_EQ(span.attributes["mlflow_trace.dropped_attributes"], "1");
    EXPECT_EQ(span.code, mt::status::ok);
}

TEST(recording_policy, cuts_what_is_nested_too_deeply) {
    recorder<mt::recording_policy<>> tracer({.recording = {.limits = {.depth = 2}}});
    {
        auto span = tracer.start_span("deep");
        span.inputs(mt::arg("list", std::vector<std::vector<int>>{{1}, {2}}), mt::arg("flat", 1));
    }
    EXPECT_EQ(only_span(tracer).attributes["mlflow.spanInputs"],
              R"({"list":["[cut: too deep]","[cut: too deep]"],"flat":1})");
}

TEST(recording_policy, a_hundred_thousand_levels_do_no_harm) {
    recorder<mt::record_all> tracer;
    nlohmann::json deep;
    for (int i = 0; i < 100'000; ++i) deep = nlohmann::json::array({std::move(deep)});
    tracer.start_span("deep").inputs(deep);
    const auto inputs = only_span(tracer).attributes["mlflow.spanInputs"];
    EXPECT_EQ(inputs, std::string(100, '[') + R"("[cut: too deep]")" + std::string(100, ']'));
}

TEST(recording_policy, numbers_of_a_json_library_stay_numbers) {
    recorder<mt::record_all> tracer;
    for (const nlohmann::json& value :
         {nlohmann::json(7), nlohmann::json(-7), nlohmann::json(0.5), nlohmann::json(true)}) {
        auto span = tracer.start_span("number");
        span.inputs(value).outputs(std::optional<nlohmann::json>(value));
    }
    for (const auto& trace : tracer.exporter().take()) {
        const auto& values = trace.spans.at(0).attributes;
        EXPECT_EQ(values["mlflow.spanInputs"], values["mlflow.spanOutputs"]);
        EXPECT_EQ(values["mlflow.spanInputs"].find('"'), std::string::npos);
    }
}

} // namespace
