// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
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

    static void append(const std::filesystem::path& path, std::string_view bytes) {
        std::ofstream(path, std::ios::app | std::ios::binary) << bytes;
    }
    // What the account and the last error say of one trace.
    static std::string error_of_one(const std::string& path) {
        tracer_type tracer({.exporter = {.path = path}});
        {
            auto span = tracer.start_span("one");
        }
        EXPECT_EQ(tracer.account().exported + tracer.account().failed, 1U);
        EXPECT_EQ(tracer.account().failed, tracer.last_error().message().empty() ? 0U : 1U);
        return tracer.last_error().message();
    }
    // Names of spans in lines that can be read.
    static std::vector<std::string> names(const std::filesystem::path& path) {
        std::ifstream file(path);
        std::vector<std::string> all;
        for (std::string line; std::getline(file, line);)
            if (const auto read = nlohmann::json::parse(line, nullptr, false); read.is_object() && !read.empty())
                all.push_back(read["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["name"]);
        return all;
    }

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
    EXPECT_EQ(tracer.last_error().message(), path.string() + ": No such file or directory");
    std::filesystem::create_directory(folder / "missing");
    {
        auto span = tracer.start_span("written");
    }
    EXPECT_EQ(tracer.account().exported, 1U);
    EXPECT_EQ(lines(path).size(), 1U);
}

TEST_F(json_lines, loses_nothing_inside_retry_while_the_file_cannot_be_written) {
    const auto path = folder / "missing" / "traces.jsonl";
    using retrying = mt::batch<mt::retry<mt::json_lines_exporter>>;
    mt::tracer<mt::open_schema, mt::thread_local_context, retrying> tracer(
        {.exporter = {.exporter = {.exporter = {.path = path},
                                   .first_wait = std::chrono::milliseconds(1),
                                   .longest_wait = std::chrono::milliseconds(5),
                                   .diagnostics = {.write = nullptr}},
                      .delay = std::chrono::milliseconds(1),
                      .diagnostics = {.write = nullptr}}});
    for (int i = 0; i < 10; ++i) tracer.start_span("waits").end();
    EXPECT_FALSE(tracer.flush(std::chrono::milliseconds(200)));
    std::filesystem::create_directory(folder / "missing");
    EXPECT_TRUE(tracer.flush(std::chrono::seconds(10)));
    EXPECT_EQ(tracer.account().exported, 10U);
    std::size_t written = 0;
    for (const auto& line : lines(path))
        for (const auto& resource : line["resourceSpans"])
            for (const auto& scope : resource["scopeSpans"]) written += scope["spans"].size();
    EXPECT_EQ(written, 10U);
}

TEST_F(json_lines, a_full_disk_is_a_failure_and_not_a_crash) {
    tracer_type tracer({.exporter = {.path = "/dev/full"}});
    {
        auto span = tracer.start_span("lost");
    }
    EXPECT_EQ(tracer.account().failed, 1U);
    EXPECT_EQ(tracer.last_error().message(), "/dev/full: No space left on device");
}

TEST_F(json_lines, what_somebody_left_torn_costs_no_other_line) {
    const auto path = folder / "traces.jsonl";
    const std::string_view ends[] = {"{\"resourceSpans\":[{",     "{}", "{", "\xe2\x82",
                                     std::string_view("\0\0", 2), "\r"};
    std::size_t expected = 0;
    for (const auto end : ends) { // of an earlier run, and of another process between two lines of this one
        append(path, end);
        tracer_type tracer({.exporter = {.path = path}});
        for (int i = 0; i < 2; ++i) {
            {
                auto span = tracer.start_span("whole");
            }
            append(path, end);
        }
        EXPECT_EQ(tracer.account().exported, 2U) << tracer.last_error().message();
        EXPECT_EQ(names(path).size(), expected += 2) << end;
    }
}

TEST_F(json_lines, a_line_that_a_limit_cuts_costs_no_other) {
    const auto path = folder / "traces.jsonl";
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto ignored = ::signal(SIGXFSZ, SIG_IGN);
    {
        tracer_type tracer({.exporter = {.path = path}});
        rlimit little = before;
        little.rlim_cur = 1000;
        ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &little), 0);
        {
            auto trace = tracer.start_trace("cut", mt::anonymous, mt::no_session);
            trace.inputs(std::string(5000, 'x'));
        }
        EXPECT_EQ(tracer.account().failed, 1U);
        EXPECT_EQ(std::filesystem::file_size(path), 1000U);
    }
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    ::signal(SIGXFSZ, ignored);
    EXPECT_EQ(error_of_one(path), "");
    EXPECT_EQ(names(path), std::vector<std::string>{"one"});
}

