// SPDX-License-Identifier: Apache-2.0
// Several requests at the same time find what one after the other finds.
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <iterator>
#include <memory>
#include <mutex>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace mt = mlflow::trace;
namespace field = mt::field;
using namespace std::chrono_literals;
using nlohmann::json;
using kind = mt::error_kind;

namespace {

// Searches as MLflow does: by time, then by ID, in pages whose tokens are offsets.
class store {
public:
    void add(std::size_t count, std::int64_t from, std::int64_t step) {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < count; ++i) {
            mt::trace_info trace;
            trace.trace_id = "tr-" + std::to_string(++last_id_);
            trace.request_time =
                mt::trace_time(std::chrono::milliseconds(from + static_cast<std::int64_t>(i) * step));
            trace.status = last_id_ % 7 == 0 ? mt::trace_status::error : mt::trace_status::ok;
            traces_.push_back(trace);
        }
    }

    void clear() {
        const std::lock_guard lock(mutex_);
        traces_.clear();
    }

    mt::memory_server::reply answer(const json& asked) {
        const std::lock_guard lock(mutex_);
        const auto where = *mt::parse_filter(asked.value("filter", ""));
        std::vector<mt::trace_info> found;
        std::copy_if(traces_.begin(), traces_.end(), std::back_inserter(found),
                     [&](const mt::trace_info& trace) { return where.matches(trace); });
        const bool ascends = asked.contains("order_by") && asked["order_by"][0] == "timestamp_ms ASC";
        std::sort(found.begin(), found.end(), [&](const mt::trace_info& a, const mt::trace_info& b) {
            if (a.request_time != b.request_time) return (a.request_time < b.request_time) == ascends;
            return a.trace_id < b.trace_id;
        });
        const auto from = std::stoul(asked.value("page_token", "0"));
        const auto until = from + asked.at("max_results").get<std::size_t>();
        json body = json::object();
        for (std::size_t i = from; i < std::min(until, found.size()); ++i)
            body["traces"].push_back({{"trace_id", found[i].trace_id},
                                      {"request_time", mt::to_string(found[i].request_time)},
                                      {"execution_duration", "1s"},
                                      {"state", mt::to_string(found[i].status)}});
        if (until <= found.size()) body["next_page_token"] = std::to_string(until);
        return mt::http_response{200, {}, body.dump()};
    }

private:
    std::mutex mutex_;
    std::vector<mt::trace_info> traces_;
    std::size_t last_id_ = 0;
};

struct Connections : testing::Test {
    using client = mt::client<mt::memory_transport>;

    store traces;
    std::shared_ptr<mt::memory_server> server = std::make_shared<mt::memory_server>();

    void SetUp() override {
        server->answer_with([this](const auto& request) { return traces.answer(json::parse(request.body)); });
    }
    client with(std::size_t connections) const {
        return client({.experiment_id = "1", .connections = connections, .transport = {server}});
    }
    static std::vector<std::string> ids(client from, const mt::trace_query& query) {
        std::vector<std::string> found;
        const auto count =
            from.for_each_trace(query, [&](const mt::trace_info& one) { found.push_back(one.trace_id); });
        EXPECT_TRUE(count) << count.error().message();
        EXPECT_EQ(count.value(), found.size());
        return found;
    }
    static std::ptrdiff_t threads() {
        return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
    }
};

