// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/attachments.hpp>
#include <mlflow/trace/spans/attachment.hpp>
#include <mlflow/trace/transports/memory.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace mt = mlflow::trace;

namespace {

constexpr mt::trace_id trace{0x0123456789abcdef, 0xfedcba9876543210};

struct Attachments : testing::Test {
    std::shared_ptr<mt::memory_server> server = std::make_shared<mt::memory_server>();
    mt::attachment_client<mt::memory_transport> files{{.transport = {server}}};
    const mt::attachment report{"application/pdf", std::string("%PDF\0\xFF", 6)};

    void reply_with_location(const std::string& location) {
        server->queue_reply(mt::http_response{
            200, {}, R"({"trace":{"trace_info":{"tags":{"mlflow.artifactLocation":")" + location + R"("}}}})"});
    }
};

TEST_F(Attachments, GoIntoTheFolderOfTheirTrace) {
    reply_with_location("mlflow-artifacts:/1/traces/tr-1/artifacts a");
    const auto failed = files.upload(trace, report);
    ASSERT_FALSE(failed) << failed->message();
    const auto requests = server->requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[0].method, mt::http_method::get);
    EXPECT_EQ(requests[0].target, "/api/3.0/mlflow/traces/tr-0123456789abcdeffedcba9876543210");
    EXPECT_EQ(requests[1].method, mt::http_method::put);
    EXPECT_EQ(requests[1].target, "/api/2.0/mlflow-artifacts/artifacts/1/traces/tr-1/artifacts%20a/attachments/" +
                                      std::string(report.id()));
    EXPECT_EQ(requests[1].header("Content-Type"), "application/octet-stream");
    EXPECT_EQ(requests[1].body, report.bytes());
}

TEST_F(Attachments, GoToThisServerWhateverTheLocationNames) {
    reply_with_location("mlflow-artifacts://other.example:5000/1/a");
    EXPECT_FALSE(files.upload(trace, report));
    EXPECT_TRUE(server->requests().at(1).target.starts_with("/api/2.0/mlflow-artifacts/artifacts/1/a/attachments/"));
}

TEST_F(Attachments, AreNotSentWhereTheServerDoesNotServeThem) {
    for (const char* const elsewhere :
         {"s3://bucket/1", "/var/artifacts", "mlflow-artifacts:x", "mlflow-artifacts:/1/../../2", ""}) {
        reply_with_location(elsewhere);
        const auto failed = files.upload(trace, report);
        ASSERT_TRUE(failed) << elsewhere;
        EXPECT_NE(failed->message().find("--default-artifact-root"), std::string::npos) << failed->message();
    }
    EXPECT_EQ(server->request_count(), 5U) << "no upload";
}

TEST_F(Attachments, SayWhatTheServerRefused) {
    server->queue_reply(mt::http_response{404, {}, R"({"message":"no such trace"})"});
    EXPECT_EQ(files.upload(trace, report)->status(), 404);
    reply_with_location("mlflow-artifacts:/1/a");
    server->queue_reply(mt::http_response{507, {}, R"({"message":"disk full"})"});
    const auto full = files.upload(trace, report);
    ASSERT_TRUE(full);
    EXPECT_EQ(full->status(), 507);
    EXPECT_NE(full->message().find("disk full"), std::string::npos);
}

} // namespace
