// SPDX-License-Identifier: Apache-2.0
// Records one trace with everything that a span can hold, a failing one, and hostile input. fields_readback.py
// compares, field by field, what MLflow's own client reads.
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;

using segment = mt::key<"app.segment", mt::one_of<"free", "pro">>;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<segment>>;
using exporter_type = mt::mlflow_exporter<mt::beast_transport>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::batch<exporter_type>>;

std::string id_of(const mt::trace_id& id) { return std::string(id.mlflow_id().view()); }

class fields : public testing::Test {
protected:
    static std::string uri() { return std::getenv("MLFLOW_TRACKING_URI"); }
    static std::string fresh(const std::string& name) {
        return name + "-" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
    }
    static json& expected() {
        static json all = json::object();
        return all;
    }
    static void TearDownTestSuite() { std::ofstream(std::getenv("MLFLOW_TRACE_EXPECTED")) << expected(); }

    tracer_type tracer_to(const std::string& experiment) {
        expected()["experiments"].push_back(experiment);
        return tracer_type({.exporter = {.exporter = {.tracking_uri = uri(), .experiment_name = experiment}}});
    }
    static void deliver(tracer_type& tracer) {
        ASSERT_TRUE(tracer.flush(std::chrono::seconds(60)));
        const auto account = tracer.account();
        EXPECT_EQ(account.exported, account.started) << tracer.last_error();
    }
};

TEST_F(fields, of_a_full_trace) {
    auto tracer = tracer_to(fresh("fields é \"quoted\" a/b"));
    const json nested{{"list", {1, 2.5, nullptr, true}}, {"text", "日本 \"q\"\n"}};
    json& one = expected()["full"];
    {
        auto trace = tracer.start_trace("chat \"turn\"", mt::user{"user-1"}, mt::session{"session-1"}, segment{"pro"},
                                        mt::client_request_id{"request-1"}, mt::span_type::agent);
        one["trace_id"] = id_of(trace.trace_id());
        one["url"] = trace.url();
        trace.set(mt::tag{"note", "first"}, mt::tag{"looks/like.json", "true"},
                  mt::tag{"long", std::string(4096, 'l')});
        trace.set(mt::tag{"note", "line one\nline \"two\"\t日本"});
        trace.inputs(mt::arg("message", "hello \xE2\x82\xAC"), mt::arg("n", 3), mt::arg("nested", nested));
        {
            auto span = tracer.start_span("search", mt::span_type::retriever);
            one["span_ids"]["search"] = std::string(span.id().hex().view());
            span.attribute("text", "plain").attribute("looks.true", "true").attribute("looks.number", "123");
            span.attribute("looks.object", R"({"q":1})")
                .attribute("looks.text", R"("quoted")")
                .attribute("looks.nan", "NaN");
            span.attribute("spaced", " 1 ").attribute("empty", "").attribute("unicode", "ключ 🔑");
            span.attribute("smallest", std::numeric_limits<std::int64_t>::min());
            span.attribute("largest", std::numeric_limits<std::int64_t>::max());
            span.attribute("huge", std::numeric_limits<std::uint64_t>::max());
            span.attribute("yes", true).attribute("half", 0.5).attribute("whole", 2.0);
            span.attribute("list", std::vector<int>{1, 2, 3});
            span.attribute("map", std::map<std::string, double>{{"a", 1.5}});
            span.attribute("nested", nested);
            span.event("cache miss", mt::arg("key", "k1"), mt::arg("size", 7));
            span.outputs(std::vector<std::string>{"first", "second"});
        }
        {
            auto span = tracer.start_span("complete", mt::span_type::chat_model);
            span.model("model-1")
                .provider("openai")
                .usage({.input = 10, .output = 5})
                .cost({.input = 0.25, .output = 0.5});
            span.level(mt::log_level::warning);
            for (const char* piece : {"Hel", "lo", "\"!\""}) span.chunk(piece);
            span.outputs("Hello\"!\"");
            auto inner = tracer.start_span("inner");
            inner.usage({.input = 1, .output = 2, .total = 4}).attribute("bad \xff key", "bad \xc3( value");
        }
        std::thread([&trace] {
            auto span = trace.start_span("elsewhere", mt::span_type::tool);
            span.inputs(mt::arg("thread", 2));
        }).join();
        trace.outputs("answer");
    }
    deliver(tracer);
    one["experiment_url"] = tracer.exporter().exporter().experiment_url();
}

