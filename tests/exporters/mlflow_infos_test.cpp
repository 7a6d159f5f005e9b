// SPDX-License-Identifier: Apache-2.0
// The requests with a trace's metadata that follow its spans: what one of them does to the others.
#include <mlflow/trace.hpp>
#include <mlflow/trace/spans/linked_prompt.hpp>
#include <mlflow/trace/testing/exporter_conformance.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;
using namespace std::chrono_literals;

using exporter_type = mt::mlflow_exporter<mt::memory_transport>;
using delivery = mt::batch<mt::retry<exporter_type>>;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, delivery>;
using request = mt::memory_server::request;

class mlflow_infos : public testing::Test {
protected:
    std::shared_ptr<mt::memory_server> side = std::make_shared<mt::memory_server>();
    // The response to these requests, in place of one that says that all is stored.
    std::function<mt::memory_server::reply()> to_spans, to_info_of_odd, to_links;

    mlflow_infos() {
        side->answer_with([this](const request& sent) -> mt::memory_server::reply {
            if (sent.target == "/version") return mt::http_response{200, {}, "3.17.2"};
            if (sent.target.starts_with("/api/2.0/mlflow/experiments/"))
                return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
            if (sent.target == "/v1/traces") return to_spans ? to_spans() : mt::http_response{200, {}, {}};
            if (sent.target.ends_with("link-prompts"))
                return to_links ? to_links() : mt::http_response{200, {}, "{}"};
            if (to_info_of_odd && sent.body.find("odd") != std::string::npos) return to_info_of_odd();
            return mt::http_response{200, {}, sent.body}; // it responds with what it has stored
        });
    }

    // All traces until a flush are one batch.
    delivery::options options(std::size_t connections = 1) const {
        return {.exporter = {.exporter = {.transport = {side}, .info_connections = connections},
                             .first_wait = 1ms,
                             .longest_wait = 1ms},
                .delay = 1h};
    }

    // Records a trace that needs its own request.
    static void record(tracer_type& tracer, const std::string& id) {
        tracer.start_trace("chat", *mt::client_request_id::parse(id)).end();
    }
    std::size_t count_of(std::string_view target) const {
        const auto all = side->requests();
        return static_cast<std::size_t>(
            std::count_if(all.begin(), all.end(), [&](auto& one) { return one.target == target; }));
    }
};

TEST_F(mlflow_infos, that_make_the_transport_throw_hold_up_no_others) {
    const std::function<mt::memory_server::reply()> throwing[] = {
        []() -> mt::memory_server::reply { throw std::length_error("frame too large for this transport"); },
        []() -> mt::memory_server::reply { throw 7; }};
    for (const std::size_t connections : {1U, 4U})
        for (const auto& thrown : throwing) {
            to_info_of_odd = thrown;
            tracer_type tracer(options(connections));
            record(tracer, "first"); // for control requests
            EXPECT_TRUE(tracer.flush(10s));
            for (const char* const id : {"1", "2", "odd", "3", "4", "5"}) record(tracer, id);
            EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
            EXPECT_EQ(tracer.account().exported, 6U);
            EXPECT_EQ(tracer.account().failed, 1U);
            const auto why = tracer.last_error().message();
            EXPECT_TRUE(why.find("frame too large") != std::string::npos ||
                        why.find("something other than") != std::string::npos)
                << why;
        }
}

// As MLflow does if its database fails in the middle: it responds 200 to the spans, and does not have them.
TEST_F(mlflow_infos, of_a_trace_without_its_spans_are_sent_again_with_them) {
    std::atomic<int> without{2};
    const json known{{"mlflow.artifactLocation", "mlflow-artifacts:/7"}};
    side->answer_with([&](const request& sent) -> mt::memory_server::reply {
        if (sent.target == "/version") return mt::http_response{200, {}, "3.17.2"};
        if (sent.target.starts_with("/api/2.0/mlflow/experiments/"))
            return mt::http_response{200, {}, R"({"experiment":{"experiment_id":"7"}})"};
        if (sent.target == "/v1/traces") return mt::http_response{200, {}, {}};
        json stored = json::parse(sent.body);
        stored["trace"]["trace_info"]["tags"].update(known);
        if (sent.body.find("odd") == std::string::npos || --without < 0)
            stored["trace"]["trace_info"]["tags"]["mlflow.trace.spansLocation"] = "TRACKING_STORE";
        return mt::http_response{200, {}, stored.dump()};
    });
    tracer_type tracer(options());
    record(tracer, "odd"); // the first of all
    EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
    EXPECT_EQ(count_of("/v1/traces"), 3U) << "twice again";
    without = 2;
    for (const char* const id : {"1", "odd", "2"}) record(tracer, id);
    EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
    EXPECT_EQ(tracer.account().exported, 4U);
    EXPECT_EQ(count_of("/v1/traces"), 6U) << "twice again";

    without = 1'000'000; // a server that is older than the others
    record(tracer, "odd");
    EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
    EXPECT_EQ(tracer.account().exported, 5U);
}

