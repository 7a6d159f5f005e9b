// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

template <class Recording = mt::record_all>
using recorder = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, Recording>;

enum class colour : std::uint8_t { red, green };
std::string_view to_string(colour value) { return value == colour::red ? "red" : "green"; }

// The same value as a whole output, as a named one, as an attribute and as that of an event.
struct recorded {
    std::string output, named, attribute, event;
};
template <class T>
recorded record(const T& value) {
    recorder<> tracer;
    tracer.start_span("whole").outputs(value);
    tracer.start_span("parts").outputs(mt::arg("v", value)).attribute("v", value).event("e", mt::arg("v", value));
    auto traces = tracer.exporter().take();
    auto parts = traces.at(1).spans.at(0);
    return {traces.at(0).spans.at(0).attributes["mlflow.spanOutputs"], parts.attributes["mlflow.spanOutputs"],
            parts.attributes["v"], parts.events.at(0).attributes["v"]};
}
template <class T>
void expect_text(const T& value, const std::string& text) {
    const auto [output, named, attribute, event] = record(value);
    EXPECT_EQ(output, '"' + text + '"');
    EXPECT_EQ(named, R"({"v":")" + text + R"("})");
    EXPECT_EQ(attribute, text);
    EXPECT_EQ(event, text);
}
template <class T>
void expect_number(const T& value, const std::string& number) {
    const auto [output, named, attribute, event] = record(value);
    EXPECT_EQ(output, number);
    EXPECT_EQ(named, R"({"v":)" + number + "}");
    EXPECT_EQ(attribute, number);
    EXPECT_EQ(event, number);
}

TEST(values, text_is_text_wherever_it_is_recorded) {
    expect_text(std::filesystem::path("/tmp/a"), "/tmp/a");
    expect_text(u8"gr\u00FCn", "gr\xC3\xBCn");
    expect_text(std::wstring(L"gr\u00FCn"), "gr\xC3\xBCn");
    expect_text(u'c', "c");
    expect_text(1500ms, "1500ms");
    expect_text(std::chrono::sys_seconds(0s), "1970-01-01T00:00:00Z");
    expect_text(colour::green, "green");
    expect_text(std::optional<std::string>("a"), "a");
    expect_text([] { return std::string("made"); }, "made");
}

// MLflow keeps the type only of what is a number to OTLP.
TEST(values, what_holds_a_number_is_a_number_wherever_it_is_recorded) {
    expect_number(std::optional<int>(5), "5");
    expect_number(std::make_shared<bool>(true), "true");
    int number = 5;
    expect_number(std::ref(number), "5");
    const std::atomic<int> counter = 3;
    expect_number(counter, "3");
    expect_number(std::variant<std::string, int>(7), "7");
    expect_number(mt::detail::int128{-7}, "-7");
    expect_number([] { return std::optional<int>(1); }, "1");
}

TEST(values, nothing_is_null) {
    for (const auto& [output, named, attribute, event] :
         {record(std::optional<int>()), record(std::unique_ptr<int>()), record(std::monostate()), record(nullptr)}) {
        EXPECT_EQ(output, "null");
        EXPECT_EQ(named, R"({"v":null})");
        EXPECT_EQ(attribute, "null");
        EXPECT_EQ(event, "null");
    }
}

TEST(values, all_values_of_a_key_reach_the_span) {
    const auto [output, named, attribute, event] = record(std::multimap<std::string, int>{{"a", 1}, {"a", 2}});
    EXPECT_EQ(output, R"({"a":[1,2]})");
    EXPECT_EQ(named, R"({"v":{"a":[1,2]}})");
    EXPECT_EQ(attribute, output);
}

struct mask {
    mt::redaction operator()(std::string_view key, std::string_view value) const {
        return key == "secret" || value.find("hunter2") != value.npos ? mt::redaction::remove()
                                                                      : mt::redaction::keep();
    }
};

// A redactor sees the text that would be recorded, whatever its encoding was.
TEST(values, rules_hold_for_every_kind) {
    recorder<mt::recording_policy<mt::record_all, mask>> tracer;
    const std::multimap<std::u16string, std::wstring> pairs{
        {u"secret", L"a"}, {u"secret", L"b"}, {u"open", L"hunter2"}};
    tracer.start_span("span")
        .attribute("path", std::filesystem::path("/home/hunter2"))
        .attribute("wide", L"hunter2")
        .attribute("secret", std::optional<int>(5))
        .outputs(mt::arg("pairs", pairs), mt::arg("secret", std::make_pair(1, 5ms)));
    auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.attributes["path"], "[redacted]");
    EXPECT_EQ(span.attributes["wide"], "[redacted]");
    EXPECT_EQ(span.attributes["secret"], "[redacted]");
    EXPECT_EQ(span.attributes["mlflow.spanOutputs"],
              R"({"pairs":{"open":["[redacted]"],"secret":["[redacted]","[redacted]"]},)"
              R"("secret":["[redacted]","[redacted]"]})");
}

struct list {
    int value = 0;
    std::shared_ptr<list> next;
};

} // namespace

template <>
struct mlflow::trace::json_encoder<list> {
    template <class Buffer>
    static bool append(Buffer& out, const list& recorded) {
        return json_object(out).member("value", recorded.value).member("next", recorded.next).close();
    }
};

namespace {

TEST(values, a_ring_of_pointers_ends_at_the_depth_limit) {
    const auto ring = std::make_shared<list>();
    ring->next = ring;
    recorder<> tracer;
    tracer.start_span("span").outputs(ring);
    ring->next = nullptr;
    const auto output = tracer.exporter().take().at(0).spans.at(0).attributes["mlflow.spanOutputs"];
    EXPECT_NE(output.find("[cut: too deep]"), output.npos);
    EXPECT_TRUE(output.ends_with("}}}")) << "and is JSON to its end";
}

} // namespace

// An application whose functions are called as some of the library are.
namespace application {

struct account {
    std::string password = "hunter2";
};
struct nickname {
    std::string text = "ann";
    operator std::string_view() const { return text; }
};

template <class Out>
bool append_json(Out& out, const account& value) {
    return out.append(value.password);
}
template <class Use>
bool with_text(const nickname&, const Use&) {
    return false;
}
inline bool is_null(const nickname&) { return true; }

} // namespace application

template <>
struct mlflow::trace::json_encoder<application::account> {
    template <class Buffer>
    static bool append(Buffer& out, const application::account& recorded) {
        return json_object(out).member("password", recorded.password).close();
    }
};

namespace {

TEST(values, functions_of_the_application_do_not_replace_those_of_the_library) {
    recorder<mt::recording_policy<mt::record_all, mt::redact_keys<"password">>> tracer;
    const application::account one;
    tracer.start_span("span")
        .outputs(mt::arg("one", one), mt::arg("many", std::vector{one}), mt::arg("name", application::nickname()))
        .attribute("name", application::nickname());
    auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.attributes["mlflow.spanOutputs"],
              R"({"one":{"password":"[redacted]"},"many":[{"password":"[redacted]"}],"name":"ann"})");
    EXPECT_EQ(span.attributes["name"], "ann");
}

} // namespace
