// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

namespace mt = mlflow::trace;

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter>;
using open_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;

int twice(int n) noexcept { return 2 * n; }

struct counter {
    int value = 0;
    int add(int n) { return value += n; }
};

} // namespace

template <>
struct mlflow::trace::json_encoder<counter> {
    template <class Buffer>
    static bool append(Buffer& out, const counter& recorded) {
        return json_object(out).member("value", recorded.value).close();
    }
};
template <>
struct mlflow::trace::json_encoder<std::unique_ptr<int>> {
    template <class Buffer>
    static bool append(Buffer& out, const std::unique_ptr<int>& recorded) {
        return recorded ? append_json(out, *recorded) : append_json(out, nullptr);
    }
};

namespace {

TEST(traced, records_inputs_by_name_and_the_output) {
    open_tracer tracer;
    auto traced_twice = mt::traced<"twice", "n">(tracer, twice, mt::span_type::tool);
    EXPECT_EQ(traced_twice(21), 42);
    const auto span = tracer.exporter().take().at(0).spans.at(0);
    EXPECT_EQ(span.name, "twice");
    EXPECT_EQ(span.attributes["mlflow.spanInputs"], R"({"n":21})");
    EXPECT_EQ(span.attributes["mlflow.spanOutputs"], "42");
    EXPECT_EQ(span.attributes["mlflow.spanType"], "TOOL");
    EXPECT_EQ(span.attributes["mlflow.spanFunctionName"], "twice");
}

TEST(traced, takes_every_kind_of_function) {
    open_tracer tracer;
    int called = 0;
    mt::traced<"nothing">(tracer, [&] { ++called; })();
    EXPECT_EQ(called, 1);

    std::string text = "a";
    auto append = mt::traced<"append", "to">(tracer, [](std::string& to) -> std::string& { return to += "b"; });
    EXPECT_EQ(&append(text), &text);

    counter object;
    auto add = mt::traced<"add", "self", "n">(tracer, &counter::add);
    EXPECT_EQ(add(object, 5), 5);
    EXPECT_EQ(object.value, 5);

    auto move_only = mt::traced<"move", "p">(tracer, [](std::unique_ptr<int> p) { return p; });
    EXPECT_EQ(*move_only(std::make_unique<int>(7)), 7);

    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 4U);
    EXPECT_FALSE(traces[0].spans[0].attributes.contains("mlflow.spanOutputs"));
    EXPECT_EQ(traces[1].spans[0].attributes["mlflow.spanInputs"], R"({"to":"a"})") << "as they were before the call";
    EXPECT_EQ(traces[1].spans[0].attributes["mlflow.spanOutputs"], R"("ab")");
    EXPECT_EQ(traces[2].spans[0].attributes["mlflow.spanInputs"], R"({"self":{"value":0},"n":5})");
    EXPECT_EQ(traces[3].spans[0].attributes["mlflow.spanInputs"], R"({"p":7})");
    EXPECT_EQ(traces[3].spans[0].attributes["mlflow.spanOutputs"], "7");
}

TEST(traced, knows_the_identity_from_its_arguments_else_from_the_scope) {
    tracer_type tracer;
    auto answer = mt::traced<"answer", "user", "session", "message">(
        tracer, [&](const mt::user&, mt::maybe<mt::session>, const std::string& message) {
            return mt::traced<"inner", "n">(tracer, twice)(static_cast<int>(message.size()));
        });
    const auto scope = tracer.scope(mt::user{"of the scope"}, mt::session{"of the scope"});
    EXPECT_EQ(answer(mt::user{"user-1"}, mt::maybe<mt::session>(mt::no_session), std::string("ab")), 4);
    mt::traced<"plain", "n">(tracer, twice)(1);
    const auto traces = tracer.exporter().take();
    ASSERT_EQ(traces.size(), 2U);
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "user-1");
    EXPECT_FALSE(traces[0].metadata.contains("mlflow.trace.session"));
    EXPECT_EQ(traces[0].spans.size(), 2U);
    EXPECT_EQ(traces[1].metadata["mlflow.trace.user"], "of the scope");
    EXPECT_EQ(traces[1].metadata["mlflow.trace.session"], "of the scope");
    EXPECT_EQ(tracer.refused_values(), 0U);
}

} // namespace
