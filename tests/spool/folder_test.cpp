// SPDX-License-Identifier: Apache-2.0
// What becomes of a spool whose folder is removed or moved away while it is at work: what is recorded from then on is
// in the folder that the next start looks into.
#include "support/spool_to_sink.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

namespace {

using namespace spool_testing;
using namespace std::chrono_literals;

class spool_without_its_folder : public spool_to_sink {
protected:
    static void record(tracer_type& tracer, const std::string& name) { auto span = tracer.start_span(name); }
    [[nodiscard]] bool is_in_folder(std::string_view name, std::string_view ending) const {
        for (const auto& file : files(ending))
            if (content_of(file).find(name) != std::string::npos) return true;
        return false;
    }
};

TEST_F(spool_without_its_folder, writes_to_the_one_that_has_taken_its_place) {
    into->set_away(true);
    {
        tracer_type tracer(to_sink());
        record(tracer, "before");
        std::filesystem::rename(folder, root / "moved");
        std::filesystem::create_directory(folder);
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
        record(tracer, "after");
        EXPECT_TRUE(is_in_folder("after", ".spool"));
    }
    into->set_away(false);
    tracer_type next(to_sink());
    ASSERT_TRUE(next.exporter().recover(std::chrono::steady_clock::now() + 10s));
    EXPECT_EQ(into->times_of("after"), 1);
}

TEST_F(spool_without_its_folder, delivers_what_comes_after_a_time_in_which_nothing_waited) {
    tracer_type tracer(to_sink());
    for (const char* const name : {"first", "second", "third"}) {
        record(tracer, name);
        ASSERT_TRUE(tracer.flush(10s)) << name << ": " << tracer.last_error().message();
        std::filesystem::remove_all(folder);
    }
    EXPECT_EQ(tracer.account().exported, 3U);
}

TEST_F(spool_without_its_folder, puts_aside_into_a_new_one) {
    tracer_type tracer(to_sink());
    for (const char* const name : {"first", "second"}) {
        {
            const std::lock_guard guard(into->lock);
            into->refused = {name};
        }
        record(tracer, std::string("taken with the ") + name);
        record(tracer, name);
        ASSERT_TRUE(tracer.flush(10s)) << name << ": " << tracer.last_error().message();
        EXPECT_TRUE(is_in_folder(name, ".rejected")) << name;
        std::filesystem::remove_all(folder);
    }
    EXPECT_EQ(tracer.exporter().status().rejected_spans, 2U);
}

} // namespace