TEST_F(json_lines, processes_and_threads_share_a_file) {
    const auto path = folder / "traces.jsonl";
    std::atomic<bool> is_over = false;
    std::thread torn([&] { // a program that knows no lock
        while (!is_over) {
            append(path, "{\"torn");
            std::this_thread::sleep_for(std::chrono::milliseconds(3));
        }
    });
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&path] {
            tracer_type tracer({.exporter = {.path = path}});
            for (int i = 0; i < 100; ++i) auto span = tracer.start_span("whole");
            EXPECT_EQ(tracer.account().exported, 100U) << tracer.last_error().message();
        });
    for (auto& thread : threads) thread.join();
    is_over = true;
    torn.join();
    // Between the look at the end of the file and the line, one that knows no lock may come.
    EXPECT_GE(names(path).size(), 390U);
}

TEST_F(json_lines, a_lock_that_is_held_for_ever_holds_nobody) {
    const auto path = folder / "traces.jsonl";
    append(path, "");
    std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const int other = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    ASSERT_EQ(::flock(other, LOCK_EX), 0);
    const auto start = std::chrono::steady_clock::now();
    EXPECT_EQ(error_of_one(path), "");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
    ::close(other);
}

TEST_F(json_lines, a_file_that_is_moved_or_removed_is_made_anew) {
    const auto path = folder / "traces.jsonl";
    tracer_type tracer({.exporter = {.path = path}});
    for (int i = 0; i < 3; ++i) {
        {
            auto span = tracer.start_span("one");
        }
        EXPECT_EQ(lines(path).size(), 1U);
        if (i == 0) std::filesystem::rename(path, folder / "old");
        else std::filesystem::remove(path);
    }
    EXPECT_EQ(lines(folder / "old").size(), 1U);
    EXPECT_EQ(tracer.account().exported, 3U);
}

TEST_F(json_lines, nothing_is_written_to_what_others_made) {
    const auto path = folder / "traces.jsonl";
    const auto victim = folder / "victim";
    const auto refuses = [&](std::string_view why) {
        const auto error = error_of_one(path);
        EXPECT_NE(error.find(why), std::string::npos) << error;
        EXPECT_NE(error.find("traces.jsonl"), std::string::npos) << error;
        if (std::filesystem::is_regular_file(path)) {
            EXPECT_EQ(std::filesystem::file_size(path), 0U) << why;
        }
        std::filesystem::remove(path);
    };
    const auto make = [&](mode_t mode) {
        append(path, "");
        ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    };
    for (const mode_t mode : {0666U, 0660U, 0602U, 0777U}) {
        make(mode);
        refuses("writable by others");
    }
    make(0600);
    std::filesystem::create_hard_link(path, folder / "second name");
    refuses("hard link");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    refuses("No such device"); // in place of a wait for a reader
    std::filesystem::create_directory(path);
    refuses("directory");
    if (::geteuid() == 0) {
        constexpr uid_t other = 12345;
        for (const mode_t mode : {0600U, 0644U, 0666U}) {
            make(mode);
            ASSERT_EQ(::chown(path.c_str(), other, other), 0);
            refuses("another user");
        }
        ASSERT_EQ(::mkfifo(path.c_str(), 0666), 0);
        ASSERT_EQ(::chown(path.c_str(), other, other), 0);
        const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        refuses("another user");
        ::close(reader);
        append(victim, "");
        ASSERT_EQ(::chmod(victim.c_str(), 0600), 0);
        std::filesystem::create_symlink(victim, path);
        ASSERT_EQ(::lchown(path.c_str(), other, other), 0);
        refuses("another user");
        EXPECT_EQ(std::filesystem::file_size(victim), 0U);
        std::filesystem::create_symlink(folder / "not there", path);
        ASSERT_EQ(::lchown(path.c_str(), other, other), 0);
        refuses("another user");
        EXPECT_FALSE(std::filesystem::exists(folder / "not there")) << "made through a link of another user";
    }
    // What is this user's own is fine: a link, a file that a group may read, a FIFO with a reader.
    std::filesystem::create_symlink(victim, path);
    EXPECT_EQ(error_of_one(path), "");
    std::filesystem::remove(path);
    make(0640);
    EXPECT_EQ(error_of_one(path), "");
    std::filesystem::remove(path);
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    EXPECT_EQ(error_of_one(path), "");
    char first = 0;
    EXPECT_EQ(::read(reader, &first, 1), 1);
    EXPECT_EQ(first, '{');
    ::close(reader);
}

} // namespace