TEST_F(mlflow_infos, for_which_memory_runs_out_are_sent_again) {
    int left = 3;
    to_info_of_odd = [&]() -> mt::memory_server::reply {
        if (left-- > 0) throw std::bad_alloc();
        return mt::http_response{200, {}, side->requests().back().body};
    };
    tracer_type tracer(options());
    for (const char* const id : {"1", "odd", "2"}) record(tracer, id);
    EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
    EXPECT_EQ(tracer.account().exported, 3U) << tracer.last_error().message();
}

TEST_F(mlflow_infos, are_sent_although_some_spans_were_rejected) {
    to_spans = [] {
        return mt::http_response{200,
                                 {{"Content-Type", "application/json"}},
                                 R"({"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}})"};
    };
    {
        tracer_type tracer(options());
        for (const char* const id : {"1", "2", "3"}) record(tracer, id);
        EXPECT_TRUE(tracer.flush(10s));
        EXPECT_EQ(count_of("/api/3.0/mlflow/traces"), 3U);
        EXPECT_EQ(tracer.account().exported, 2U);
        EXPECT_EQ(tracer.account().failed, 1U);
        EXPECT_EQ(tracer.last_error().message(), "the receiver rejected spans: too old");
    }
    int busy = 2;
    to_info_of_odd = [&]() -> mt::memory_server::reply {
        to_spans = nullptr;
        if (busy-- > 0) return mt::http_response{503, {}, {}};
        return mt::http_response{200, {}, side->requests().back().body};
    };
    tracer_type tracer(options());
    for (const char* const id : {"1", "2", "odd"}) record(tracer, id);
    const auto before = count_of("/api/3.0/mlflow/traces");
    EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
    EXPECT_EQ(count_of("/api/3.0/mlflow/traces") - before, 5U) << "one of them three times";
    EXPECT_EQ(tracer.account().exported, 2U);
    EXPECT_EQ(tracer.account().failed, 1U);
}

TEST_F(mlflow_infos, are_not_sent_if_all_spans_were_rejected) {
    to_spans = [] {
        return mt::http_response{
            200, {{"Content-Type", "application/json"}}, R"({"partialSuccess":{"rejectedSpans":"1"}})"};
    };
    tracer_type tracer(options());
    record(tracer, "1");
    EXPECT_TRUE(tracer.flush(10s));
    EXPECT_EQ(count_of("/api/3.0/mlflow/traces"), 0U);
    EXPECT_EQ(tracer.account().failed, 1U);
}

// The tag may come from a device or a spool: it must not add anything to the request.
TEST_F(mlflow_infos, link_prompts_only_if_the_tag_lists_prompts) {
    const std::string other = R"("trace_id":"tr-0123456789abcdef0123456789abcdef")";
    const std::string one = R"({"name":"evil","version":"1"})";
    exporter_type exporter({.transport = {side}});
    mt::tracer<mt::open_schema, mt::thread_local_context, mt::detail::collecting_exporter> device;
    for (const std::string& tag :
         {"[" + one + "]," + other, one, "[" + one + "]}", "[" + one + R"(],"prompt_versions":[])", "[" + one + ",]",
          "[" + one + "," + one, std::string(R"([{"name":"evil"}])"), std::string(R"([{"name":"evil","version":1}])"),
          R"([{"name":"evil","version":"1",)" + other + "}]", std::string(R"(["evil"])"), std::string(R"("evil")"),
          std::string("null"), std::string("{"), std::string("[[]]"), std::string(100, '[')}) {
        device.start_trace("chat").end();
        mt::trace_data* const received = device.exporter().collected.pop_front();
        ASSERT_TRUE(received && received->entries.set(mt::entry_kind::tag, "mlflow.linkedPrompts", tag));
        mt::trace_batch batch(received);
        EXPECT_EQ(exporter.export_traces(batch).exported_spans, 1U) << tag;
        EXPECT_EQ(json::parse(side->requests().back().body)["trace"]["trace_info"]["tags"]["mlflow.linkedPrompts"],
                  tag);
        EXPECT_EQ(count_of("/api/2.0/mlflow/traces/link-prompts"), 0U) << tag;
    }

    tracer_type tracer(options());
    auto trace = tracer.start_trace("chat", mt::linked_prompt("greeting", 3), mt::linked_prompt("farewell", 1));
    const std::string id(trace.trace_id().mlflow_id().view());
    trace.end();
    ASSERT_TRUE(tracer.flush(10s));
    EXPECT_EQ(json::parse(side->requests().back().body),
              (json{{"trace_id", id},
                    {"prompt_versions",
                     {{{"name", "greeting"}, {"version", "3"}}, {{"name", "farewell"}, {"version", "1"}}}}}));
}

