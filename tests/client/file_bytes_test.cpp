// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/client/file_bytes.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace mt = mlflow::trace;

namespace {

// A format of one's own: each byte is one higher than the one that it stands for.
class shifted : public mt::unpacker {
public:
    bool unpack(std::string_view in, std::string& out) override {
        for (const char c : in) {
            if (c == 'X') return false;
            if (c != '!') out += static_cast<char>(c - 1);
            is_complete_ = c == '!';
        }
        return true;
    }
    [[nodiscard]] bool is_complete() const override { return is_complete_; }

private:
    bool is_complete_ = false;
};
mt::file_compression own_format() {
    return {"shifted", "!", []() -> std::unique_ptr<mt::unpacker> { return std::make_unique<shifted>(); }};
}

struct FileBytes : testing::Test {
    std::string path = testing::TempDir() + "file_bytes_test." + std::to_string(::getpid());
    mt::detail::file_lines file;
    void TearDown() override { std::remove(path.c_str()); }

    std::string open(std::string_view content, const std::vector<mt::file_compression>& compressions = {}) {
        std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
        file = {};
        return file.open(path, compressions);
    }
    std::vector<std::string> lines() {
        std::vector<std::string> all;
        for (std::string_view line; file.next(line);) all.emplace_back(line);
        return all;
    }
};

TEST_F(FileBytes, AreLinesWithoutTheirEnds) {
    ASSERT_EQ(open("{}\n\n[]"), "");
    EXPECT_EQ(lines(), (std::vector<std::string>{"{}", "", "[]"}));
    ASSERT_EQ(open("{}\n"), "");
    EXPECT_EQ(lines(), std::vector<std::string>{"{}"});
    ASSERT_EQ(open(""), "");
    EXPECT_TRUE(lines().empty());
    ASSERT_EQ(open("{" + std::string(1'000'000, ' ') + "}\n{}"), "");
    EXPECT_EQ(lines().at(0).size(), 1'000'002U) << "longer than the blocks in which the file is read";
}

TEST_F(FileBytes, InUtf16BecomeUtf8) {
    ASSERT_EQ(open(std::string_view("\xff\xfe{\0\xac\x20\x3d\xd8\x00\xde}\0", 12)), "");
    EXPECT_EQ(lines(), std::vector<std::string>{"{\xE2\x82\xAC\xF0\x9F\x98\x80}"});
    ASSERT_EQ(open(std::string_view("\0{\0}", 4)), "") << "big-endian, without a mark";
    EXPECT_EQ(lines(), std::vector<std::string>{"{}"});
}

TEST_F(FileBytes, AreUnpackedByAFormatOfOnesOwn) {
    ASSERT_EQ(open("!|~\x0b|~!", {own_format()}), "");
    EXPECT_EQ(lines(), (std::vector<std::string>{"{}", "{}"}));
    EXPECT_FALSE(file.is_cut());
    ASSERT_EQ(open("!|~\x0b|", {own_format()}), "");
    EXPECT_EQ(lines(), (std::vector<std::string>{"{}", "{"}));
    EXPECT_TRUE(file.is_cut()) << "it ends inside";
    ASSERT_EQ(open("!|~X|~!", {own_format()}), "");
    EXPECT_EQ(lines(), std::vector<std::string>{"{}"}) << "what is before the damage";
    EXPECT_TRUE(file.is_cut());
}

TEST_F(FileBytes, OfTheCollectorHaveTheSizeOfEachMessage) {
    const std::string message = "!|~!";
    const std::string size("\0\0\0\x04", 4);
    ASSERT_EQ(open(size + message + size + message, {own_format()}), "");
    EXPECT_EQ(lines(), (std::vector<std::string>{"{}", "{}"}));
    EXPECT_FALSE(file.is_cut());
    ASSERT_EQ(open(size + message + size + "!|", {own_format()}), "");
    EXPECT_EQ(lines(), (std::vector<std::string>{"{}", "{"}));
    EXPECT_TRUE(file.is_cut());
}

TEST_F(FileBytes, OfOtherFormatsAreRefusedWithARemedy) {
    EXPECT_EQ(open("BZh9"), "is compressed with bzip2; decompress it with bunzip2");
    EXPECT_EQ(open("SQLite format 3"),
              "is an SQLite database; start an MLflow server with it, and use the server's URL");
    EXPECT_EQ(open(std::string_view("text\x01", 5)), "is not a text file; use an OTLP JSON lines file");
    EXPECT_NE(file.open("/nowhere/traces.jsonl", {}).find("cannot be opened"), std::string::npos);
}

} // namespace
