// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <string_view>
#include <vector>

namespace mt = mlflow::trace;

namespace {

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::required<mt::user>, mt::optional<mt::session>, mt::optional<segment>>;
template <class Recording>
using recorder = mt::tracer<schema, mt::thread_local_context, mt::memory_exporter, Recording>;

struct seen {
    std::string name, type, user, session, segment;
    bool has_caller = false, has_ratio = false, has_user = false;
};
struct watching { // a sampler of the application's
    struct options {
        std::vector<seen>* into = nullptr;
    };
    explicit watching(options chosen) : into(chosen.into) {}
    bool sample(const mt::trace_start& start) const {
        into->push_back({std::string(start.name), std::string(start.type.name()), std::string(start.user()),
                         std::string(start.session()), std::string(start.metadata("app.segment")),
                         start.caller != nullptr, start.ratio != nullptr, start.user().data() != nullptr});
        return true;
    }
    std::vector<seen>* into;
};

TEST(sampling, a_sampler_sees_what_is_known_at_the_start) {
    std::vector<seen> told;
    recorder<watching> tracer({.recording = {.into = &told}});
    static_cast<void>(tracer.start_trace("bare", mt::anonymous));
    {
        const auto outer = tracer.scope(mt::session{"outer"}, segment{"free"});
        const auto inner = tracer.scope(mt::session{"inner"});
        static_cast<void>(tracer.start_trace("full", mt::user{"user-1"}, mt::span_type::agent, mt::sample_ratio{0.5},
                                             mt::remote_span{{1, 2}, {3}, true}));
        static_cast<void>(tracer.start_trace("without", mt::user{"user-1"}, mt::no_session));
        tracer.start_span("ambient", mt::span_type::tool).end();
        auto traced = mt::traced<"function", "who">(tracer, [](const mt::user&) { return 1; });
        traced(mt::user{"user-2"});
    }
    ASSERT_EQ(told.size(), 5U);
    EXPECT_EQ(told[0].name, "bare");
    EXPECT_EQ(told[0].type, "UNKNOWN");
    EXPECT_FALSE(told[0].has_user || told[0].has_caller || told[0].has_ratio);
    EXPECT_EQ(told[1].type, "AGENT");
    EXPECT_EQ(told[1].user, "user-1");
    EXPECT_EQ(told[1].session, "inner") << "the innermost scope's";
    EXPECT_EQ(told[1].segment, "free");
    EXPECT_TRUE(told[1].has_caller && told[1].has_ratio);
    EXPECT_EQ(told[2].session, "") << "what the call says comes before the scopes";
    EXPECT_EQ(told[3].session, "inner");
    EXPECT_EQ(told[3].type, "TOOL");
    EXPECT_EQ(told[4].user, "user-2");
    EXPECT_EQ(told[4].session, "inner");
}

TEST(sampling, a_call_may_ask_for_another_ratio) {
    recorder<mt::record_all> all;
    EXPECT_FALSE(all.start_trace("x", mt::anonymous, mt::sample_ratio{0}).recording());
    EXPECT_TRUE(all.start_trace("x", mt::anonymous, mt::sample_ratio{1}).recording());
    EXPECT_FALSE(all.start_trace("x", mt::anonymous, mt::sample_ratio{std::nan("")}).recording());
    recorder<mt::record_ratio> none({.recording = {.ratio = 0}});
    EXPECT_TRUE(none.start_trace("x", mt::anonymous, mt::sample_ratio{1}).recording());
    recorder<mt::parent_based<mt::record_ratio>> followed({.recording = {.ratio = 0}});
    EXPECT_TRUE(followed.start_trace("x", mt::anonymous, mt::sample_ratio{1}).recording());
    EXPECT_FALSE(followed.start_trace("x", mt::anonymous, mt::sample_ratio{1}, mt::remote_span{{1, 2}, {3}, false})
                     .recording())
        << "the caller's decision comes first";
    recorder<mt::record_session_ratio<>> whole({.recording = {.ratio = 0}});
    EXPECT_FALSE(whole.start_trace("x", mt::anonymous, mt::session{"s"}, mt::sample_ratio{1}).recording())
        << "and the session's before that of the call";
    EXPECT_TRUE(whole.start_trace("x", mt::anonymous, mt::sample_ratio{1}).recording());
}

} // namespace