TEST_F(Connections, FindTheSameInTheSameOrder) {
    traces.add(250, 1'000, 7);       // even
    traces.add(120, 50'000, 0);      // all at once
    traces.add(200, 900'000'000, 1); // long after, and dense
    traces.add(40, 1'000'000'000, 90'000'000);
    const mt::trace_query queries[] = {
        {.page_size = 25},
        {.order_by = {field::timestamp.ascending()}, .page_size = 25},
        {.where = mt::where(field::status == field::error), .page_size = 25},
        {.where = field::timestamp >= mt::trace_time(3s) && field::timestamp < mt::trace_time(900'000s + 100ms),
         .page_size = 25},
        {.max_results = 277, .page_size = 25},
        {.max_results = 3, .page_size = 25},
        {.order_by = {field::execution_time.descending()}, .page_size = 25},
        {.where = mt::where(field::timestamp > mt::trace_time(1'000'000h)), .page_size = 25},
    };
    for (const mt::trace_query& query : queries) {
        const auto one_by_one = ids(with(1), query);
        for (const std::size_t connections : {2U, 5U}) EXPECT_EQ(ids(with(connections), query), one_by_one);
    }
    EXPECT_EQ(ids(with(4), {.page_size = 25}).size(), 610U);
}

TEST_F(Connections, AreBusyAtTheSameTime) {
    traces.add(2'000, 0, 10);
    struct {
        std::mutex mutex;
        std::condition_variable changed;
        int waiting = 0;
        bool met = false;
    } gate;
    server->answer_with([&](const auto& request) { // the slices wait until three of them are here
        const auto asked = json::parse(request.body);
        if (asked.contains("filter")) {
            std::unique_lock lock(gate.mutex);
            gate.met = gate.met || ++gate.waiting == 3;
            gate.changed.notify_all();
            gate.changed.wait_for(lock, 60s, [&] { return gate.met; });
        }
        return traces.answer(asked);
    });
    EXPECT_EQ(ids(with(3), {.page_size = 100}).size(), 2'000U);
    EXPECT_TRUE(gate.met);
}

TEST_F(Connections, ReadOnePageAheadAndNoMore) {
    traces.add(500, 0, 1);
    auto several = with(2);
    auto pages = several.search_traces({.page_size = 100});
    ASSERT_TRUE(pages);
    EXPECT_EQ(server->request_count(), 0U);
    for (std::size_t page = 1; page <= 5; ++page) {
        EXPECT_EQ(pages->next().value().size(), 100U);
        EXPECT_EQ(pages->page_token(), std::to_string(page * 100));
        ASSERT_TRUE(server->wait_for_requests(page + 1, 60s));
        EXPECT_EQ(server->request_count(), page + 1);
    }
    EXPECT_TRUE(pages->next().value().empty());
    EXPECT_TRUE(pages->done());
}

TEST_F(Connections, AnErrorComesAfterAllThatWasBeforeIt) {
    traces.add(2'000, 0, 10);
    server->answer_with([&](const auto& request) -> mt::memory_server::reply {
        const auto asked = json::parse(request.body);
        const auto where = *mt::parse_filter(asked.value("filter", ""));
        mt::trace_info culprit;
        culprit.request_time = mt::trace_time(8'000ms);
        if (asked.contains("filter") && where.matches(culprit))
            return mt::failure{mt::error{kind::closed, {}, "connection closed before the response was complete"}};
        return traces.answer(asked);
    });
    auto several = with(4);
    mt::trace_time oldest = mt::trace_time::max();
    const auto count = several.for_each_trace({.page_size = 100}, [&](const mt::trace_info& one) {
        EXPECT_LT(one.request_time, oldest);
        oldest = one.request_time;
    });
    ASSERT_FALSE(count);
    EXPECT_EQ(count.error().kind(), kind::closed);
    EXPECT_GT(oldest, mt::trace_time(8'000ms));
    EXPECT_LT(oldest, mt::trace_time(12'000ms));
}

TEST_F(Connections, LeaveNothingBehind) {
    traces.add(2'000, 0, 10);
    std::thread([] {}).join(); // with the first one ThreadSanitizer starts one of its own
    const auto before = threads();
    for (int i = 0; i < 5; ++i) {
        auto several = with(4);
        auto pages = several.search_traces({.page_size = 100});
        EXPECT_EQ(pages->next().value().size(), 100U); // and the next one is under way
        int visited = 0;
        const auto count =
            several.for_each_trace({.page_size = 100}, [&](const mt::trace_info&) { return ++visited < 250; });
        EXPECT_EQ(count.value(), 250U);
    }
    // The system counts a thread for a moment after it was joined.
    const auto until = std::chrono::steady_clock::now() + 60s;
    while (threads() > before && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
    EXPECT_LE(threads(), before);
}

TEST_F(Connections, WhatIsThrownIsAnError) {
    traces.add(500, 0, 1);
    auto several = with(2);
    auto pages = several.search_traces({.page_size = 100});
    EXPECT_TRUE(pages->next());
    ASSERT_TRUE(server->wait_for_requests(2, 60s));
    server->answer_with([](const auto&) -> mt::http_response { throw std::runtime_error("the network is down"); });
    EXPECT_TRUE(pages->next()); // was there before
    const auto failed = pages->next();
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().message(), "the network is down");
    EXPECT_TRUE(pages->done());
}

TEST_F(Connections, FindNothingTwiceWhileTracesCome) {
    for (const std::size_t connections : {1U, 3U}) {
        traces.clear();
        traces.add(1'000, 0, 10);
        auto some = with(connections);
        std::vector<std::string> found;
        const auto count = some.for_each_trace({.page_size = 100}, [&](const mt::trace_info& one) {
            found.push_back(one.trace_id);
            if (found.size() % 90 == 0) traces.add(20, 1'000'000 + static_cast<std::int64_t>(found.size()), 1);
        });
        EXPECT_EQ(count.value(), 1'000U);
        std::sort(found.begin(), found.end());
        EXPECT_EQ(std::adjacent_find(found.begin(), found.end()), found.end());
    }
}

TEST_F(Connections, GetBatchesInTheirOrder) {
    std::atomic<int> most = 0;
    std::atomic<int> now = 0;
    server->answer_with([&](const auto& request) {
        for (int busy = ++now, old = most; busy > old && !most.compare_exchange_weak(old, busy);) {
        }
        json body{{"traces", json::array()}};
        const std::string& target = request.target;
        for (auto at = target.find("trace_ids="); at != std::string::npos; at = target.find("trace_ids=", at + 1))
            body["traces"].push_back({{"trace_info",
                                       {{"trace_id", target.substr(at + 10, target.find('&', at) - at - 10)},
                                        {"request_time", "2026-11-23T04:03:42Z"}}}});
        --now;
        return mt::http_response{200, {}, body.dump()};
    });
    std::vector<std::string> wanted;
    for (int i = 0; i < 1'001; ++i) wanted.push_back("tr-" + std::to_string(i));
    for (const std::size_t connections : {1U, 4U}) {
        const auto found = with(connections).get_all(wanted);
        ASSERT_TRUE(found) << found.error().message();
        ASSERT_EQ(found->size(), wanted.size());
        for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ((*found)[i].info.trace_id, wanted[i]);
        EXPECT_LE(most, static_cast<int>(connections));
    }
    EXPECT_EQ(server->request_count(), 42U);
}

} // namespace
