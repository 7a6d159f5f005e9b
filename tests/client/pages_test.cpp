// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/client.hpp>
#include <mlflow/trace/client/pages.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstddef>
#include <memory>
#include <string>

namespace mt = mlflow::trace;
using nlohmann::json;

namespace {

struct Pages : testing::Test {
    std::shared_ptr<mt::memory_server> server = std::make_shared<mt::memory_server>();
    mt::client<mt::memory_transport> client{{.experiment_id = "1", .transport = {server}}};

    void reply(int first, int last, const std::string& token) {
        json traces = json::array();
        for (int i = first; i <= last; ++i)
            traces.push_back({{"trace_id", "tr-" + std::to_string(i)}, {"request_time", "2026-11-23T04:03:42Z"}});
        server->queue_reply(mt::http_response{200, {}, json{{"traces", traces}, {"next_page_token", token}}.dump()});
    }
    mt::trace_pages<mt::memory_transport> search(std::size_t most = 1'000) {
        return client.search_traces({.max_results = most}).value();
    }
};

TEST_F(Pages, AreRequestedWhenTheyAreRead) {
    reply(1, 2, "second");
    reply(3, 3, "");
    auto pages = search();
    EXPECT_EQ(server->request_count(), 0U);
    EXPECT_EQ(pages.next()->size(), 2U);
    EXPECT_EQ(server->request_count(), 1U);
    EXPECT_EQ(pages.page_token(), "second");
    EXPECT_FALSE(pages.done());
    EXPECT_EQ(pages.next()->at(0).trace_id, "tr-3");
    EXPECT_TRUE(pages.done());
    EXPECT_EQ(pages.page_token(), "");
    EXPECT_TRUE(pages.next()->empty()) << "behind the last one";
    EXPECT_EQ(server->request_count(), 2U);
}

TEST_F(Pages, MayBeEmptyInBetween) {
    reply(1, 0, "second");
    reply(1, 1, "");
    auto pages = search();
    EXPECT_TRUE(pages.next()->empty());
    EXPECT_FALSE(pages.done());
    EXPECT_EQ(pages.next()->size(), 1U);
}

TEST_F(Pages, EndAtTheLimitOfTheQuery) {
    reply(1, 2, "second");
    auto pages = search(2);
    EXPECT_EQ(pages.next()->size(), 2U);
    EXPECT_TRUE(pages.done());
}

TEST_F(Pages, EndAtAnError) {
    reply(1, 2, "second");
    server->queue_reply(mt::http_response{503, {}, "away"});
    auto pages = search();
    EXPECT_TRUE(pages.next());
    EXPECT_EQ(pages.next().error().status(), 503);
    EXPECT_TRUE(pages.done());
}

TEST_F(Pages, ThatComeAgainAreAnError) {
    for (int i = 0; i < 3; ++i) reply(i, i, "same");
    auto pages = search();
    std::string said;
    while (!pages.done())
        if (const auto page = pages.next(); !page) said = page.error().message();
    EXPECT_NE(said.find("would never end"), std::string::npos) << said;
}

} // namespace
