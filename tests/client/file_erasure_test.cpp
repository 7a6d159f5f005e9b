// SPDX-License-Identifier: Apache-2.0
// One user's traces taken out of files: what is of others stays byte by byte.
#include <mlflow/trace/client/gzip_packing.hpp>
#include <mlflow/trace/client/trace_file.hpp>

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace {

namespace mt = mlflow::trace;

std::string span(int trace, int number, const std::string& user = {}) {
    const std::string digits = std::to_string(trace);
    std::string text = R"({"traceId":")" + std::string(32 - digits.size(), '0') + digits +
                       R"(","spanId":"000000000000000)" + std::to_string(number) + '"';
    if (!user.empty()) text += R"(, "attributes":[{"key":"user.id","value":{"stringValue":")" + user + R"("}}])";
    return text + "}";
}
std::string id_of(int trace) {
    const std::string digits = std::to_string(trace);
    return "tr-" + std::string(32 - digits.size(), '0') + digits;
}
std::string line_of(const std::string& spans, const std::string& more = {}) {
    return R"({"resourceSpans": [{"resource":{},"scopeSpans":[{"spans":[)" + spans + "]}" + more + "]}]}";
}

class file_erasure : public testing::Test {
protected:
    std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / ("file_erasure-" + std::to_string(::getpid()));
    std::string path = folder / "traces.jsonl";
    mt::file_erasure erasure{"user-1", {mt::gzip_packing()}};

    void SetUp() override { std::filesystem::create_directory(folder); }
    void TearDown() override { std::filesystem::remove_all(folder); }

    void write(const std::string& bytes) const { std::ofstream(path, std::ios::binary) << bytes; }
    [[nodiscard]] std::string content() const {
        std::ifstream file(path, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    // What is left of it, once the traces that it names itself have gone.
    std::string left_of(const std::string& bytes, const std::string& user = "user-1") {
        write(bytes);
        const mt::file_erasure of_user(user);
        std::set<std::string, std::less<>> ids;
        EXPECT_TRUE(of_user.collect(path, ids));
        const auto removed = of_user.remove(path, ids, false);
        EXPECT_TRUE(removed) << removed.error().message();
        return content();
    }
};

TEST_F(file_erasure, takes_out_lines_of_the_user_and_no_byte_of_others) {
    const std::string other = line_of(span(2, 1, "user-10")) + "\r\n\n  " + line_of(span(3, 1)) + "\n";
    EXPECT_EQ(left_of(line_of(span(1, 1, "user-1")) + "\n" + other), other);
    EXPECT_EQ(left_of(other + line_of(span(1, 1, "user-1"))), other);
    EXPECT_EQ(left_of(line_of(span(1, 1, "user-1"))), "");
    EXPECT_EQ(left_of(other), other);
}

TEST_F(file_erasure, takes_out_all_lines_of_a_trace_that_another_line_says_is_the_users) {
    const std::string other = line_of(span(2, 1, "user-2")) + "\n";
    EXPECT_EQ(left_of(line_of(span(1, 2)) + "\n" + other + line_of(span(1, 1, "user-2")) + "\n" +
                      line_of(span(1, 3, "user-1")) + "\n"),
              other);
}

TEST_F(file_erasure, takes_spans_out_of_lines_that_others_share) {
    const std::string a = span(2, 1, "user-2");
    const std::string b = span(3, 1);
    const std::string mine = span(1, 1, "user-1");
    for (const auto& [spans, left] : std::vector<std::pair<std::string, std::string>>{
             {mine + " , " + a, a},
             {a + " ,\t" + mine, a},
             {a + "," + mine + ", " + b, a + ", " + b},
             {mine + "," + a + ", " + mine + "," + mine + " ," + b + "," + mine, a + " ," + b},
             {a + ",7," + mine, a}})
        EXPECT_EQ(left_of(line_of(spans) + "\n"), line_of(left) + "\n") << spans;
    const std::string second = R"(,{"scope":{"name":"x"},"spans":[)";
    EXPECT_EQ(left_of(line_of(mine, second + a + "]}")), line_of("", second + a + "]}"));
    EXPECT_EQ(left_of(line_of(a, second + mine + "]}")), line_of(a, second + "]}"));
}

TEST_F(file_erasure, finds_the_user_however_the_id_is_written) {
    EXPECT_EQ(left_of(line_of(span(1, 1, R"(\u0075ser-1)"))), "");
    EXPECT_EQ(left_of(line_of(span(1, 1, R"(\u5229\u7528)")), "利用"), "");
    EXPECT_EQ(left_of(line_of(span(1, 1, "利用")), "利用"), "");
    EXPECT_EQ(left_of(line_of(span(1, 1, R"(say \"hi\"\\)")), R"(say "hi"\)"), "");
    const std::string metadata = R"({"traceId":"00000000000000000000000000000001","spanId":"0000000000000001",
        "attributes":[{"key":"mlflow.traceMetadata.mlflow.trace.user","value":{"stringValue":"user-1"}}]})";
    std::string flat = line_of(metadata);
    std::erase(flat, '\n');
    EXPECT_EQ(left_of(flat), "");
}

