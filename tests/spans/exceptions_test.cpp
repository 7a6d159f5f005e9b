// SPDX-License-Identifier: Apache-2.0
// What the application, its values, its exporter and its redactor throw.
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;

template <class Recording = mt::record_all>
using recorder = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter, Recording>;

struct throwing_range {
    int* begin() const { throw std::runtime_error("no elements"); }
    int* end() const { return nullptr; }
};

TEST(exceptions, a_value_that_throws_is_left_out) {
    recorder<> tracer;
    {
        tracer.start_span("span").attribute("good", 1).attribute("bad", throwing_range{}).inputs(throwing_range{});
    }
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_TRUE(span.attributes.contains("good"));
    EXPECT_FALSE(span.attributes.contains("bad"));
    EXPECT_FALSE(span.attributes.contains("mlflow.spanInputs"));
    EXPECT_EQ(span.code, mt::status::ok);
}

struct mute : std::exception {
    const char* what() const noexcept override { return nullptr; }
};
struct mute_exporter {
    mt::export_result export_traces(mt::trace_batch&) { throw mute(); }
};

TEST(exceptions, an_exception_may_say_nothing) {
    recorder<> tracer;
    EXPECT_THROW(tracer.start_span("span").attribute("error", mute()).run([] { throw mute(); }), mute);
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.code, mt::status::error);
    EXPECT_TRUE(span.attributes.contains("error"));

    mt::tracer<mt::open_schema, mt::thread_local_context, mute_exporter> failing;
    failing.start_span("span").end();
    EXPECT_EQ(failing.account().failed, 1U);
}

TEST(exceptions, an_exception_that_unwinds_a_span_is_an_error) {
    recorder<> tracer;
    try {
        auto span = tracer.start_span("unwound");
        throw std::runtime_error("x");
    } catch (const std::runtime_error&) {
        auto span = tracer.start_span("in a handler"); // handled: not this span's error
    }
    try {
        auto span = tracer.start_span("run");
        span.run([]() -> int { throw std::out_of_range("no such thing"); });
    } catch (const std::out_of_range&) {
    }
    try {
        auto span = tracer.start_span("not a std::exception");
        span.run([] { throw 42; });
    } catch (int) {
    }
    const auto traces = tracer.exporter().take();
    EXPECT_EQ(traces.at(0).spans.at(0).code, mt::status::error);
    EXPECT_EQ(traces.at(1).spans.at(0).code, mt::status::ok);
    const auto& run = traces.at(2).spans.at(0);
    EXPECT_EQ(run.status_message, "std::out_of_range: no such thing");
    EXPECT_EQ(run.events.at(0).name, "exception");
    EXPECT_EQ(run.events.at(0).attributes["exception.type"], "std::out_of_range");
    EXPECT_EQ(traces.at(3).spans.at(0).events.at(0).attributes["exception.type"], "int");
}

TEST(exceptions, an_exporter_that_throws_fails_the_spans_only) {
    struct throwing {
        mt::export_result export_traces(mt::trace_batch&) { throw std::runtime_error("disk on fire"); }
    };
    mt::tracer<mt::open_schema, mt::thread_local_context, throwing> tracer;
    {
        auto span = tracer.start_span("span");
    }
    EXPECT_EQ(tracer.account().started, 1U);
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(), "disk on fire");
}

TEST(exceptions, one_that_leaves_a_traced_function_is_recorded_and_goes_on_unchanged) {
    struct special : std::runtime_error {
        using std::runtime_error::runtime_error;
        int code = 7;
    };
    recorder<> tracer;
    auto fails = mt::traced<"fails", "why">(tracer, [](const std::string& why) -> int { throw special(why); });
    try {
        fails(std::string("because"));
        FAIL();
    } catch (const special& caught) {
        EXPECT_EQ(caught.code, 7);
        EXPECT_STREQ(caught.what(), "because");
    }
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.code, mt::status::error);
    EXPECT_TRUE(span.status_message.ends_with("special: because")) << span.status_message;
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], R"({"why":"because"})");
    EXPECT_FALSE(span.attributes.contains("mlflow.spanOutputs"));
    ASSERT_EQ(span.events.size(), 1U);
    EXPECT_NE(span.events[0].attributes["exception.type"].find("special"), std::string::npos);
}

struct cannot_judge {
    mt::redaction operator()(std::string_view, std::string_view) const { throw std::runtime_error("cannot judge"); }
};

TEST(exceptions, a_redactor_that_throws_takes_the_value_out) {
    recorder<mt::recording_policy<mt::record_all, cannot_judge>> tracer;
    tracer.start_span("span").attribute("secret", "x").inputs(mt::arg("n", 1));
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.attributes["secret"], "[redacted]");
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], R"({"n":"[redacted]"})");
}

TEST(exceptions, a_callable_that_throws_leaves_its_value_out) {
    recorder<> tracer;
    tracer.start_span("span").attribute("throws", []() -> int { throw 1; }).attribute("good", 1);
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_FALSE(span.attributes.contains("throws"));
    EXPECT_TRUE(span.attributes.contains("good"));
}

// Parsers of protobuf unite all statuses of a span; readers and writers of JSON know the last one.
struct two_readers {
    mt::export_result export_traces(mt::trace_batch& batch) {
        const mt::recorded_trace united = mt::decode(*batch.begin());
        messages.push_back(united.spans.at(0).status_message);
        mt::detail::buffer request, line;
        EXPECT_TRUE(mt::append_otlp_request(request, batch, {}, mt::otlp_receiver::any) &&
                    mt::detail::append_otlp_json(line, request.view()));
        const std::string status = messages.back().empty()
                                       ? R"("status":{"code":)"
                                       : R"("status":{"message":")" + messages.back() + R"(","code":)";
        EXPECT_NE(line.view().find(status + std::to_string(static_cast<int>(united.spans[0].code))),
                  std::string::npos)
            << line.view();
        return {.exported_spans = batch.span_count()};
    }
    std::vector<std::string> messages;
};

TEST(status, is_the_same_for_every_reader) {
    mt::tracer<mt::open_schema, mt::thread_local_context, two_readers> tracer;
    const auto cold = [&](auto then) {
        auto span = tracer.start_span("heat");
        span.set_status(mt::status::error, "the boiler is cold");
        then(span);
        span.end();
        return tracer.exporter().messages.back();
    };
    EXPECT_EQ(cold([](auto&) {}), "the boiler is cold");
    EXPECT_EQ(cold([](auto& span) { span.set_status(mt::status::error); }), "the boiler is cold");
    EXPECT_EQ(cold([](auto& span) { span.set_status(mt::status::error, "no gas"); }), "no gas");
    EXPECT_EQ(cold([](auto& span) { span.set_status(mt::status::ok); }), "");
}

} // namespace
