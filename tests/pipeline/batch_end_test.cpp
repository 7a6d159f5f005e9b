// SPDX-License-Identifier: Apache-2.0
// How `batch` ends: with an exporter that does not come back, from its own thread, and at each stage of a program.
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

struct calls {
    std::mutex closed;
    std::atomic<int> inside{0};
    std::function<void()> also;
};

struct calling_exporter {
    struct options {
        std::shared_ptr<calls> into{};
    };
    explicit calling_exporter(options chosen) : into(std::move(chosen.into)) {}

    mt::export_result export_traces(mt::trace_batch& batch) const {
        ++into->inside;
        const std::lock_guard open(into->closed);
        if (into->also) into->also();
        return {.exported_spans = batch.span_count()};
    }
    std::shared_ptr<calls> into;
};

using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<calling_exporter>>;

class batch_end : public testing::Test {
protected:
    tracer_type::options options() const {
        return {.exporter = {.exporter = {calls_}, .delay = 0ms, .shutdown_timeout = 20ms}, .shutdown_timeout = 20ms};
    }
    // In the hands of the exporter.
    void record_one(tracer_type& tracer) const {
        static_cast<void>(tracer.start_trace("span"));
        while (calls_->inside == 0) std::this_thread::sleep_for(1ms);
    }
    // The exporter is destroyed, with all that it holds, once it has come back.
    void expect_no_rest() const {
        const auto until = std::chrono::steady_clock::now() + 60s;
        while (calls_.use_count() != 1) {
            ASSERT_LT(std::chrono::steady_clock::now(), until) << "the exporter is still there";
            std::this_thread::sleep_for(1ms);
        }
    }
    std::shared_ptr<calls> calls_ = std::make_shared<calls>();
};

TEST_F(batch_end, does_not_wait_for_an_exporter_that_does_not_come_back) {
    calls_->closed.lock();
    {
        tracer_type tracer(options());
        record_one(tracer);
        static_cast<void>(tracer.start_trace("queued"));
    }
    EXPECT_GT(calls_.use_count(), 1) << "the call is still under way";
    calls_->closed.unlock();
    expect_no_rest();
}

TEST_F(batch_end, may_come_from_the_thread_of_the_exporter) {
    auto tracer = std::make_unique<tracer_type>(options());
    std::mutex recording; // the tracer does not go while it is still being told of the trace
    calls_->also = [&] {
        const std::lock_guard recorded(recording);
        tracer.reset();
    };
    {
        const std::lock_guard guard(recording);
        static_cast<void>(tracer->start_trace("the last one"));
    }
    expect_no_rest();
    const std::lock_guard ended(recording);
    EXPECT_EQ(tracer, nullptr);
}

TEST_F(batch_end, a_shutdown_during_a_flush_and_another_one) {
    calls_->closed.lock();
    tracer_type tracer(options());
    record_one(tracer);
    std::atomic<int> complete{0};
    const auto in = [](std::chrono::seconds time) { return std::chrono::steady_clock::now() + time; };
    std::thread flushing([&] { complete += tracer.exporter().flush(in(60s)) ? 1 : 0; });
    std::thread stopping([&] { complete += tracer.exporter().shutdown(in(60s)) ? 1 : 0; });
    EXPECT_FALSE(tracer.exporter().shutdown(in(0s)));
    calls_->closed.unlock();
    flushing.join();
    stopping.join();
    EXPECT_EQ(complete, 2);
    EXPECT_TRUE(tracer.exporter().shutdown(in(60s)));
    EXPECT_EQ(tracer.account().exported, 1U);
}

TEST_F(batch_end, a_shutdown_from_the_thread_of_the_exporter) {
    tracer_type tracer(options());
    std::atomic<int> refused{0};
    calls_->also = [&] { refused += tracer.exporter().shutdown(std::chrono::steady_clock::now() + 60s) ? 0 : 1; };
    static_cast<void>(tracer.start_trace("span"));
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(refused, 1) << "it cannot wait for itself";
}

// The stages of a program's end, each in a process of its own. What is exported goes to standard error.
struct printing_exporter {
    mt::export_result export_traces(mt::trace_batch& batch) const {
        for (const mt::trace_data& trace : batch)
            std::fprintf(stderr, "<%s>", mt::decode(trace).spans.at(0).name.c_str());
        return {.exported_spans = batch.span_count()};
    }
};
using printing_tracer = mt::tracer<mt::open_schema, mt::thread_local_context, mt::batch<printing_exporter>>;

printing_tracer& static_tracer() {
    static printing_tracer tracer({.exporter = {.delay = std::chrono::hours(1)}});
    return tracer;
}
void record(const char* name) { static_cast<void>(static_tracer().start_trace(name)); }

struct recorded_at_the_end {
    const char* name;
    ~recorded_at_the_end() { record(name); }
};

[[noreturn]] void end_with_a_static_tracer() {
    alarm(60);                              // a hang fails
    static printing_tracer::trace outlives; // made before the tracer, and so destroyed after it
    record("static tracer");
    static const recorded_at_the_end in_a_static{"static destructor"};
    static thread_local const recorded_at_the_end in_a_thread_local{"thread_local destructor"};
    static_cast<void>(in_a_static);
    static_cast<void>(in_a_thread_local);
    std::atexit([] { record("atexit"); });
    outlives = static_tracer().start_trace("outlives its tracer");
    std::exit(0);
}

[[noreturn]] void end_without_shutdown() {
    alarm(60);
    static auto* const never_destroyed = new printing_tracer({.exporter = {.delay = 0ms}});
    for (int i = 0; i < 1000; ++i) static_cast<void>(never_destroyed->start_trace("some"));
    std::exit(0);
}

[[noreturn]] void end_in_the_exporter() {
    alarm(60);
    static auto ending = std::make_shared<calls>();
    ending->also = [] { std::exit(0); };
    static tracer_type tracer({.exporter = {.exporter = {ending}, .delay = 0ms}});
    static_cast<void>(tracer.start_trace("ends the program"));
    for (;;) std::this_thread::sleep_for(1s);
}

class program_end : public testing::Test {
protected:
    void SetUp() override { testing::GTEST_FLAG(death_test_style) = "threadsafe"; }
};

TEST_F(program_end, a_static_tracer_delivers_what_destructors_record) {
    EXPECT_EXIT(end_with_a_static_tracer(), testing::ExitedWithCode(0),
                "<static tracer><thread_local destructor><atexit><static destructor>");
}
TEST_F(program_end, without_shutdown) { EXPECT_EXIT(end_without_shutdown(), testing::ExitedWithCode(0), ""); }
TEST_F(program_end, in_the_exporter) { EXPECT_EXIT(end_in_the_exporter(), testing::ExitedWithCode(0), ""); }

} // namespace