// Each character as any writer may write it: as it is, \\u, or the short escape.
TEST_F(file_erasure, finds_the_user_with_every_mixture_of_escapes) {
    const std::vector<std::vector<std::string>> characters = {
        {"a", "a", R"(\u0061)"},       {"/", "/", R"(\/)", R"(\u002f)", R"(\u002F)"},
        {"\"", R"(\")", R"(\u0022)"},  {"\\", R"(\\)", R"(\u005c)"},
        {"\n", R"(\n)", R"(\u000a)"},  {"\t", R"(\t)", R"(\u0009)"},
        {"\b", R"(\b)", R"(\u0008)"},  {"\x1b", R"(\u001b)"},
        {"\x7f", "\x7f", R"(\u007f)"}, {"é", "é", R"(\u00e9)"},
        {"利", "利", R"(\u5229)"},     {"\xF0\x9F\x98\x80", "\xF0\x9F\x98\x80", R"(\ud83d\ude00)"},
    };
    std::mt19937 choose(std::random_device{}());
    const auto any = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(choose);
    };
    const std::string other = line_of(span(2, 1, "of another")) + "\n";
    for (int round = 0; round < 500; ++round) {
        std::string user = "u"; // text that is JSON would be read as JSON
        std::string written = "u";
        for (std::size_t length = 1 + any(6); length > 0; --length) {
            const auto& one = characters[any(characters.size())];
            user += one[0];
            written += one[1 + any(one.size() - 1)];
        }
        EXPECT_EQ(left_of(line_of(span(1, 1, written)) + "\n" + other, user), other) << written;
    }
}

TEST_F(file_erasure, takes_out_damaged_lines_in_which_the_id_stands_and_counts_mentions) {
    const std::string mentions = line_of(span(2, 1, "user-2") + "," + span(3, 1, "of user-1")) + "\n";
    const std::string cut = R"({"resourceSpans":[{"scope)";
    write(mentions + cut + " user-2\n" + cut + " user-1\n" + line_of(span(1, 1, "user-1")) + "\n");
    std::set<std::string, std::less<>> ids;
    ASSERT_TRUE(erasure.collect(path, ids));
    EXPECT_EQ(ids, (std::set<std::string, std::less<>>{id_of(1)}));
    for (const char* const written : {"a/\xC3\xA9\\n", R"(a\/\u00e9\n)", R"(a/\u00e9\n)", "a\\/\xC3\xA9\\n"})
        EXPECT_EQ(left_of(R"({"cut )" + std::string(written) + "\n" + line_of(span(2, 1)) + "\n", "a/\xC3\xA9\n"),
                  line_of(span(2, 1)) + "\n")
            << written;
    write(mentions + cut + " user-2\n" + cut + " user-1\n" + line_of(span(1, 1, "user-1")) + "\n");
    const std::string before = content();
    const auto would = erasure.remove(path, ids, true);
    EXPECT_EQ(content(), before) << "a dry run";
    const auto removed = erasure.remove(path, ids, false);
    ASSERT_TRUE(removed && would);
    EXPECT_EQ(removed->traces, ids);
    EXPECT_EQ(removed->spans, 1U);
    EXPECT_EQ(removed->damaged_lines, 1U);
    EXPECT_EQ(removed->mentions, 1U);
    EXPECT_EQ(removed->bytes, would->bytes);
    EXPECT_EQ(removed->bytes, before.size() - content().size());
    EXPECT_EQ(content(), mentions + cut + " user-2\n");
}

TEST_F(file_erasure, keeps_mode_and_link_and_leaves_nothing_beside) {
    write(line_of(span(1, 1, "user-1")) + "\n" + line_of(span(2, 1, "user-2")) + "\n");
    std::filesystem::permissions(path, std::filesystem::perms(0640));
    std::filesystem::create_symlink("traces.jsonl", folder / "link");
    ASSERT_TRUE(erasure.remove(folder / "link", {id_of(1)}, false));
    EXPECT_TRUE(std::filesystem::is_symlink(folder / "link"));
    EXPECT_EQ(content(), line_of(span(2, 1, "user-2")) + "\n");
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0640));
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), 2);
}

TEST_F(file_erasure, packs_what_was_packed_and_refuses_what_it_cannot) {
    const auto packed = [](const std::string& text) {
        mt::detail::gzip_packer packing;
        std::string out;
        EXPECT_TRUE(packing.pack(text, true, out));
        return out;
    };
    const auto unpacked = [this] {
        mt::detail::gzip_unpacker unpacking;
        std::string out;
        EXPECT_TRUE(unpacking.unpack(content(), out) && unpacking.is_complete());
        return out;
    };
    std::string others;
    for (int i = 2; i < 5000; ++i) others += line_of(span(i, 1, "user-2")) + "\n";
    write(packed(line_of(span(1, 1, "user-1")) + "\n" + others) + packed(line_of(span(1, 2)) + "\n"));
    std::set<std::string, std::less<>> ids;
    ASSERT_TRUE(erasure.collect(path, ids));
    const auto removed = erasure.remove(path, ids, false);
    ASSERT_TRUE(removed) << removed.error().message();
    EXPECT_EQ(removed->spans, 2U);
    EXPECT_EQ(unpacked(), others);

    EXPECT_FALSE(mt::file_erasure("user-1").collect(path, ids)) << "without a way to unpack it";
    const std::string whole = content();
    write(whole.substr(0, whole.size() / 2));
    EXPECT_FALSE(erasure.collect(path, ids));
    EXPECT_FALSE(erasure.remove(path, {id_of(2)}, false));
    EXPECT_EQ(content(), whole.substr(0, whole.size() / 2));
    write("{\n\"resourceSpans\": []\n}\n");
    EXPECT_NE(erasure.collect(path, ids).error().message().find("one JSON document per line"), std::string::npos);
    EXPECT_FALSE(erasure.collect(folder / "nothing", ids));
    EXPECT_FALSE(erasure.collect(folder, ids));
}

} // namespace
