// SPDX-License-Identifier: Apache-2.0
// Each way in which a program ends, with a tracer and its threads at work: it ends, by itself, and what
// docs/threads.md says arrives.
#include "support/sanitized.hpp"
#include <mlflow/trace.hpp>
#include <mlflow/trace/spool/spool.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <semaphore>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

using written = mt::batch<mt::json_lines_exporter>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, written>;

class process_end : public testing::Test {
protected:
    std::string path =
        std::filesystem::temp_directory_path() / ("mlflow_trace-end-" + std::to_string(::getpid()) + ".jsonl");

    void SetUp() override {
        if (is_sanitized) GTEST_SKIP() << "forks";
    }
    void TearDown() override { std::filesystem::remove(path); }

    tracer_type::options to_file() const { return {.exporter = {.exporter = {.path = path}, .delay = 1ms}}; }

    // What a child process ends with that runs this.
    static int status_of(const std::function<void()>& run) {
        const pid_t child = ::fork();
        if (child == 0) {
            run();
            std::exit(0);
        }
        int status = 0;
        EXPECT_EQ(::waitpid(child, &status, 0), child);
        return status;
    }
    [[nodiscard]] std::size_t lines() const {
        std::ifstream file(path);
        std::size_t count = 0;
        for (std::string line; std::getline(file, line);) count += line.ends_with('}') ? 1U : 0U;
        return count;
    }
    static void record(tracer_type& tracer) { tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"}).end(); }
};

TEST_F(process_end, a_static_tracer_delivers_at_exit) {
    EXPECT_EQ(status_of([this] {
                  static tracer_type tracer(to_file());
                  record(tracer);
              }),
              0);
    EXPECT_EQ(lines(), 1U);
}

TEST_F(process_end, spans_of_static_and_thread_local_objects_are_recorded) {
    EXPECT_EQ(status_of([this] {
                  static tracer_type& tracer = *new tracer_type(to_file()); // outlives them all
                  struct late {
                      ~late() { record(tracer); }
                  };
                  static late at_exit;
                  std::thread([] {
                      static thread_local late with_its_thread;
                      static_cast<void>(with_its_thread);
                  }).join();
                  static_cast<void>(at_exit);
                  std::atexit([] { record(tracer); });
                  std::atexit([] {
                      record(tracer);
                      tracer.flush(10s);
                  });
                  static_cast<void>(tracer.flush(10s));
              }),
              0);
    EXPECT_GE(lines(), 2U); // what came behind the last flush may be lost
}

TEST_F(process_end, another_thread_may_exit_while_threads_record) {
    for (int i = 0; i < 10; ++i) {
        const int status = status_of([this] {
            static tracer_type& tracer = *new tracer_type(to_file());
            static std::counting_semaphore<> recorded(0);
            for (int t = 0; t < 3; ++t)
                std::thread([] {
                    for (;;) {
                        record(tracer);
                        recorded.release();
                    }
                }).detach();
            for (int n = 0; n < 100; ++n) recorded.acquire();
            std::thread([] { std::exit(0); }).join(); // never comes back
        });
        EXPECT_EQ(status, 0);
    }
}

TEST_F(process_end, quick_exit_runs_no_destructors) {
    EXPECT_EQ(status_of([this] {
                  static tracer_type tracer(to_file());
                  std::at_quick_exit([] { tracer.flush(10s); });
                  record(tracer);
                  std::quick_exit(0);
              }),
              0);
    EXPECT_EQ(lines(), 1U);
}

// A handler only notes the signal; a thread of the application does the rest.
TEST_F(process_end, a_signal_that_is_noted_ends_the_program_in_order) {
    EXPECT_EQ(status_of([this] {
                  static volatile std::sig_atomic_t is_asked_to_end = 0;
                  std::signal(SIGTERM, [](int) { is_asked_to_end = 1; });
                  tracer_type tracer(to_file());
                  record(tracer);
                  ::kill(::getpid(), SIGTERM);
                  while (!is_asked_to_end) record(tracer);
              }),
              0);
    EXPECT_GE(lines(), 1U);
}

TEST_F(process_end, threads_that_end_leave_their_spans_whole) {
    EXPECT_EQ(status_of([this] {
                  tracer_type tracer(to_file());
                  for (int i = 0; i < 100; ++i)
                      std::thread([&] {
                          auto trace = tracer.start_trace("turn", mt::user{"u"}, mt::session{"s"});
                          auto span = tracer.start_span("inner");
                      }).join();
                  if (!tracer.flush(10s) || tracer.account().exported != 200) std::_Exit(1);
              }),
              0);
}

} // namespace