TEST_F(fields, of_a_trace_that_fails) {
    auto tracer = tracer_to(fresh("failing"));
    auto fails = mt::traced<"outer", "user", "session", "text">(
        tracer, [&](const mt::user&, const mt::session&, std::string text) {
            auto span = tracer.start_span("unwound");
            if (!text.empty()) throw std::out_of_range("no such \"thing\": " + text);
            return 1;
        });
    EXPECT_THROW(fails(mt::user{"user-1"}, mt::session{"session-1"}, std::string("x")), std::out_of_range);
    deliver(tracer);
}

// The official client's mistakes M1, M2, M5, M6, M10 and M12.
TEST_F(fields, of_hostile_input) {
    auto tracer = tracer_to(fresh("hostile"));
    for (const std::string& bad :
         {std::string(), std::string("a\nb"), std::string("a\0b", 3), std::string(300, 'x'), std::string("\xff")}) {
        EXPECT_FALSE(mt::user::parse(bad));
        EXPECT_FALSE(mt::session::parse(bad));
    }
    EXPECT_FALSE(mt::user::parse(static_cast<const char*>(nullptr)));
    {
        auto trace = tracer.start_trace("absent header", mt::anonymous, mt::no_session);
        expected()["anonymous"] = id_of(trace.trace_id());
    }
    {
        auto trace = tracer.start_trace("user set twice", mt::user{"first"}, mt::session{"session-1"});
        EXPECT_TRUE(trace.set(mt::user{"first"}));
        EXPECT_FALSE(trace.set(mt::user{"second"}));
        EXPECT_EQ(tracer.refused_values(), 1U);
        trace.set(mt::tag{"kept", "yes"});
        trace.attribute("user.id", "smuggled"); // refused: identity has its own types
        EXPECT_EQ(tracer.refused_values(), 2U);
        expected()["twice"] = id_of(trace.trace_id());
    }
    deliver(tracer);
}

// The same batch again, as after a reply that was lost: nothing changes, nothing doubles.
TEST_F(fields, of_a_trace_that_is_sent_twice) {
    struct twice {
        struct options {
            exporter_type::options exporter{};
        };
        explicit twice(options chosen) : exporter(chosen.exporter) {}
        mt::export_result export_traces(mt::trace_batch& batch) {
            EXPECT_TRUE(exporter.export_traces(batch).ok());
            return exporter.export_traces(batch);
        }
        exporter_type exporter;
    };
    const std::string experiment = fresh("twice");
    expected()["sent_twice"] = experiment;
    mt::tracer<schema, mt::thread_local_context, twice> tracer(
        {.exporter = {.exporter = {.tracking_uri = uri(), .experiment_name = experiment}}});
    {
        auto trace = tracer.start_trace("turn", mt::user{"user-1"}, mt::session{"session-1"}, segment{"free"});
        auto span = tracer.start_span("inside");
        span.usage({.input = 3, .output = 4});
    }
    EXPECT_EQ(tracer.account().exported, 2U) << tracer.last_error();
}

TEST_F(fields, of_a_server_that_cannot_be_used) {
    const auto refused = [](exporter_type::options options) {
        exporter_type exporter(std::move(options));
        const auto connected = exporter.connect();
        return connected ? std::string("connected") : connected.error().message;
    };
    EXPECT_NE(refused({.tracking_uri = "http://127.0.0.1:1"}).find("127.0.0.1:1"), std::string::npos);
    EXPECT_NE(refused({.tracking_uri = "ftp://x"}).find("tracking_uri"), std::string::npos);
    const auto missing = refused({.tracking_uri = uri(), .experiment_id = "987654321"});
    EXPECT_NE(missing.find("experiment ID 987654321 does not exist"), std::string::npos) << missing;
}

} // namespace
