// SPDX-License-Identifier: Apache-2.0
// Records traces for users and sessions whose IDs are hard to carry: each alone (spans only), with a request ID, and
// with further metadata (both need a second request). identities_readback.py compares what MLflow stored.
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/beast.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;

using note = mt::key<"app.note">;
using schema = mt::schema<mt::required<mt::user>, mt::required<mt::session>, mt::optional<note>>;
using tracer_type = mt::tracer<schema, mt::thread_local_context, mt::batch<mt::mlflow_exporter<mt::beast_transport>>>;

std::string repeated(std::string_view text, int times) {
    std::string all;
    for (int i = 0; i < times; ++i) all += text;
    return all;
}

const std::vector<std::string> hard_ids{"user-123",
                                        "o'brien-9",
                                        R"(say "hi")",
                                        R"(both ' and ")",
                                        R"(back\slash\)",
                                        R"("quoted")",
                                        R"("")",
                                        "1",
                                        "-1.50",
                                        "1e5",
                                        "true",
                                        "false",
                                        "null",
                                        "NaN",
                                        "Infinity",
                                        "-Infinity",
                                        "[1]",
                                        R"({"a":1})",
                                        "None",
                                        "店舗-17",
                                        "👩‍💻 emoji",
                                        " leading and trailing ",
                                        "100%_sure",
                                        "a`b",
                                        "'",
                                        "\"",
                                        "\\",
                                        repeated("é", 250),
                                        repeated("😀", 250),
                                        std::string(250, 'x'),
                                        R"("unterminated)",
                                        "01",
                                        "tr-0",
                                        "-",
                                        "0x1f",
                                        "\xC2\xA0no-break"};

TEST(identities, are_delivered) {
    const std::string experiment =
        "identities-" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
    tracer_type tracer({.exporter = {.exporter = {.tracking_uri = std::getenv("MLFLOW_TRACKING_URI"),
                                                  .experiment_name = experiment}}});
    json expected{{"experiment", experiment}, {"traces", json::array()}};
    const auto record = [&](const std::string& id, bool with_request_id, bool with_metadata) {
        const auto user = mt::user::parse(id);
        const auto session = mt::session::parse(id + (id.size() < 200 ? "/s" : ""));
        ASSERT_TRUE(user) << user.error().message();
        ASSERT_TRUE(session) << session.error().message();
        auto trace = tracer.start_trace("turn", *user, *session);
        json one{{"trace_id", std::string(trace.trace_id().mlflow_id().view())},
                 {"user", id},
                 {"session", std::string(session->view())}};
        if (const auto request_id = mt::client_request_id::parse(id); with_request_id && request_id) {
            trace.set(*request_id);
            one["client_request_id"] = id;
        }
        if (with_metadata) {
            trace.set(*note::parse(id));
            trace.set(mt::tag{"app.tag", id});
            one["note"] = id;
            one["tag"] = id;
        }
        trace.attribute("app.id", id);
        expected["traces"].push_back(one);
    };
    for (const std::string& id : hard_ids)
        for (const bool with_request_id : {false, true})
            for (const bool with_metadata : {false, true}) record(id, with_request_id, with_metadata);
    {
        auto trace = tracer.start_trace("turn", mt::anonymous, mt::no_session);
        expected["traces"].push_back({{"trace_id", std::string(trace.trace_id().mlflow_id().view())}});
    }
    ASSERT_TRUE(tracer.flush(std::chrono::seconds(120)));
    const auto account = tracer.account();
    EXPECT_EQ(account.exported, account.started) << tracer.last_error();
    EXPECT_EQ(account.started, 4 * hard_ids.size() + 1);
    EXPECT_EQ(tracer.refused_values(), 0U);
    std::ofstream(std::getenv("MLFLOW_TRACE_EXPECTED")) << expected;
}

} // namespace
