// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/web/sessions.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <string>
#include <sys/wait.h>
#include <tests/support/sanitized.hpp>
#include <thread>
#include <unistd.h>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

struct failing_exporter {
    static constexpr bool is_thread_safe = true;
    static mt::export_result export_traces(mt::trace_batch& traces) {
        return {.failed_spans = traces.span_count(),
                .error = mt::error(mt::error_kind::other, {}, "no receiver takes what this test records")};
    }
};
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, failing_exporter>;

// A fork that comes while another thread holds a lock of the library: the child has not that thread.
TEST(fork, the_child_goes_on_with_what_another_thread_had_locked) {
    if (is_sanitized) GTEST_SKIP() << "in the child their locks stay as they are, that of malloc too";
    constexpr int forks = 1'000;
    tracer_type tracer;
    mt::sessions<mt::hosted_platform> sessions;
    auto shared = tracer.start_trace("shared", mt::user{"user-1"}, mt::session{"session-1"});
    std::atomic<bool> is_over{false};
    std::thread describes(mt::bind([&] {
        const std::string text(400, 'x');
        while (!is_over) static_cast<void>(tracer.update_current_trace(mt::tag("turn", text)));
    }));
    std::thread asks([&] {
        while (!is_over) {
            tracer.start_span("fails").end();
            EXPECT_FALSE(tracer.last_error().message().empty());
            static_cast<void>(sessions.current("user-1"));
        }
    });
    int hung = 0;
    for (int k = 0; k < forks && hung == 0; ++k) {
        const pid_t child = ::fork();
        if (child == 0) {
            ::alarm(20);
            static_cast<void>(sessions.current("user-2"));
            bool is_right = shared.set(mt::tag("of", "the child")) && sessions.size() <= 2;
            shared.end();
            auto own = tracer.start_trace("own", mt::user{"user-2"}, mt::session{"session-2"});
            is_right = own.set(mt::tag("of", "the child")) && is_right;
            own.end();
            tracer_type another;
            another.start_span("by a tracer of the child").end();
            ::_exit(is_right && !tracer.last_error().message().empty() && !another.last_error().message().empty()
                        ? 0
                        : 1);
        }
        int status = -1;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        EXPECT_EQ(status, 0) << "child " << k;
        hung += status != 0;
    }
    is_over = true;
    describes.join();
    asks.join();
}

} // namespace
