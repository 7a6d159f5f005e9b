// SPDX-License-Identifier: Apache-2.0
// What `batch`, `retry` and `spool` keep of flushes and errors, without them.
#include <mlflow/trace/pipeline/flushes.hpp>
#include <mlflow/trace/pipeline/latest_error.hpp>

#include <gtest/gtest.h>

#include <string>

namespace {

namespace detail = mlflow::trace::detail;
namespace mt = mlflow::trace;

TEST(flushes, ask_for_what_is_not_done) {
    detail::flushes all;
    EXPECT_FALSE(all.is_asked(0));
    all.ask(5, 0);
    EXPECT_TRUE(all.is_asked(4));
    EXPECT_FALSE(all.is_asked(5));
    all.ask(3, 0); // one that came late
    EXPECT_TRUE(all.is_asked(4));
    EXPECT_FALSE(all.has_given_up(0));
}

TEST(flushes, have_given_up_until_it_is_done_all_the_same) {
    detail::flushes all;
    all.ask(5, 0);
    all.give_up(5);
    all.give_up(2);
    EXPECT_TRUE(all.has_given_up(4));
    EXPECT_TRUE(all.is_asked(4)) << "it is still wanted";
    EXPECT_FALSE(all.has_given_up(5));
}

TEST(flushes, tell_what_was_delivered_since_the_latest_began) {
    detail::flushes all;
    EXPECT_EQ(all.delivered(7), 7U);
    all.ask(10, 7);
    EXPECT_EQ(all.delivered(9), 2U);
    all.ask(10, 9);
    EXPECT_EQ(all.delivered(9), 0U);
}

TEST(a_reason_to_wait, is_what_is_known) {
    const mt::error refused(mt::error_kind::connect, {}, "refused");
    EXPECT_EQ(detail::waiting_reason("", {}, "nobody knows"), "nobody knows");
    EXPECT_EQ(detail::waiting_reason("", refused, "nobody knows"), "refused");
    EXPECT_EQ(detail::waiting_reason("no answer yet", {}, "nobody knows"), "no answer yet");
    EXPECT_EQ(detail::waiting_reason("no answer yet", refused, "nobody knows"),
              "no answer yet; the latest error: refused");
}

TEST(the_latest_error, is_what_is_wrong_now_and_else_the_latest_loss) {
    detail::latest_error error;
    const auto made = [](const char* text) { return mt::error(mt::error_kind::other, {}, text); };
    EXPECT_EQ(error.get(), mt::error());
    error.lost(made("lost"));
    EXPECT_EQ(error.get(), made("lost"));
    error.wrong(made("wrong"));
    EXPECT_EQ(error.get(), made("wrong"));
    EXPECT_TRUE(error.is_wrong());
    error.lost(made("lost again"));
    EXPECT_EQ(error.get(), made("wrong"));
    error.mended();
    EXPECT_EQ(error.get(), made("lost again"));
    EXPECT_FALSE(error.is_wrong());
}

TEST(a_flush_that_gives_up, has_the_kind_of_the_latest_error) {
    const mt::error refused(mt::error_kind::connect, "127.0.0.1:5000", "connection refused");
    const mt::error latest = detail::gave_up(refused, "batch: 5 spans are still queued: 127.0.0.1:5000 is away");
    EXPECT_EQ(latest.kind(), mt::error_kind::connect);
    EXPECT_EQ(latest.about(), "127.0.0.1:5000");
    EXPECT_EQ(latest.message(), "batch: 5 spans are still queued: 127.0.0.1:5000 is away");
    EXPECT_EQ(detail::gave_up({}, "nobody answers").kind(), mt::error_kind::timeout);
}

} // namespace
