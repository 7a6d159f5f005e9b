// SPDX-License-Identifier: Apache-2.0
// attribute<"key">(value) records the bytes that attribute("key", value) records, for values of every kind.
// MLFLOW_TRACE_SEED sets the random texts and numbers, MLFLOW_TRACE_SCHEDULES how many there are.
#include "../support/environment.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/wire/protobuf_reader.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <limits>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace mt = mlflow::trace;

// What each span has recorded: its attributes in their order, as bytes, and what an exporter to MLflow looks at.
struct bytes_exporter {
    static inline std::vector<std::vector<std::string>> spans;
    static constexpr bool is_thread_safe = true;
    static mt::export_result export_traces(mt::trace_batch& batch) {
        for (const auto& trace : batch)
            for (const mt::span_data* span = trace.spans; span; span = span->next) {
                auto& said = spans.emplace_back();
                for (mt::detail::protobuf_reader at(span->body.view()); at.next();)
                    if (at.field() == mt::detail::otlp::attributes) said.emplace_back(at.bytes());
                said.push_back(span->needs_rewrite ? "is rewritten" : "");
                said.push_back(std::to_string(span->attributes) + " of " + std::to_string(span->dropped_attributes));
            }
        return {.exported_spans = batch.span_count()};
    }
};
template <class Recording = mt::record_all>
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, bytes_exporter, Recording>;

template <mt::fixed_string Key, class T, class Tracer>
void expect_same(Tracer& tracer, const T& value) {
    bytes_exporter::spans.clear();
    tracer.start_span("span").attribute(Key.view(), value);
    tracer.start_span("span").template attribute<Key>(value);
    ASSERT_EQ(bytes_exporter::spans.size(), 2U);
    EXPECT_GE(bytes_exporter::spans[0].size(), 2U);
    EXPECT_EQ(bytes_exporter::spans[0], bytes_exporter::spans[1]) << Key.view();
}
template <class T, class Tracer>
void expect_same_by_any_key(Tracer& tracer, const T& value) {
    expect_same<"a">(tracer, value);
    expect_same<"gen_ai.request.temperature">(tracer, value);
    expect_same<"app.key.of.sixty.four.characters.which.are.the.most.of.all.x.y.z">(tracer, value);
    expect_same<"app.key.that.is.so.long.that.the.length.of.it.takes.more.than.the.library.encodes.at.compile.time">(
        tracer, value);
}

template <class T, class Tracer>
void expect_same_numbers(Tracer& tracer, std::mt19937_64& random) {
    for (const T value : {T{0}, T{1}, std::numeric_limits<T>::max(), std::numeric_limits<T>::lowest(),
                          static_cast<T>(random() >> random() % 64)})
        expect_same_by_any_key(tracer, value);
}

template <class Tracer>
void expect_same_for_all_kinds(Tracer& tracer) {
    const std::uint64_t seed = support::number_from("MLFLOW_TRACE_SEED", std::random_device()());
    SCOPED_TRACE("MLFLOW_TRACE_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    expect_same_by_any_key(tracer, true);
    expect_same_by_any_key(tracer, false);
    expect_same_numbers<int>(tracer, random);
    expect_same_numbers<std::int8_t>(tracer, random);
    expect_same_numbers<std::uint16_t>(tracer, random);
    expect_same_numbers<std::uint32_t>(tracer, random);
    expect_same_numbers<std::int64_t>(tracer, random);
    expect_same_numbers<std::uint64_t>(tracer, random);
    expect_same_numbers<float>(tracer, random);
    expect_same_numbers<double>(tracer, random);
    expect_same_by_any_key(tracer, std::numeric_limits<double>::infinity());
    expect_same_by_any_key(tracer, std::numeric_limits<double>::quiet_NaN());
    expect_same_by_any_key(tracer, -0.0);
    expect_same_by_any_key(tracer, static_cast<const char*>(nullptr));
    expect_same_by_any_key(tracer, "literal");
    expect_same_by_any_key(tracer, std::optional<int>());
    expect_same_by_any_key(tracer, std::optional<std::string>("text"));
    expect_same_by_any_key(tracer, std::vector<std::string>{"a", "b"});
    expect_same_by_any_key(tracer, std::map<std::string, int>{{"a", 1}});
    expect_same_by_any_key(tracer, [] { return 7; });
    const std::uint64_t texts = support::number_from("MLFLOW_TRACE_SCHEDULES", 2'000);
    static constexpr std::string_view beginnings[] = {"", "{", "[", "\"", "1", "true", " {", "null", "-"};
    static constexpr std::string_view pieces[] = {"a", "Z", "\"", "\\", "\n", "\xc3\xa9", "\xff", "\xf0\x9f\x99\x82",
                                                  "}"};
    for (std::uint64_t i = 0; i < texts; ++i) {
        std::string text(beginnings[random() % std::size(beginnings)]);
        const bool is_ascii = random() % 2 == 0;
        for (std::size_t size = random() % 160; text.size() < size;)
            text +=
                is_ascii ? std::string_view("abc\"{}").substr(random() % 6, 1) : pieces[random() % std::size(pieces)];
        expect_same<"a">(tracer, text);
        expect_same<"gen_ai.request.temperature">(tracer, std::string_view(text));
    }
}

TEST(attribute_key, records_the_same_bytes_as_a_key_at_run_time) {
    tracer_type<> tracer;
    expect_same_for_all_kinds(tracer);
}

struct remove_some {
    mt::redaction operator()(std::string_view, std::string_view value) const {
        return value.size() % 3 == 0 ? mt::redaction::remove() : mt::redaction::keep();
    }
};

TEST(attribute_key, is_redacted_as_a_key_at_run_time) {
    tracer_type<mt::recording_policy<mt::record_all, remove_some>> tracer;
    expect_same_for_all_kinds(tracer);
}

// MLflow would parse it.
TEST(attribute_key, a_span_type_that_looks_like_json_is_rewritten) {
    tracer_type<> tracer;
    for (const std::string_view type : {"[1]", "{}", "\"quoted\"", "SUMMARY"}) {
        bytes_exporter::spans.clear();
        tracer.start_span("span", mt::span_type(type)).end();
        const auto& said = bytes_exporter::spans.at(0);
        EXPECT_EQ(said.at(said.size() - 2), type == "SUMMARY" ? "" : "is rewritten") << type;
    }
}

} // namespace
