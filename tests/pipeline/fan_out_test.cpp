// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/pipeline/fan_out.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using namespace std::chrono_literals;

struct receiver {
    std::mutex lock;
    std::condition_variable changed;
    bool open = true;
    bool fails = false;
    std::vector<mt::recorded_trace> traces;

    void set_open(bool now) {
        const std::lock_guard guard(lock);
        open = now;
        changed.notify_all();
    }
};

struct decoding_exporter {
    struct options {
        std::shared_ptr<receiver> to = std::make_shared<receiver>();
    };
    explicit decoding_exporter(options chosen) : to(std::move(chosen.to)) {}

    mt::export_result export_traces(mt::trace_batch& batch) const {
        std::unique_lock guard(to->lock);
        to->changed.wait(guard, [&] { return to->open; });
        if (to->fails) throw std::runtime_error("no route");
        for (const mt::trace_data& trace : batch) to->traces.push_back(mt::decode(trace));
        return {.exported_spans = batch.span_count()};
    }
    std::shared_ptr<receiver> to;
};

using batched = mt::batch<decoding_exporter>;
using three = mt::fan_out<decoding_exporter, batched, decoding_exporter>; // the first and the last get a batch
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, three>;

class fan_out : public testing::Test {
protected:
    static batched::options to(const std::shared_ptr<receiver>& one) {
        return {.exporter = {one}, .delay = std::chrono::hours(1)};
    }
    tracer_type::options options() const { return {.exporter = {.exporters = {to(a_), to(b_), to(c_)}}}; }

    static void record(tracer_type& tracer, int traces) {
        for (int i = 0; i < traces; ++i) {
            auto trace = tracer.start_trace("turn", mt::user{"user-1042"}, mt::session{"session-7"},
                                            mt::tag{"stage", "test"}, mt::client_request_id{"request-1"});
            trace.inputs(mt::arg("number", i));
            tracer.start_span("inner").event("seen", mt::arg("at", 3)).exception("std::runtime_error", "no route");
        }
    }

    std::shared_ptr<receiver> a_ = std::make_shared<receiver>();
    std::shared_ptr<receiver> b_ = std::make_shared<receiver>();
    std::shared_ptr<receiver> c_ = std::make_shared<receiver>();
};

// All that a receiver could tell one trace from another by.
std::string told(const mt::recorded_trace& trace) {
    std::string all(trace.id.hex().view());
    const auto add = [&all](const mt::recorded_values& values) {
        for (const auto& [key, value] : values) all += " " + key + "=" + value;
    };
    all += (trace.has_root ? " root " : " ") + trace.client_request_id + trace.request_preview;
    add(trace.metadata), add(trace.tags);
    for (const mt::recorded_span& span : trace.spans) {
        all += "\n" + std::string(span.id.hex().view()) + " " + std::string(span.parent.hex().view()) + " " +
               span.name + " " + std::to_string(span.start_unix_nano) + " " + std::to_string(span.end_unix_nano) +
               " " + std::to_string(static_cast<int>(span.code)) + span.status_message;
        add(span.attributes);
        for (const mt::recorded_event& event : span.events) all += " " + event.name, add(event.attributes);
    }
    return all;
}

TEST_F(fan_out, gives_each_the_same) {
    tracer_type tracer(options());
    record(tracer, 20);
    ASSERT_TRUE(tracer.flush(60s));
    ASSERT_EQ(a_->traces.size(), 20U);
    ASSERT_EQ(b_->traces.size(), 20U);
    ASSERT_EQ(c_->traces.size(), 20U);
    for (std::size_t i = 0; i < 20; ++i) {
        EXPECT_EQ(told(a_->traces[i]), told(c_->traces[i])); // the last one got what was recorded
        EXPECT_EQ(told(b_->traces[i]), told(c_->traces[i]));
        EXPECT_EQ(a_->traces[i].spans.size(), 2U);
        EXPECT_EQ(a_->traces[i].metadata["mlflow.trace.session"], "session-7");
    }
    EXPECT_EQ(tracer.account().exported, 40U);
}

TEST_F(fan_out, one_that_blocks_holds_no_other) {
    a_->set_open(false);
    tracer_type tracer(options());
    record(tracer, 10);
    EXPECT_FALSE(tracer.flush(0ms));
    const auto until = std::chrono::steady_clock::now() + 60s; // the others were told to hurry all the same
    while (tracer.exporter().accounts()[2].exported < 20 || tracer.exporter().accounts()[1].exported < 20)
        ASSERT_LT(std::chrono::steady_clock::now(), until);
    EXPECT_EQ(tracer.exporter().accounts()[0].queued, 20U);
    const mt::span_account account = tracer.account();
    EXPECT_EQ(account.started, account.exported + account.failed + account.dropped + account.queued + account.open);
    a_->set_open(true);
    EXPECT_TRUE(tracer.flush(60s));
    EXPECT_EQ(a_->traces.size(), 10U);
}

TEST_F(fan_out, one_that_fails_fails_alone) {
    b_->fails = true;
    tracer_type tracer(options());
    record(tracer, 10);
    ASSERT_TRUE(tracer.flush(60s));
    const auto accounts = tracer.exporter().accounts();
    EXPECT_EQ(accounts[0].exported, 20U);
    EXPECT_EQ(accounts[1].failed, 20U);
    EXPECT_EQ(accounts[2].exported, 20U);
    EXPECT_EQ(tracer.last_error().message(), "no route");
}

TEST_F(fan_out, a_full_queue_is_that_of_one) {
    auto options = this->options();
    std::get<1>(options.exporter.exporters).max_queue_spans = 4;
    tracer_type tracer(std::move(options));
    record(tracer, 10);
    ASSERT_TRUE(tracer.shutdown(60s));
    const auto accounts = tracer.exporter().accounts();
    EXPECT_EQ(accounts[0].exported, 20U);
    EXPECT_EQ(accounts[1].exported, 4U);
    EXPECT_EQ(accounts[1].dropped, 16U);
    EXPECT_EQ(accounts[2].exported, 20U);
}

TEST_F(fan_out, is_an_exporter_as_it_should_be) {
    for (const std::string& fault : mt::exporter_conformance<three>().faults()) ADD_FAILURE() << fault;
}

} // namespace
