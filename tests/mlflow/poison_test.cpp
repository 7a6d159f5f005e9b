// SPDX-License-Identifier: Apache-2.0
// Spans that MLflow does not take, of a clock that is far beyond what its database can hold: they cost no other span.
#include "mlflow/recording.hpp"
#include <mlflow/trace/transports/beast.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace {

using namespace recording;

struct breakable_clock : mt::hosted_platform {
    static inline thread_local bool is_broken = false;

    static std::uint64_t wall_nano() noexcept { return ahead() + hosted_platform::wall_nano(); }
    static std::uint64_t monotonic_nano() noexcept { return ahead() + hosted_platform::monotonic_nano(); }

private:
    static std::uint64_t ahead() noexcept { return is_broken ? std::uint64_t{1} << 63U : 0; }
};

using delivery = mt::batch<mt::retry<mt::mlflow_exporter<mt::beast_transport>>>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, delivery, mt::record_all, breakable_clock>;

class poison : public testing::Test {
protected:
    poison()
        : tracer_({.exporter = {.exporter = {.exporter = {.tracking_uri = server(), .experiment_name = experiment()}},
                                .delay = std::chrono::hours(1)}}) {
        expected()["experiment"] = experiment();
    }
    static std::string experiment() {
        static const std::string name = fresh_name("poison");
        return name;
    }

    void record(bool is_good, int children = 0, int broken_child = -1) {
        breakable_clock::is_broken = !is_good;
        const auto root = tracer_.start_trace("root", mt::user{"user-1042"}, mt::session{"session-7"});
        breakable_clock::is_broken = false;
        json spans = json::array();
        if (is_good) spans.push_back(text(root.id().hex().view()));
        for (int i = 0; i < children; ++i) {
            breakable_clock::is_broken = i == broken_child;
            const auto child = tracer_.start_span("child");
            if (i != broken_child) spans.push_back(text(child.id().hex().view()));
        }
        breakable_clock::is_broken = !is_good;
        expected()["spans"][text(root.trace_id().mlflow_id().view())] = std::move(spans);
    }
    void deliver(std::uint64_t exported, std::uint64_t failed) {
        ASSERT_TRUE(tracer_.flush(std::chrono::seconds(120))) << tracer_.last_error().message();
        breakable_clock::is_broken = false;
        EXPECT_EQ(tracer_.account().exported, exported);
        EXPECT_EQ(tracer_.account().failed, failed);
        const auto rejected = tracer_.exporter().exporter().take_rejected();
        ASSERT_EQ(rejected.size(), failed);
        for (const auto& each : rejected) {
            EXPECT_EQ(each.trace.spans.size(), 1U);
            EXPECT_NE(each.error.message().find("responded 500 to /v1/traces"), std::string::npos)
                << each.error.message();
        }
    }

    tracer_type tracer_;
};

TEST_F(poison, of_one_trace_among_many) {
    for (int i = 0; i < 512; ++i) record(i != 317);
    deliver(511, 1);
}

TEST_F(poison, of_one_span_in_the_middle_of_a_trace) {
    record(true, 20, 13);
    deliver(20, 1);
}

TEST_F(poison, of_a_trace_that_comes_alone) {
    record(true);
    deliver(1, 0);
    record(false);
    EXPECT_FALSE(tracer_.flush(std::chrono::seconds(2))) << "nothing shows that the server accepts new traces";
    EXPECT_EQ(tracer_.account().failed, 0U);
    record(true);
    deliver(2, 1);
}

} // namespace
