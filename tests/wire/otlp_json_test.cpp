// SPDX-License-Identifier: Apache-2.0
#include "support/limited_buffer.hpp"
#include <mlflow/trace/memory/buffer.hpp>
#include <mlflow/trace/wire/otlp_json.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

// otlp_json_differential.py compares with the official definitions; here are one whole example, and the limits.

namespace {

namespace detail = mlflow::trace::detail;
using namespace std::string_literals;
using namespace std::string_view_literals;

std::string varint(std::size_t value) {
    char bytes[detail::max_varint_size];
    return {bytes, static_cast<std::size_t>(detail::write_varint(bytes, value) - bytes)};
}

std::string bytes(std::size_t field, std::string_view payload) {
    return varint(field << 3U | 2U) + varint(payload.size()) + std::string(payload);
}

std::string attribute(std::string_view key, std::string_view any_value) {
    return bytes(1, key) + bytes(2, any_value);
}

std::string with_span(std::string_view span) { return bytes(1, bytes(2, bytes(2, span))); }

std::string with_value(std::string_view any_value) { return with_span(bytes(9, attribute("k", any_value))); }

std::string json(std::string_view request) {
    detail::buffer out;
    EXPECT_TRUE(out.append("before "));
    const bool written = detail::append_otlp_json(out, request);
    EXPECT_TRUE(out.view().starts_with("before "));
    if (!written) {
        EXPECT_EQ(out.view(), "before ");
    }
    return written ? std::string(out.view().substr(7)) : "refused";
}

std::string json_of_value(std::string_view any_value) {
    const std::string text = json(with_value(any_value));
    const auto head =
        R"({"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"attributes":[{"key":"k","value":)"s;
    const auto tail = R"(}],"status":{}}]}]}]})"s;
    if (!text.starts_with(head) || !text.ends_with(tail)) return text;
    return text.substr(head.size(), text.size() - head.size() - tail.size());
}

const std::string example = [] {
    const std::string span =
        bytes(1, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\xff"sv) +
        bytes(2, "\x11\x12\x13\x14\x15\x16\x17\x18") + bytes(3, "a=b") +
        bytes(4, "\x21\x22\x23\x24\x25\x26\x27\x28") + "\x85\x01\x01\x01\0\0"s + bytes(5, "chat") + "\x30\x02"s +
        "\x39\1\0\0\0\0\0\0\0"s + "\x41\2\0\0\0\0\0\0\x80"s +
        bytes(9, attribute("mlflow.trace.user", bytes(1, "user-1042"))) + "\x50\x03"s +
        bytes(11, "\x09\5\0\0\0\0\0\0\0"s + bytes(2, "token") + bytes(3, attribute("n", "\x18\x07"))) + "\x60\x04"s +
        bytes(13, bytes(1, "\x01"s) + bytes(2, "\x02") + "\x35\x09\0\0\0"s) + "\x70\x05"s +
        bytes(15, bytes(2, "no \"answer\"") + "\x18\x02");
    const std::string scope = bytes(1, "mlflow_trace") + bytes(2, "0.2.0");
    return bytes(1, bytes(1, bytes(1, attribute("service.name", bytes(1, "assistant"))) + "\x10\x06"s) +
                        bytes(2, bytes(1, scope) + bytes(2, span) + bytes(3, "https://example.org/schema")));
}();
constexpr auto example_json =
    R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"assistant"}}],)"
    R"("droppedAttributesCount":6},"scopeSpans":[{"scope":{"name":"mlflow_trace","version":"0.2.0"},"spans":[{)"
    R"("traceId":"0102030405060708090a0b0c0d0e0fff","spanId":"1112131415161718","traceState":"a=b",)"
    R"("parentSpanId":"2122232425262728","flags":257,"name":"chat","kind":2,"startTimeUnixNano":"1",)"
    R"("endTimeUnixNano":"9223372036854775810","attributes":[{"key":"mlflow.trace.user","value":{"stringValue":"user-1042"}}],)"
    R"("droppedAttributesCount":3,"events":[{"timeUnixNano":"5","name":"token","attributes":[{"key":"n","value":{"intValue":"7"}}]}],)"
    R"("droppedEventsCount":4,"links":[{"traceId":"01","spanId":"02","flags":9}],"droppedLinksCount":5,)"
    R"("status":{"message":"no \"answer\"","code":2}}],"schemaUrl":"https://example.org/schema"}]}]})"sv;

TEST(otlp_json, writes_what_the_collector_writes) { EXPECT_EQ(json(example), example_json); }

TEST(otlp_json, leaves_out_what_is_default_but_not_what_the_collector_always_writes) {
    EXPECT_EQ(json(""), "{}");
    EXPECT_EQ(json(bytes(1, "")), R"({"resourceSpans":[{"resource":{}}]})");
    EXPECT_EQ(json(with_span("")),
              R"({"resourceSpans":[{"resource":{},"scopeSpans":[{"scope":{},"spans":[{"status":{}}]}]}]})");
    EXPECT_EQ(json(with_span(bytes(1, std::string(16, '\0')) + bytes(4, "") + bytes(5, "") + "\x30\0"s)),
              json(with_span("")));
}

