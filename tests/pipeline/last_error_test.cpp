// SPDX-License-Identifier: Apache-2.0
// `last_error` says what is wrong now, and else why spans were last lost. What was mended is forgotten.
#include "support/spool_folder.hpp"
#include "support/spool_sink.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;

template <class Exporter>
using tracer_to = mt::tracer<mt::open_schema, mt::thread_local_context, Exporter>;
constexpr mt::diagnostics nobody{.write = nullptr};

template <class Tracer>
void record(Tracer& tracer, const std::string& name) {
    auto span = tracer.start_span(name);
}

template <class Tracer>
std::string error_once_it_is(Tracer& tracer, std::string_view expected) {
    const auto until = std::chrono::steady_clock::now() + 10s;
    std::string error = tracer.last_error().message();
    while (error.find(expected) == std::string::npos && std::chrono::steady_clock::now() < until) {
        std::this_thread::sleep_for(1ms);
        error = tracer.last_error().message();
    }
    return error;
}

// An outage comes and goes; a span that is refused is lost for good.
template <class Tracer>
void expect_what_is_wrong_now(Tracer& tracer, sink& into) {
    EXPECT_EQ(tracer.last_error().message(), "");
    into.set_away(true);
    record(tracer, "one");
    EXPECT_EQ(error_once_it_is(tracer, "away"), "away");
    into.set_away(false);
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.last_error().message(), "");

    into.refused.insert("at fault");
    record(tracer, "at fault");
    record(tracer, "two");
    ASSERT_TRUE(tracer.flush(10s));
    ASSERT_EQ(tracer.account().failed, 1U);
    const std::string lost = tracer.last_error().message();
    EXPECT_NE(lost.find(" was quarantined: refused"), std::string::npos) << lost;

    into.set_away(true);
    record(tracer, "three");
    EXPECT_EQ(error_once_it_is(tracer, "away"), "away");
    into.set_away(false);
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.last_error().message(), lost);
    EXPECT_EQ(tracer.account().exported, 3U);
}

TEST(the_last_error, of_batch_and_retry) {
    const auto into = std::make_shared<sink>();
    tracer_to<mt::batch<mt::retry<sink_exporter>>> tracer(
        {.exporter = {.exporter = {.exporter = {into}, .first_wait = 1ms, .longest_wait = 5ms, .diagnostics = nobody},
                      .delay = 1ms,
                      .diagnostics = nobody}});
    expect_what_is_wrong_now(tracer, *into);
}

class the_last_error_of_spool : public in_a_folder {
protected:
    std::shared_ptr<sink> into = std::make_shared<sink>();
    tracer_to<mt::spool<sink_exporter>> tracer{{.exporter = {.exporter = {into},
                                                             .folder = folder,
                                                             .delay = 1ms,
                                                             .first_wait = 1ms,
                                                             .longest_wait = 5ms,
                                                             .diagnostics = nobody}}};
};

TEST_F(the_last_error_of_spool, is_what_is_wrong_now) { expect_what_is_wrong_now(tracer, *into); }

TEST_F(the_last_error_of_spool, goes_with_a_fault_of_its_folder) {
    using std::filesystem::perms;
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(10s));
    ASSERT_TRUE(tracer.exporter().recover(std::chrono::steady_clock::now() + 10s));
    std::filesystem::permissions(folder, perms::all);
    EXPECT_FALSE(tracer.exporter().recover(std::chrono::steady_clock::now() + 10s)) << "it has not looked";
    EXPECT_NE(tracer.last_error().message().find(folder), std::string::npos) << tracer.last_error().message();
    std::filesystem::permissions(folder, perms::owner_all);
    EXPECT_TRUE(tracer.exporter().recover(std::chrono::steady_clock::now() + 10s));
    EXPECT_EQ(tracer.last_error().message(), "");
}

// Without `retry` an outage is a loss.
TEST(the_last_error, of_batch_alone_stays) {
    const auto into = std::make_shared<sink>();
    tracer_to<mt::batch<sink_exporter>> tracer(
        {.exporter = {.exporter = {into}, .delay = 1ms, .diagnostics = nobody}});
    into->set_away(true);
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(10s));
    into->set_away(false);
    record(tracer, "two");
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(), "away");
}

struct warning_exporter {
    mt::export_result export_traces(mt::trace_batch& batch) {
        const bool is_first = !std::exchange(has_warned, true);
        return {.exported_spans = batch.span_count(),
                .error = is_first ? mt::error(mt::error_kind::other, {}, "use a newer version") : mt::error()};
    }
    bool has_warned = false;
};

TEST(the_last_error, is_no_warning_of_long_ago) {
    tracer_to<mt::batch<warning_exporter>> tracer({.exporter = {.delay = 1ms, .diagnostics = nobody}});
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.last_error().message(), "use a newer version");
    record(tracer, "two");
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.last_error().message(), "");
}

struct warning_and_failing_exporter {
    mt::export_result export_traces(mt::trace_batch& batch) {
        if (!std::exchange(has_warned, true))
            return {.exported_spans = batch.span_count(),
                    .error = mt::error(mt::error_kind::other, {}, "use a newer version")};
        return {.failed_spans = batch.span_count(), .error = mt::error(mt::error_kind::connect, {}, "no route")};
    }
    bool has_warned = false;
};

TEST(the_last_error, is_the_loss_after_a_warning) {
    tracer_to<mt::batch<warning_and_failing_exporter>> tracer({.exporter = {.delay = 1ms, .diagnostics = nobody}});
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(10s));
    record(tracer, "two");
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(), "no route");
    EXPECT_EQ(tracer.last_error().kind(), mt::error_kind::connect);
}

// What was given up is lost, and nothing is wrong any more.
TEST(the_last_error, of_retry_that_gave_up) {
    const auto into = std::make_shared<sink>();
    tracer_to<mt::batch<mt::retry<sink_exporter>>> tracer(
        {.exporter = {
             .exporter = {.exporter = {into}, .first_wait = 1ms, .give_up_after = 0ms, .diagnostics = nobody},
             .delay = 1ms,
             .diagnostics = nobody}});
    into->set_away(true);
    record(tracer, "one");
    ASSERT_TRUE(tracer.flush(10s));
    into->set_away(false);
    record(tracer, "two");
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(), "away");
}

} // namespace
