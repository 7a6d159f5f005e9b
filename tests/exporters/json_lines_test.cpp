// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using tracer_type = mt::tracer<mt::open_schema, mt::thread_local_context, mt::json_lines_exporter>;

class json_lines : public testing::Test {
protected:
    std::filesystem::path folder = std::filesystem::temp_directory_path() /
                                   ("mlflow_trace-" + std::string(mt::hosted_platform::new_span_id().hex().view()));
    void SetUp() override { std::filesystem::create_directory(folder); }
    void TearDown() override { std::filesystem::remove_all(folder); }

    static std::vector<nlohmann::json> lines(const std::filesystem::path& path) {
        std::ifstream file(path);
        std::vector<nlohmann::json> all;
        for (std::string line; std::getline(file, line);) all.push_back(nlohmann::json::parse(line));
        return all;
    }
};

TEST_F(json_lines, appends_a_line_for_each_batch) {
    const auto path = folder / "traces.jsonl";
    for (int run = 0; run < 2; ++run) {
        tracer_type tracer({.exporter = {.path = path, .resource = {{"service.name", "test"}}}});
        auto trace = tracer.start_trace("line\none", mt::user{"\"quoted\""}, mt::session{"s"},
                                        mt::client_request_id{"r"}, mt::tag{"t", "v"});
        trace.metadata("app.key", "value");
    }
    const auto all = lines(path);
    ASSERT_EQ(all.size(), 2U);
    const auto& resource = all[0]["resourceSpans"][0];
    EXPECT_EQ(resource["resource"]["attributes"][0]["value"]["stringValue"], "test");
    const auto& span = resource["scopeSpans"][0]["spans"][0];
    EXPECT_EQ(span["name"], "line\none");
    std::map<std::string, std::string> attributes;
    for (const auto& attribute : span["attributes"])
        attributes[attribute["key"]] = attribute["value"].value("stringValue", "");
    EXPECT_EQ(attributes["user.id"], "\"quoted\"") << "bare: this is not MLflow";
    EXPECT_EQ(attributes["session.id"], "s");
    EXPECT_EQ(attributes["mlflow.clientRequestId"], "r");
    EXPECT_EQ(attributes["mlflow.traceTag.t"], "v");
    EXPECT_EQ(attributes["mlflow.traceMetadata.app.key"], "value");
    EXPECT_EQ(std::filesystem::status(path).permissions(),
              std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(json_lines, tells_why_it_cannot_write_and_goes_on_when_it_can) {
    const auto path = folder / "missing" / "traces.jsonl";
    tracer_type tracer({.exporter = {.path = path}});
    {
        auto span = tracer.start_span("lost");
    }
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error(), path.string() + ": No such file or directory");
    std::filesystem::create_directory(folder / "missing");
    {
        auto span = tracer.start_span("written");
    }
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_EQ(lines(path).size(), 1U);
}

TEST_F(json_lines, a_full_disk_is_a_failure_and_not_a_crash) {
    tracer_type tracer({.exporter = {.path = "/dev/full"}});
    {
        auto span = tracer.start_span("lost");
    }
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error(), "/dev/full: No space left on device");
}

} // namespace