std::vector<std::string> notices;

// A client that may create traces but not change them.
TEST_F(mlflow_infos, whose_prompts_may_not_be_linked_hold_up_no_others) {
    for (const int status : {401, 403, 302}) {
        to_links = [=] { return mt::http_response{status, {}, "not permitted"}; };
        notices.clear();
        auto chosen = options();
        chosen.exporter.exporter.on_notice = [](const std::string& notice) { notices.push_back(notice); };
        tracer_type tracer(chosen);
        for (int i = 0; i < 3; ++i) tracer.start_trace("chat", mt::linked_prompt("greeting", 3)).end();
        record(tracer, "other");
        EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
        EXPECT_EQ(tracer.account().exported, 4U) << status;
        ASSERT_EQ(notices.size(), 1U) << status;
        EXPECT_TRUE(notices[0].starts_with("prompts are not linked to traces: http://127.0.0.1:5000")) << notices[0];
        EXPECT_NE(notices[0].find(std::to_string(status)), std::string::npos) << notices[0];
    }
}

// A proxy without this route, for example.
TEST_F(mlflow_infos, whose_prompts_can_never_be_linked_hold_up_no_others) {
    for (const int status : {0, 502, 503, 504}) {
        const mt::failure unanswered{mt::error(mt::error_kind::timeout, "mlflow:5000", "no response in time")};
        to_links = [=]() -> mt::memory_server::reply {
            if (status == 0) return unanswered;
            return mt::http_response{status, {}, "<html>Bad Gateway</html>"};
        };
        notices.clear();
        auto chosen = options();
        chosen.exporter.exporter.on_notice = [](const std::string& notice) { notices.push_back(notice); };
        tracer_type tracer(chosen);
        tracer.start_trace("chat", mt::linked_prompt("greeting", 3)).end();
        for (int i = 0; i < 3; ++i) record(tracer, "other");
        EXPECT_TRUE(tracer.flush(10s)) << status << ": " << tracer.last_error().message();
        EXPECT_EQ(tracer.account().exported, 4U) << status;
        EXPECT_EQ(notices.size(), 1U) << status;
    }
}

// One moment in which the server is busy meets the requests of all connections.
TEST_F(mlflow_infos, whose_prompts_cannot_be_linked_on_many_connections_are_sent_again) {
    std::atomic<int> asked{0}, linked{0};
    to_links = [&] {
        const bool is_busy = asked++ < 8;
        std::this_thread::sleep_for(100ms); // until each connection has sent one
        if (!is_busy) ++linked;
        return mt::http_response{is_busy ? 503 : 200, {}, "{}"};
    };
    tracer_type tracer(options(8));
    for (int i = 0; i < 8; ++i) tracer.start_trace("chat", mt::linked_prompt("greeting", 3)).end();
    EXPECT_TRUE(tracer.flush(10s));
    EXPECT_EQ(linked, 8);
}

TEST_F(mlflow_infos, whose_prompts_cannot_be_linked_yet_are_sent_again) {
    for (const int status : {429, 503}) {
        int busy = 3;
        to_links = [=]() mutable { return mt::http_response{busy-- > 0 ? status : 200, {}, "{}"}; };
        tracer_type tracer(options());
        tracer.start_trace("chat", mt::linked_prompt("greeting", 3)).end();
        const auto before = count_of("/api/2.0/mlflow/traces/link-prompts");
        EXPECT_TRUE(tracer.flush(10s)) << tracer.last_error().message();
        EXPECT_EQ(count_of("/api/2.0/mlflow/traces/link-prompts") - before, 4U);
    }
}

} // namespace
