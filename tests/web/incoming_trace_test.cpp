// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>
#include <mlflow/trace/transports/hmac_seal.hpp>
#include <mlflow/trace/web/incoming_trace.hpp>
#include <mlflow/trace/web/propagation.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

namespace mt = mlflow::trace;

namespace {

using segment = mt::key<"app.segment">;
using schema = mt::schema<mt::propagated<mt::optional<mt::user>>, mt::propagated<mt::optional<segment>>>;
using propagator = mt::propagator<schema, mt::hmac_seal>;
using header_map = std::multimap<std::string, std::string>;

propagator with_key(std::string_view key) { return propagator({.hosts = {"*"}, .seal = {.key = mt::secret(key)}}); }

struct IncomingTrace : testing::Test {
    mt::tracer<schema, mt::thread_local_context, mt::memory_exporter> tracer;
    header_map headers;
    mt::trace_id sent;

    void SetUp() override {
        auto trace = tracer.start_trace("chat", mt::user{"user-1042"});
        sent = trace.trace_id();
        with_key("a key").inject(trace, "agents.internal", [&](std::string_view name, std::string_view value) {
            headers.emplace(name, value);
        });
    }
};

TEST_F(IncomingTrace, WithoutACallerHasNothing) {
    const mt::incoming_trace none;
    EXPECT_FALSE(none.caller());
    EXPECT_FALSE(none.is_trusted());
    EXPECT_FALSE(none.get<mt::user>().has_value());
    EXPECT_FALSE(none.metadata("mlflow.trace.user").data());
    EXPECT_FALSE(none.rejected());
    EXPECT_FALSE(with_key("a key").extract(header_map()).caller());
}

TEST_F(IncomingTrace, OfATrustedSenderHasItsSpanAndItsValues) {
    const auto request = with_key("a key").extract(headers);
    ASSERT_TRUE(request.caller());
    EXPECT_EQ(request.caller()->trace_id, sent);
    EXPECT_TRUE(request.is_trusted());
    EXPECT_EQ(request.get<mt::user>().get()->view(), "user-1042");
    EXPECT_EQ(request.metadata(mt::user::name), "user-1042");
    EXPECT_FALSE(request.get<segment>().has_value()) << "not sent";
    EXPECT_FALSE(request.rejected());
}

TEST_F(IncomingTrace, OfAStrangerHasItsSpanAlone) {
    const auto request = with_key("another key").extract(headers);
    ASSERT_TRUE(request.caller());
    EXPECT_EQ(request.caller()->trace_id, sent);
    EXPECT_FALSE(request.is_trusted());
    EXPECT_FALSE(request.get<mt::user>().has_value());
    EXPECT_FALSE(request.metadata(mt::user::name).data());
}

TEST_F(IncomingTrace, ThatIsMalformedSaysWhatWasRejected) {
    headers.find("traceparent")->second = "00-0-0-01";
    const auto request = with_key("a key").extract(headers);
    EXPECT_FALSE(request.caller());
    ASSERT_TRUE(request.rejected());
    EXPECT_EQ(request.rejected()->about(), "traceparent");
}

} // namespace
