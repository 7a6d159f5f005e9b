// SPDX-License-Identifier: Apache-2.0
// One user's traces taken out of a spool: those of others stay byte by byte, and can still be delivered.
#include "support/spool_to_sink.hpp"
#include <mlflow/trace/spool/erasure.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <sys/resource.h>

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;

class spool_erasure : public spool_to_sink {
protected:
    // Ten traces each, one after the other, which stay in the folder.
    void record(std::initializer_list<const char*> users) {
        into->set_away(true);
        {
            tracer_type tracer(to_sink());
            for (int turn = 0; turn < 10; ++turn)
                for (const std::string user : users)
                    auto trace = tracer.start_trace(user + " asks", *mt::user::parse(user));
        }
        into->set_away(false);
    }
    [[nodiscard]] mt::spool_file only_file() const {
        const auto listed = mt::list_spool(folder);
        EXPECT_TRUE(listed && listed->size() == 1) << folder;
        return listed->front();
    }
    [[nodiscard]] static bool nobody(std::string_view) { return false; }

    // What is still delivered, by the name of the root.
    [[nodiscard]] std::map<std::string, int> delivered() {
        tracer_type next(to_sink());
        EXPECT_TRUE(next.exporter().recover(std::chrono::steady_clock::now() + 10s)) << next.last_error().message();
        return into->times;
    }
};

TEST_F(spool_erasure, takes_out_one_user_and_leaves_the_others_byte_by_byte) {
    record({"user-1", "user-10", "user-1042"});
    const auto file = only_file();
    const std::string before = content_of(file.path);
    const auto removed = mt::remove_user_from(file, "user-1", nobody);
    ASSERT_TRUE(removed) << removed.error().message();
    EXPECT_EQ(removed->traces, 10U);
    const std::string after = content_of(file.path);
    EXPECT_EQ(removed->bytes, before.size() - after.size());
    EXPECT_EQ(after.find("user-1 asks"), after.npos);

    std::string rest = before; // without the records between two markers that name the user
    const std::string marker = before.substr(0, 8);
    for (std::size_t at = 0; at < rest.size();) {
        const auto next = std::min(rest.find(marker, at + 8), rest.size());
        if (rest.substr(at, next - at).find("user-1 asks") != rest.npos) rest.erase(at, next - at);
        else at = next;
    }
    EXPECT_EQ(after, rest);
    EXPECT_EQ(std::filesystem::status(file.path).permissions(), std::filesystem::perms(0600));
    EXPECT_EQ(delivered(), (std::map<std::string, int>{{"user-10 asks", 10}, {"user-1042 asks", 10}}));
}

TEST_F(spool_erasure, takes_out_traces_that_are_known_to_be_of_the_user) {
    record({"somebody"});
    const auto file = only_file();
    std::string first;
    ASSERT_TRUE(mt::for_each_trace(file, [&](const mt::trace_data& trace) {
        if (first.empty()) first = std::string(trace.id.mlflow_id().view());
    }));
    const auto removed = mt::remove_user_from(file, "user-1", [&](std::string_view id) { return id == first; });
    ASSERT_TRUE(removed);
    EXPECT_EQ(removed->traces, 1U);
    EXPECT_EQ(delivered()["somebody asks"], 9);
}

TEST_F(spool_erasure, removes_a_file_that_holds_nothing_else_and_touches_none_of_others) {
    record({"user-1"});
    const auto file = only_file();
    const auto written = std::filesystem::last_write_time(file.path);
    const auto other = mt::remove_user_from(file, "user-2", nobody);
    ASSERT_TRUE(other);
    EXPECT_EQ(other->traces, 0U);
    EXPECT_EQ(std::filesystem::last_write_time(file.path), written);
    const auto removed = mt::remove_user_from(file, "user-1", nobody);
    ASSERT_TRUE(removed);
    EXPECT_TRUE(removed->is_removed);
    EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(spool_erasure, counts_other_hard_links_which_keep_the_old_content) {
    record({"user-1", "user-2", "user-3"});
    const auto file = only_file();
    const auto link = std::filesystem::path(folder).concat(".link");
    std::filesystem::create_hard_link(file.path, link);
    EXPECT_EQ(mt::remove_user_from(file, "user-4", nobody)->other_links, 0U);
    EXPECT_EQ(mt::remove_user_from(file, "user-1", nobody)->other_links, 1U);
    std::filesystem::remove(link);
    EXPECT_EQ(mt::remove_user_from(file, "user-2", nobody)->other_links, 0U);
    std::filesystem::create_hard_link(file.path, link);
    const auto last = mt::remove_user_from(file, "user-3", nobody);
    EXPECT_TRUE(last->is_removed);
    EXPECT_EQ(last->other_links, 1U);
    std::filesystem::remove(link);
}

TEST_F(spool_erasure, takes_out_what_was_rejected_too) {
    record({"user-1", "user-2"});
    const auto waiting = files().front();
    std::filesystem::rename(waiting, std::filesystem::path(waiting).replace_extension(".rejected"));
    const auto file = only_file();
    ASSERT_TRUE(file.is_rejected);
    EXPECT_EQ(mt::remove_user_from(file, "user-1", nobody)->traces, 10U);
    EXPECT_EQ(content_of(only_file().path).find("user-1"), std::string::npos);
}

TEST_F(spool_erasure, takes_out_damage_in_which_the_user_stands_and_keeps_other_damage) {
    record({"user-1", "user-2"});
    const auto path = files().front();
    std::string bytes = content_of(path);
    bytes[bytes.find("user-1 asks") + 7] = 'A';
    bytes[bytes.rfind("user-2 asks") + 7] = 'A';
    write_file(path, bytes);
    const auto removed = mt::remove_user_from(only_file(), "user-1", nobody);
    ASSERT_TRUE(removed);
    EXPECT_EQ(removed->traces, 9U);
    EXPECT_EQ(removed->unreadable, 1U);
    const std::string after = content_of(path);
    EXPECT_EQ(after.find("user-1"), after.npos);
    EXPECT_NE(after.find("user-2 Asks"), after.npos);
    EXPECT_EQ(delivered(), (std::map<std::string, int>{{"user-2 asks", 9}}));
}

TEST_F(spool_erasure, leaves_a_file_in_use_alone_and_says_so) {
    into->set_away(true);
    tracer_type tracer(to_sink());
    {
        auto trace = tracer.start_trace("turn", mt::user{"user-1"});
    }
    const auto file = only_file();
    const auto removed = mt::remove_user_from(file, "user-1", nobody);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code(), std::error_code(EWOULDBLOCK, std::generic_category()));
    EXPECT_NE(content_of(file.path).find("user-1"), std::string::npos);
}

TEST_F(spool_erasure, leaves_the_file_as_it_was_when_nothing_can_be_written) {
    record({"user-1", "user-2"});
    const auto file = only_file();
    const std::string before = content_of(file.path);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit none{16, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
    const auto removed = mt::remove_user_from(file, "user-1", nobody);
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    ASSERT_FALSE(removed);
    EXPECT_EQ(removed.error().code(), std::error_code(EFBIG, std::generic_category()));
    EXPECT_EQ(content_of(file.path), before);
    EXPECT_EQ(files("").size(), 1U) << "what was written beside it";
}

} // namespace
