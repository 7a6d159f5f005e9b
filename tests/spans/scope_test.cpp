// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/scope.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <new>
#include <string>
#include <thread>

namespace mt = mlflow::trace;

namespace {

using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
template <class Schema = mt::open_schema>
using recorder = mt::tracer<Schema, mt::thread_local_context, mt::memory_exporter>;

TEST(scope, gives_its_values_to_the_traces_inside) {
    recorder<schema> tracer;
    {
        const auto outer = tracer.scope(mt::user{"outer"}, mt::session{"s-1"}, mt::tag{"a", "1"});
        {
            auto span = tracer.start_span("plain");
        }
        {
            const auto inner = tracer.scope(mt::user{"inner"}, mt::tag{"b", "2"});
            auto span = tracer.start_span("nested");
        }
        {
            auto trace = tracer.start_trace("own", mt::user{"own"}, mt::no_session);
        }
        const auto none = tracer.scope(mt::anonymous);
        {
            auto span = tracer.start_span("nobody's");
        }
    }
    {
        auto span = tracer.start_span("outside");
    }
    const auto traces = tracer.exporter().take();
    const auto identity = [&](std::size_t i) {
        return traces.at(i).metadata["mlflow.trace.user"] + "|" + traces.at(i).metadata["mlflow.trace.session"] +
               "|" + traces.at(i).tags["a"] + traces.at(i).tags["b"];
    };
    EXPECT_EQ(identity(0), "outer|s-1|1");
    EXPECT_EQ(identity(1), "inner|s-1|12");
    EXPECT_EQ(identity(2), "own||1");
    EXPECT_EQ(identity(3), "|s-1|1");
    EXPECT_EQ(identity(4), "||");
    EXPECT_EQ(tracer.refused_values(), 2U) << "the last trace says neither user nor session";
}

TEST(scope, inside_an_open_trace_applies_to_it) {
    recorder<> tracer;
    {
        auto trace = tracer.start_trace("open");
        auto span = tracer.start_span("deep");
        const auto scope = tracer.scope(mt::user{"u"}, mt::session{"s"}, mt::tag{"t", "v"});
    }
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.metadata["mlflow.trace.user"], "u");
    EXPECT_EQ(trace.metadata["mlflow.trace.session"], "s");
    EXPECT_EQ(trace.tags["t"], "v");
}

TEST(scope, of_one_tracer_is_nothing_to_another) {
    recorder<> one, other;
    const auto scope = one.scope(mt::user{"u"});
    {
        auto span = other.start_span("span");
    }
    EXPECT_TRUE(other.exporter().take().at(0).metadata.empty());
}

TEST(scope, may_end_before_one_that_is_inside_it) {
    recorder<> tracer;
    using scope = mt::basic_scope<mt::thread_local_context>;
    alignas(scope) unsigned char place[sizeof(scope)];
    auto* const outer = ::new (place) scope(tracer.scope(mt::user{"outer"}, mt::tag{"a", "1"}));
    const auto inner = tracer.scope(mt::user{"inner"});
    outer->~scope();
    {
        auto span = tracer.start_span("span");
    }
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.metadata["mlflow.trace.user"], "inner");
    EXPECT_FALSE(trace.tags.contains("a"));
}

TEST(scope, is_in_force_on_its_own_thread_alone) {
    recorder<> tracer;
    const auto scope = tracer.scope(mt::user{"u"});
    std::thread([&] { tracer.start_span("elsewhere").end(); }).join();
    EXPECT_TRUE(tracer.exporter().take().at(0).metadata.empty());
}

TEST(scope, leaves_out_and_reports_a_value_that_is_rejected) {
    recorder<> tracer({.on_error = [](void*, const mt::error&) noexcept {}});
    const auto scope = tracer.scope(mt::tag{"mlflow.own", "1"}, mt::tag{"own", "2"});
    EXPECT_EQ(tracer.refused_values(), 1U);
    {
        auto span = tracer.start_span("span");
    }
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_FALSE(trace.tags.contains("mlflow.own"));
    EXPECT_EQ(trace.tags["own"], "2");
}

} // namespace
