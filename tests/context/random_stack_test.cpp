// SPDX-License-Identifier: Apache-2.0
// What is current on threads whose spans, scopes and attached contexts are local variables, as they mostly are,
// beside objects that left the stack and end at any time and on any thread: each span is where the call stack says.
// MLFLOW_TRACE_SCHEDULES sets how many random call trees there are, MLFLOW_TRACE_SEED the first.
#include "support/environment.hpp"
#include "support/reports.hpp"
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::memory_exporter>;

// What the call stack says: whose trace is open, and whom a scope names.
struct place {
    std::shared_ptr<std::string> trace; // its user; null: none
    std::string scope;
    bool is_off = false;
};

// Spans that were handed over by whoever started them.
class mailbox {
public:
    void put(tracer_type::span span) {
        const std::lock_guard guard(lock_);
        spans_.push_back(std::move(span));
    }
    void end_one() {
        tracer_type::span taken;
        const std::lock_guard guard(lock_);
        if (spans_.empty()) return;
        taken = std::move(spans_.back());
        spans_.pop_back();
    }

private:
    std::mutex lock_;
    std::vector<tracer_type::span> spans_;
};

std::string hex(const mt::trace_id& id) { return std::string(id.hex().view()); }

class call_tree {
public:
    call_tree(tracer_type& tracer, mailbox& left, std::uint64_t seed)
        : tracer_(tracer), left_(left), seed_(seed), random_(seed) {}

    void run() { call({}, 0); }
    [[nodiscard]] const std::map<std::string, std::shared_ptr<std::string>>& expected() const { return expected_; }

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    std::string name() { return std::to_string(seed_) + "." + std::to_string(++names_); }

    void expect(const std::string& span, const place& here) { expected_[span] = here.trace; }

    void call(const place& here, int depth) { // NOLINT(misc-no-recursion)
        const auto calls = 1 + below(3);
        for (std::uint64_t i = 0; i < calls && depth < 6; ++i) {
            switch (below(9)) {
            case 0: start_trace(here, depth); break;
            case 1:
            case 2: start_span(here, depth); break;
            case 3: {
                const std::string user = "scope-" + name();
                const auto scope = tracer_.scope(mt::user::parse(user).value());
                // It is also that of an open trace which has none.
                if (here.trace && here.trace->empty() && !here.is_off) *here.trace = user;
                call({here.trace, user, here.is_off}, depth + 1);
                break;
            }
            case 4: {
                const auto off = tracer_.untraced();
                call({here.trace, here.scope, true}, depth + 1);
                break;
            }
            case 5: {
                const auto apart = mt::captured_context<>{}.attach();
                call({}, depth + 1);
                break;
            }
            case 6: {
                const auto work = mt::bind([&, deeper = depth + 1] { call(here, deeper); });
                auto run = work;
                if (below(2) == 0) run();
                else std::thread(run).join();
                break;
            }
            case 7: leave_one(here); break;
            default: left_.end_one();
            }
        }
    }
    void start_trace(const place& here, int depth) {
        const std::string span = name();
        const auto trace = tracer_.start_trace(span, mt::user::parse("user-" + span).value(), mt::nested);
        EXPECT_EQ(trace.recording(), !here.is_off);
        place inside = here;
        if (!here.is_off) {
            inside.trace = std::make_shared<std::string>("user-" + span);
            expect(span, inside);
        }
        call(inside, depth + 1);
    }
    void start_span(const place& here, int depth) {
        const std::string span = name();
        const auto started = tracer_.start_span(span);
        EXPECT_EQ(started.recording(), !here.is_off);
        place inside = here;
        if (!here.is_off && !here.trace) inside.trace = std::make_shared<std::string>(here.scope);
        if (!here.is_off) expect(span, inside);
        call(inside, depth + 1);
    }
    // A span that ends when somebody wants it to, on whichever thread.
    void leave_one(const place& here) {
        if (!here.trace || here.is_off) return;
        const std::string span = name();
        auto started = tracer_.start_span(span);
        expect(span, here);
        left_.put(std::move(started));
        const std::string after = name();
        const auto inside = tracer_.start_span(after);
        expect(after, here);
    }

    tracer_type& tracer_;
    mailbox& left_;
    std::uint64_t seed_;
    std::mt19937_64 random_;
    std::map<std::string, std::shared_ptr<std::string>> expected_; // the user of the trace of each span
    int names_ = 0;
};

class random_stack : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(on_threads, random_stack, testing::Values(1, 2, 4), testing::PrintToStringParamName());

TEST_P(random_stack, puts_each_span_where_the_call_stack_says) {
    const std::uint64_t first = support::number_from("MLFLOW_TRACE_SEED", std::random_device{}());
    const std::uint64_t trees = support::number_from("MLFLOW_TRACE_SCHEDULES", 2'000) / 3;
    std::cout << "MLFLOW_TRACE_SEED=" << first << "\n";
    support::reports reports;
    tracer_type tracer({.on_error = &support::reports::add, .error_context = &reports});
    mailbox left;
    std::atomic<std::uint64_t> next{first};
    std::mutex lock;
    std::map<std::string, std::shared_ptr<std::string>> expected;
    std::vector<std::thread> threads;
    for (int i = 0; i < GetParam(); ++i)
        threads.emplace_back([&] {
            for (std::uint64_t seed = next.fetch_add(1); seed < first + trees; seed = next.fetch_add(1)) {
                call_tree one(tracer, left, seed);
                one.run();
                const std::lock_guard guard(lock);
                expected.insert(one.expected().begin(), one.expected().end());
            }
        });
    for (auto& thread : threads) thread.join();
    for (std::uint64_t i = 0; i < 20 * trees; ++i) left.end_one();

    std::map<std::string, std::string> users;
    const auto traces = tracer.exporter().take();
    for (const auto& trace : traces)
        if (trace.has_root) users[hex(trace.id)] = trace.metadata["mlflow.trace.user"];
    std::size_t seen = 0;
    for (const auto& trace : traces)
        for (const auto& span : trace.spans) {
            ++seen;
            ASSERT_EQ(users.at(hex(trace.id)), *expected.at(span.name))
                << "span " << span.name << " of seed " << first;
        }
    EXPECT_EQ(seen, expected.size());
    EXPECT_EQ(reports.count(mt::error_kind::interleaved), 0);
    EXPECT_EQ(tracer.account().open, 0U);
}

} // namespace