TEST(otlp_json, writes_every_kind_of_value_even_when_it_is_zero) {
    EXPECT_EQ(json_of_value(""), "{}");
    EXPECT_EQ(json_of_value(bytes(1, "")), R"({"stringValue":""})");
    EXPECT_EQ(json_of_value("\x10\0"sv), R"({"boolValue":false})");
    EXPECT_EQ(json_of_value("\x10\x01"), R"({"boolValue":true})");
    EXPECT_EQ(json_of_value("\x18\0"sv), R"({"intValue":"0"})");
    EXPECT_EQ(json_of_value("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), R"({"intValue":"-1"})");
    EXPECT_EQ(json_of_value("\x18\x81\x80\x80\0"sv), R"({"intValue":"1"})");
    EXPECT_EQ(json_of_value("\x21\0\0\0\0\0\0\0\0"sv), R"({"doubleValue":0.0})");
    EXPECT_EQ(json_of_value("\x21\0\0\0\0\0\0\xf8\x3f"sv), R"({"doubleValue":1.5})");
    EXPECT_EQ(json_of_value("\x21\0\0\0\0\0\0\xf8\x7f"sv), R"({"doubleValue":"NaN"})");
    EXPECT_EQ(json_of_value("\x21\0\0\0\0\0\0\xf0\x7f"sv), R"({"doubleValue":"Infinity"})");
    EXPECT_EQ(json_of_value("\x21\0\0\0\0\0\0\xf0\xff"sv), R"({"doubleValue":"-Infinity"})");
    EXPECT_EQ(json_of_value(bytes(5, "")), R"({"arrayValue":{}})");
    EXPECT_EQ(json_of_value(bytes(5, bytes(1, "\x18\x01") + bytes(1, ""))),
              R"({"arrayValue":{"values":[{"intValue":"1"},{}]}})");
    EXPECT_EQ(json_of_value(bytes(6, bytes(1, attribute("a", "\x10\x01")))),
              R"({"kvlistValue":{"values":[{"key":"a","value":{"boolValue":true}}]}})");
    EXPECT_EQ(json_of_value(bytes(7, "\xff\x00"sv)), R"({"bytesValue":"/wA="})");
}

TEST(otlp_json, the_last_value_counts_and_unknown_fields_do_not) {
    EXPECT_EQ(json_of_value(bytes(1, "first") + "\x18\x07"), R"({"intValue":"7"})");
    EXPECT_EQ(json(with_span(bytes(5, "a") + bytes(5, "b") + bytes(99, "x") + "\x28\x07")),
              json(with_span(bytes(5, "b"))))
        << "field 5 as a varint is not the name";
}

TEST(otlp_json, invalid_text_becomes_valid_json) {
    EXPECT_EQ(json_of_value(bytes(1, "a\xFF\n")), "{\"stringValue\":\"a\xEF\xBF\xBD\\n\"}");
}

TEST(otlp_json, refuses_malformed_messages_at_every_level) {
    EXPECT_EQ(json("\x0a\x05only"), "refused");
    EXPECT_EQ(json(example.substr(0, example.size() - 1)), "refused");
    EXPECT_EQ(json(bytes(1, bytes(2, "\x0a\x05only"))), "refused");
    EXPECT_EQ(json(with_span("\x39\x01")), "refused");
    EXPECT_EQ(json_of_value("\x0a\x05only"), "refused");
    EXPECT_EQ(json_of_value(bytes(1, "good") + "\x0b"), "refused");
}

TEST(otlp_json, values_nest_up_to_64_levels) {
    std::string value = bytes(1, "x");
    for (int depth = 1; depth < 64; ++depth) value = bytes(5, bytes(1, value));
    EXPECT_NE(json(with_value(value)), "refused");
    EXPECT_EQ(json(with_value(bytes(5, bytes(1, value)))), "refused");
    std::string list = bytes(1, "x");
    for (int depth = 1; depth < 64; ++depth) list = bytes(6, bytes(1, attribute("k", list)));
    EXPECT_NE(json(with_value(list)), "refused");
    EXPECT_EQ(json(with_value(bytes(6, bytes(1, attribute("k", list))))), "refused");
}

TEST(otlp_json, writes_all_or_nothing) {
    for (std::size_t capacity = 0; capacity <= example_json.size(); ++capacity) {
        test::limited_buffer out(capacity);
        EXPECT_EQ(detail::append_otlp_json(out, example), capacity == example_json.size());
        EXPECT_EQ(out.view(), capacity == example_json.size() ? example_json : "");
    }
}

} // namespace
