// SPDX-License-Identifier: Apache-2.0
// A program that gives its tracer to a part of itself that is loaded at run time. MLFLOW_TRACE_PLUGIN is its path,
// MLFLOW_TRACE_PLUGIN_OTHER that of one with another version of the library, _NOEXCEPT of one with another build.
#include "plugin.hpp"
#include "support/sanitized.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <dlfcn.h>
#include <map>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

namespace mt = mlflow::trace;

class plugin {
public:
    explicit plugin(const char* path = MLFLOW_TRACE_PLUGIN) : part_(dlopen(path, RTLD_NOW | RTLD_LOCAL)) {
        EXPECT_TRUE(part_) << dlerror();
    }
    plugin(const plugin&) = delete;
    plugin& operator=(const plugin&) = delete;
    ~plugin() { dlclose(part_); }
    const plugin_functions* operator->() const {
        return static_cast<const plugin_functions*>(dlsym(part_, "functions"));
    }

private:
    void* part_;
};

class plugins : public testing::Test {
protected:
    std::map<std::string, std::string> users() {
        std::map<std::string, std::string> found;
        for (const auto& trace : tracer.exporter().take())
            for (const auto& span : trace.spans) found[span.name] = trace.metadata["mlflow.trace.user"];
        return found;
    }
    auto start(const char* user) { return tracer.start_trace("turn", mt::user::parse(user).value(), mt::no_session); }

    plugin_tracer tracer;
};

TEST_F(plugins, record_inside_the_trace_that_is_current_in_the_program) {
    const plugin part;
    {
        auto trace = start("alice");
        auto around = tracer.start_span("around");
        part->step(&tracer);
        part->step_on_a_thread(&tracer);
        part->off(&tracer);
        part->step_in_scope(&tracer);
        EXPECT_TRUE(part->tag(&tracer));
        EXPECT_TRUE(part->own());
        auto after = tracer.start_span("after");
    }
    const auto trace = tracer.exporter().take().at(0);
    EXPECT_EQ(trace.spans.size(), 7U);
    EXPECT_EQ(trace.tags["by"], "plugin");
    EXPECT_EQ(trace.tags["scope"], "plugin");
    EXPECT_EQ(trace.find("plugin step")->parent, trace.find("around")->id);
    EXPECT_EQ(trace.find("inside the step")->parent, trace.find("plugin step")->id);
    EXPECT_EQ(trace.find("plugin thread")->parent, trace.find("around")->id);
    EXPECT_EQ(trace.find("after")->parent, trace.find("around")->id);
    EXPECT_FALSE(trace.find("hidden"));
    EXPECT_EQ(part->own_traces(), 1U);
    EXPECT_EQ(tracer.account().open, 0U);
}

TEST_F(plugins, keep_users_of_several_threads_apart) {
    const plugin part;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, user = "user-" + std::to_string(i)] {
            for (int n = 0; n < 200; ++n) {
                auto trace = tracer.start_trace(user, mt::user::parse(user).value(), mt::no_session);
                part->step(&tracer);
            }
        });
    for (auto& thread : threads) thread.join();
    for (const auto& trace : tracer.exporter().take()) {
        EXPECT_EQ(trace.spans.size(), 3U);
        EXPECT_EQ(trace.root()->name, trace.metadata["mlflow.trace.user"]);
    }
    part->own_traces();
}

TEST_F(plugins, may_go_while_the_program_records_on) {
    plugin_span left;
    {
        auto trace = start("alice");
        {
            const plugin part;
            part->step(&tracer);
            part->start(&tracer, &left);
            part->own();
        }
        left.attribute("after", "dlclose").end();
        auto span = tracer.start_span("after the plugin");
        std::thread([this] { auto elsewhere = start("bob"); }).join();
    }
    for (int i = 0; i < 100; ++i) {
        auto trace = start("carol");
        const plugin again;
        again->step(&tracer);
    }
    std::size_t spans = 0;
    for (const auto& trace : tracer.exporter().take()) spans += trace.spans.size();
    EXPECT_EQ(spans, 5U + 1U + 300U);
    EXPECT_EQ(tracer.account().open, 0U);
}

TEST_F(plugins, that_are_loaded_in_a_child_process_lose_nothing) {
    if (is_sanitized) GTEST_SKIP() << "a child of a fork may hang under a sanitizer";
    const pid_t child = fork();
    if (child == 0) {
        const plugin part;
        {
            auto trace = start("alice");
            part->step(&tracer);
        }
        const auto traces = tracer.exporter().take();
        _exit(traces.size() == 1 && traces[0].spans.size() == 3 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

TEST_F(plugins, see_without_the_tracer_what_is_current_in_their_own_part) {
    const plugin part;
    auto trace = start("alice");
    const bool is_one_part = part->tag_without_tracer(); // where the symbols of both are merged
    trace.end();
    EXPECT_EQ(tracer.exporter().take().at(0).tags["by"], is_one_part ? "nobody" : "");
}

class other_builds : public plugins, public testing::WithParamInterface<const char*> {};

TEST_P(other_builds, record_nothing_and_say_why_once) {
    const plugin part(GetParam());
    testing::internal::CaptureStderr();
    {
        auto trace = start("alice");
        part->step(&tracer);
        part->step_in_scope(&tracer);
        EXPECT_FALSE(part->tag(&tracer));
        part->step_on_a_thread(&tracer);
        plugin_span untouched;
        part->off(&tracer);
        EXPECT_EQ(part->refused_values(&tracer), 0U);
    }
    const std::string said = testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find("made by mlflow_trace " MLFLOW_TRACE_VERSION), std::string::npos) << said;
    EXPECT_NE(said.find("another version or build"), std::string::npos) << said;
    EXPECT_EQ(said.find('\n'), said.size() - 1) << said;
    EXPECT_EQ(tracer.exporter().take().at(0).spans.size(), 1U);
    EXPECT_TRUE(part->own());
    EXPECT_EQ(part->own_traces(), 1U);
}

INSTANTIATE_TEST_SUITE_P(of, other_builds, testing::Values(MLFLOW_TRACE_PLUGIN_OTHER, MLFLOW_TRACE_PLUGIN_NOEXCEPT),
                         [](const auto& tried) { return tried.index == 0 ? "version" : "options"; });

TEST(tracer_of_an_older_version, is_told_apart) {
    alignas(plugin_tracer) unsigned char memory[sizeof(plugin_tracer)];
    for (const int byte : {0x00, 0x01, 0xff}) {
        std::memset(memory, byte, sizeof memory);
        auto& tracer = *reinterpret_cast<plugin_tracer*>(memory);
        EXPECT_FALSE(tracer.start_span("span").recording());
        EXPECT_NE(tracer.last_error().message().find("an older version"), std::string::npos);
    }
}

} // namespace
