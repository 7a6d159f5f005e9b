// SPDX-License-Identifier: Apache-2.0
// A server that breaks on the second page, on a real socket: always an error that says what broke, never a part of
// the result that looks whole.
#include "support/raw_server.hpp"
#include <mlflow/trace/client.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>

namespace mt = mlflow::trace;
using namespace std::chrono_literals;
using nlohmann::json;
using kind = mt::error_kind;

namespace {

using client = mt::client<mt::beast_transport>;

json page(int first, const char* token) {
    json body{{"traces", json::array()}, {"next_page_token", token}};
    for (int number = first; number < first + 2; ++number)
        body["traces"].push_back({{"trace_id", "tr-" + std::to_string(number)},
                                  {"request_time", "2026-11-23T04:03:4" + std::to_string(9 - number) + "Z"},
                                  {"execution_duration", "1.5s"},
                                  {"trace_metadata", {{"mlflow.trace.user", "user-1042"}}}});
    return body;
}

struct breakage {
    const char* name;
    void (*second_page)(raw::peer&);
    kind reason;
    const char* says;
};
void PrintTo(const breakage& one, std::ostream* out) { *out << one.name; }

const breakage breakages[] = {
    {"truncated",
     [](raw::peer& to) {
         const std::string whole = raw::reply(200, page(3, "").dump());
         to.write(std::string_view(whole).substr(0, whole.size() - 20));
     },
     kind::closed, "closed before the response was complete"},
    {"truncated_chunks",
     [](raw::peer& to) { to.write("HTTP/1.1 200 x\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"traces\":["); },
     kind::closed, "closed before the response was complete"},
    {"reset_in_mid_body",
     [](raw::peer& to) {
         to.write("HTTP/1.1 200 x\r\nContent-Length: 5000\r\n\r\n{\"traces\":[");
         to.reset();
     },
     kind::closed, "closed before the response was complete"},
    {"closed_before_a_byte", [](raw::peer& to) { to.close(); }, kind::closed,
     "closed before the response was complete"},
    {"reset_before_a_byte", [](raw::peer& to) { to.reset(); }, kind::closed,
     "closed before the response was complete"},
    {"silent", [](raw::peer& to) { to.wait_for_close(); }, kind::timeout, "no response within"},
    {"half_a_document", [](raw::peer& to) { to.write(raw::reply(200, R"({"traces":[{"trace_id":"tr-3")")); },
     kind::bad_reply, "something other than a JSON object"},
    {"a_page_of_a_proxy", [](raw::peer& to) { to.write(raw::reply(200, "<html>Please log in</html>")); },
     kind::bad_reply, "something other than a JSON object"},
    {"an_empty_body", [](raw::peer& to) { to.write(raw::reply(200, "")); }, kind::bad_reply,
     "something other than a JSON object"},
    {"a_trace_without_id",
     [](raw::peer& to) {
         auto body = page(3, "");
         body["traces"][1].erase("trace_id");
         to.write(raw::reply(200, body.dump()));
     },
     kind::bad_reply, "without its ID"},
    {"the_token_of_this_page", [](raw::peer& to) { to.write(raw::reply(200, page(3, "second").dump())); },
     kind::bad_reply, "page token"},
    {"an_error",
     [](raw::peer& to) {
         to.write(raw::reply(500, R"({"error_code":"INTERNAL_ERROR","message":"database is locked"})"));
     },
     kind::other, "database is locked"},
};

// One page, and then what breaks, whichever connection asks.
void serve(raw::peer& to, void (*second_page)(raw::peer&)) {
    for (;;) {
        const std::string request = to.read_request();
        if (request.empty()) return;
        if (request.find("page_token") != std::string::npos || request.find("filter") != std::string::npos)
            return second_page(to);
        if (!to.write(raw::reply(200, page(1, "second").dump()))) return;
    }
}

class BrokenServer : public testing::TestWithParam<breakage> {};

TEST_P(BrokenServer, IsAnErrorOfEverySearchAndAnalysis) {
    raw::server server([](raw::peer& to, int) { serve(to, GetParam().second_page); });
    for (const std::size_t connections : {1U, 3U}) {
        client broken({.tracking_uri = server.url(),
                       .experiment_id = "1",
                       .timeout = GetParam().reason == kind::timeout ? 300ms : 20'000ms,
                       .connections = connections});
        const auto expect = [](const mt::error& error) {
            EXPECT_EQ(error.kind(), GetParam().reason) << error.message();
            EXPECT_NE(error.message().find(GetParam().says), std::string::npos) << error.message();
        };
        auto pages = broken.search_traces({});
        ASSERT_TRUE(pages);
        EXPECT_EQ(pages->next().value().size(), 2U);
        EXPECT_FALSE(pages->done());
        const auto second = pages->next();
        ASSERT_FALSE(second);
        expect(second.error());
        EXPECT_TRUE(pages->done());

        const auto all = mt::find_all(broken, {});
        ASSERT_FALSE(all);
        expect(all.error());
        const auto users = mt::summarise_users(broken);
        ASSERT_FALSE(users);
        expect(users.error());
    }
}

INSTANTIATE_TEST_SUITE_P(Client, BrokenServer, testing::ValuesIn(breakages),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(BrokenServer, ASearchGivenUpWhileTheServerIsSilentEndsItsConnection) {
    std::atomic<bool> asked = false;
    std::atomic<bool> ended = false;
    const auto come = [](const std::atomic<bool>& what) {
        for (int i = 0; i < 6'000 && !what; ++i) std::this_thread::sleep_for(10ms);
        return what.load();
    };
    raw::server server([&](raw::peer& to, int) {
        to.read_request();
        to.write(raw::reply(200, page(1, "second").dump()));
        to.read_request();
        asked = true;
        to.wait_for_close();
        ended = true;
    });
    {
        client several({.tracking_uri = server.url(), .experiment_id = "1", .timeout = 500ms, .connections = 2});
        auto pages = several.search_traces({});
        EXPECT_EQ(pages->next().value().size(), 2U);
        EXPECT_TRUE(come(asked));
    }
    EXPECT_TRUE(come(ended));
    EXPECT_EQ(server.connections(), 1);
}

} // namespace
