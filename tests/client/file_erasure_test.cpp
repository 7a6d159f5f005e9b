// SPDX-License-Identifier: Apache-2.0
// One user's traces taken out of files: what is of others stays byte by byte.
#include <mlflow/trace/client/gzip_packing.hpp>
#include <mlflow/trace/client/trace_file.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <sys/stat.h>
#include <utility>
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
std::string packed(const std::string& text) {
    mt::detail::gzip_packer packing;
    std::string out;
    EXPECT_TRUE(packing.pack(text, true, out));
    return out;
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
    // Why it is refused, by both functions and unchanged; empty if it is not.
    std::string refusal_of(const std::string& bytes) {
        write(bytes);
        std::set<std::string, std::less<>> ids;
        const auto collected = erasure.collect(path, ids);
        for (const bool is_dry : {true, false}) {
            const auto removed = erasure.remove(path, {id_of(1), id_of(2)}, is_dry);
            EXPECT_TRUE(removed || content() == bytes);
            const auto text_of = [](const auto& one) { return one ? std::string() : one.error().message(); };
            EXPECT_EQ(text_of(removed), text_of(collected));
        }
        return collected ? std::string() : collected.error().message();
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

TEST_F(file_erasure, counts_other_hard_links_which_keep_the_old_content) {
    write(line_of(span(1, 1, "user-1")) + "\n" + line_of(span(2, 1, "user-2")) + "\n");
    const auto alone = erasure.remove(path, {id_of(1)}, true);
    std::filesystem::create_hard_link(path, folder / "second");
    const auto nothing = erasure.remove(path, {id_of(7)}, false);
    const auto would = erasure.remove(path, {id_of(1)}, true);
    const auto removed = erasure.remove(path, {id_of(1)}, false);
    ASSERT_TRUE(alone && nothing && would && removed);
    EXPECT_EQ(alone->other_links, 0U);
    EXPECT_EQ(nothing->other_links, 0U);
    EXPECT_EQ(would->other_links, 1U);
    EXPECT_EQ(removed->other_links, 1U);
    const auto second = erasure.remove(folder / "second", {id_of(1)}, false);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->other_links, 0U);
    EXPECT_EQ(second->spans, 1U);
}

TEST_F(file_erasure, packs_what_was_packed_and_refuses_what_it_cannot) {
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

TEST_F(file_erasure, reads_a_line_behind_a_byte_order_mark_and_keeps_the_mark) {
    const std::string other = line_of(span(2, 1, "user-2")) + "\r\n";
    const std::string mine = line_of(span(1, 1, "user-1")) + "\r\n";
    for (const std::string mark : {"\xEF\xBB\xBF", "\xEF\xBB\xBF\xEF\xBB\xBF"}) {
        EXPECT_EQ(left_of(mark + mine + other), mark + other);
        EXPECT_EQ(left_of(mark + other + mine), mark + other);
        EXPECT_EQ(left_of(other + mark + mine + other), other + mark + other);
        EXPECT_EQ(left_of(mark + line_of(span(1, 2)) + "\n" + mine + other), mark + other) << "found by another line";
        EXPECT_EQ(left_of(mark + line_of(span(1, 1, "user-1") + "," + span(2, 1)) + "\n" + other),
                  mark + line_of(span(2, 1)) + "\n" + other);
        EXPECT_EQ(left_of(mark + "\n" + mine), mark + "\n");
    }
    EXPECT_EQ(left_of("\x1e" + mine + "\x1e" + other), "\x1e" + other) << "RFC 7464";
    EXPECT_EQ(left_of("\x1e" + line_of(span(1, 1, "user-1") + "," + span(2, 1))), "\x1e" + line_of(span(2, 1)));
}

TEST_F(file_erasure, changes_a_list_on_one_line) {
    const std::string a = line_of(span(2, 1, "user-2"));
    EXPECT_EQ(left_of("[" + line_of(span(1, 1, "user-1")) + ", " + a + "]\n"), "[" + line_of("") + ", " + a + "]\n");
    EXPECT_EQ(left_of("[" + line_of(span(1, 1, "user-1")) + "]\n" + a), a);
    EXPECT_EQ(left_of("[\n" + line_of(span(1, 1, "user-1")) + "\n]\n"), "[\n]\n");
}

TEST_F(file_erasure, removes_spans_from_a_list_whose_name_is_escaped) {
    std::string line = line_of(span(1, 1, "user-1") + "," + span(2, 1));
    line.replace(line.find("\"spans\""), 7, R"("sp\u0061ns")");
    std::string left = line_of(span(2, 1));
    left.replace(left.find("\"spans\""), 7, R"("sp\u0061ns")");
    EXPECT_EQ(left_of(line), left);
}

// What trace_file reads and what cannot be changed line by line.
TEST_F(file_erasure, refuses_documents_that_are_not_lines) {
    const std::string mine = line_of(span(1, 1, "user-1"));
    const std::string other = line_of(span(2, 1, "user-2"));
    const std::string both = line_of(span(1, 1, "user-1") + "," + span(2, 1, "user-2"));
    const auto indented = [](const std::string& document, int by) {
        return nlohmann::json::parse(document).dump(by);
    };
    const auto with_returns = [](std::string text) {
        for (auto at = text.find('\n'); at != text.npos; at = text.find('\n', at + 2)) text.insert(at, 1, '\r');
        return text;
    };
    struct form {
        std::string bytes;
        std::string line;
    };
    std::vector<form> forms;
    for (const int by : {0, 1, 2, 4}) {
        const std::string pretty = indented(both, by);
        forms.push_back({pretty, "line 1 begins"});
        forms.push_back({pretty + "\n" + pretty + "\n", "line 1 begins"});
        forms.push_back({other + "\n" + pretty, "line 2 begins"});
        forms.push_back({indented("[" + mine + "," + other + "]", by), "line 2"});
        forms.push_back({pretty + "\n" + mine + "\n", "line 1 begins"});
        forms.push_back(
            {"\n" + pretty.substr(0, pretty.size() - 2), "line 2 is not a JSON document, but looks like"});
        const auto half = pretty.find("user-1");
        forms.push_back({pretty.substr(0, half), "line 1 is not a JSON document, but looks like"});
        forms.push_back({pretty.substr(0, half) + "\n" + other + "\n", "line 1 is not a JSON document"});
        forms.push_back({other + "\n" + pretty.substr(pretty.find('\n', half) + 1), "line "}); // without its begin
    }
    forms.push_back(
        {"[" + mine + ",\n" + other + "\n]\n", "line 1 has several JSON documents, or is a part of a list"});
    forms.push_back({"[\n" + mine + ",\n" + other + "\n]\n", "line 2 has"});
    forms.push_back({"[\n" + other + "\n," + mine + "\n]\n", "line 3 has"});
    forms.push_back({mine + ",\n" + other + ",\n", "line 1 has"});
    forms.push_back({"[\n" + mine + ",\n" + other.substr(0, 40), "line 2 has"});
    forms.push_back({other + "\n" + mine + other + "\n", "line 2 has"});
    forms.push_back({other + "\n" + mine + " " + other.substr(0, 40) + "\n", "line 2 has"});
    forms.push_back({other + "\r" + mine + "\r", "line 1 has"});
    for (const auto& [bytes, line] : std::vector<form>(forms)) {
        forms.push_back({"\xEF\xBB\xBF" + bytes, line});
        forms.push_back({with_returns(bytes), line});
        forms.push_back({packed(bytes), line});
    }
    for (const auto& [bytes, line] : forms) {
        const std::string why = refusal_of(bytes);
        EXPECT_NE(why.find(path + ": " + line), why.npos) << why << "\n" << bytes;
        EXPECT_NE(why.find("one JSON document per line"), why.npos) << why;
    }
}

TEST_F(file_erasure, says_what_is_wrong_with_a_line_of_a_long_packed_file) {
    std::mt19937 random(1);
    std::string bytes = "{\n \"resourceSpans\": [\n" + line_of(span(2, 1)) + "\n";
    while (bytes.size() < 3'000'000) bytes += std::to_string(random()) + (random() % 100 == 0 ? "\n" : " ");
    const std::string why = refusal_of(packed(bytes));
    EXPECT_NE(why.find("line 1 is not a JSON document, but looks like"), why.npos) << why;
}

TEST_F(file_erasure, refuses_what_is_not_otlp_or_cannot_be_written_again) {
    const std::string mine = line_of(span(1, 1, "user-1")) + "\n";
    std::string wide = "\xFF\xFE";
    for (const char c : mine) wide += std::string{c, '\0'};
    EXPECT_NE(refusal_of(wide).find("is UTF-16; convert it to UTF-8"), std::string::npos);
    EXPECT_NE(refusal_of(packed(wide)).find("is UTF-16"), std::string::npos);
    EXPECT_NE(refusal_of(wide + mine).find("is UTF-16"), std::string::npos);
    EXPECT_NE(refusal_of(packed(packed(mine))).find("is compressed twice"), std::string::npos);
    const std::string message = packed(mine);
    EXPECT_NE(refusal_of(std::string{'\0', '\0', '\0', static_cast<char>(message.size())} + message)
                  .find("compressed one by one"),
              std::string::npos);
    EXPECT_NE(refusal_of("2026-11-23 user-1\n").find("has no line of JSON"), std::string::npos);
    EXPECT_NE(refusal_of("{\"user\":\"user-1\"}\nuser-1\n").find("is JSON, but not OTLP's"), std::string::npos);
    EXPECT_NE(refusal_of(line_of(span(1, 1, "user-1") + "," + std::string(600, '[') + std::string(600, ']')))
                  .find("line 1 has values that are nested too deep"),
              std::string::npos);
    for (const char* const fine : {"", "\n \r\n", "\xEF\xBB\xBF", "{\"resourceLogs\":[]}\n"})
        EXPECT_EQ(refusal_of(fine), "") << fine;
    EXPECT_EQ(refusal_of("{\"user\":\"user-1\"}\n" + mine), "") << "as a line between others, it is kept";
}

TEST_F(file_erasure, names_the_traces_of_others_in_damaged_lines) {
    const std::string other = line_of(span(4, 1, "user-2")) + "\n";
    const std::string cut = R"({"resourceSpans":[{"scopeSpans":[{"spans":[)";
    const std::string with_user = cut + span(1, 1, "user-1") + "," + span(2, 1, "user-2") + R"(,{"traceId":"000)";
    const std::string with_trace = "\xEF\xBB\xBF" + cut + span(3, 1) + " , " + span(1, 2) + ",{\"name\":\"x";
    const std::string of_others = cut + span(5, 1, "user-2");
    write(other + with_user + "\n" + with_trace + "\n" + of_others + "\n" + other + line_of(span(1, 3, "user-1")));
    std::set<std::string, std::less<>> ids;
    ASSERT_TRUE(erasure.collect(path, ids));
    const auto removed = erasure.remove(path, ids, false);
    ASSERT_TRUE(removed) << removed.error().message();
    EXPECT_EQ(removed->damaged_lines, 2U);
    EXPECT_EQ(removed->traces, (std::set<std::string, std::less<>>{id_of(1)}));
    EXPECT_EQ(removed->damaged_others, (std::set<std::string, std::less<>>{id_of(2), id_of(3)}));
    EXPECT_EQ(content(), other + of_others + "\n" + other);
}

// Files of every kind of line. What trace_file reads of the user before is gone or the file is refused unchanged; and
// what it reads of others is still there, or named.
TEST_F(file_erasure, removes_everything_of_the_user_and_nothing_of_others_or_refuses) {
    const unsigned seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 choose(seed);
    const auto any = [&](int count) { return std::uniform_int_distribution<int>(0, count - 1)(choose); };
    const auto read_all = [&] {
        std::map<std::string, std::string> users;
        mt::trace_file file({.path = path, .skip_damaged_lines = true, .compressions = {mt::gzip_compression()}});
        (void)file.for_each_trace({}, [&](const mt::trace_info& trace) { users[trace.trace_id] = trace.user(); });
        return users;
    };
    int refused = 0;
    int changed = 0;
    for (int round = 0; round < 500; ++round) {
        const int strangeness = any(3); // none, damaged lines, any form
        std::string bytes = any(4) == 0 ? "\xEF\xBB\xBF" : "";
        for (int line = any(6); line >= 0; --line) {
            std::string spans;
            for (int count = 1 + any(3); count > 0; --count) {
                const int trace = 1 + any(6); // traces 1 and 2 belong to the user
                const std::string user = any(2) == 0 ? "" : trace < 3 ? "user-1" : "user-2";
                std::string one = span(trace, any(10), user);
                one.insert(1, "\"name\":\"secret-" + std::to_string(trace) + "\",");
                spans += (spans.empty() ? "" : ",") + one;
            }
            std::string text = line_of(spans);
            const int kind = any(strangeness == 2 ? 10 : 5);
            if (strangeness > 0 && kind < 2)
                text.resize(static_cast<std::size_t>(any(static_cast<int>(text.size()))));
            if (strangeness > 0 && kind == 2) text = "2026 INFO of user-" + std::to_string(any(3));
            if (kind == 3) text = R"({"resourceLogs":[]})";
            if (kind == 5) text = nlohmann::json::parse(text).dump(any(3));
            if (kind == 6) text = "[" + text + "," + text + "]";
            if (kind == 7) text = any(2) == 0 ? text + "," : "[";
            if (kind == 8) text += text;
            if (kind == 9) {
                text = nlohmann::json::parse(text).dump(2);
                text.resize(static_cast<std::size_t>(any(static_cast<int>(text.size()))));
            }
            bytes += text + (any(5) == 0 ? "\r\n" : any(20) == 0 ? "\n\n" : "\n");
        }
        if (any(3) == 0) bytes.pop_back();
        const bool is_packed = any(4) == 0;
        write(is_packed ? packed(bytes) : bytes);
        const std::string before = content();
        const auto users = read_all();
        std::set<std::string, std::less<>> ids;
        const auto collected = erasure.collect(path, ids);
        const auto removed = erasure.remove(path, ids, false);
        SCOPED_TRACE(bytes);
        ASSERT_EQ(static_cast<bool>(collected), static_cast<bool>(removed));
        if (!removed) {
            ++refused;
            ASSERT_EQ(content(), before);
            if (strangeness == 0) {
                const std::string why = removed.error().message();
                ASSERT_TRUE(users.empty()) << why;
            }
            continue;
        }
        changed += removed->spans > 0 ? 1 : 0;
        const auto left = read_all();
        std::string text = content();
        if (is_packed && text != before) {
            mt::detail::gzip_unpacker unpacking;
            text.clear();
            ASSERT_TRUE(unpacking.unpack(content(), text));
        } else if (is_packed) {
            text = bytes;
        }
        for (const auto& [id, user] : users) {
            const std::string secret = "secret-" + id.substr(id.size() - 1);
            if (user == "user-1") {
                ASSERT_FALSE(left.contains(id));
                // A truncated trace ID tells nobody whose the line is.
                for (auto at = text.find(secret); at != text.npos; at = text.find(secret, at + 1))
                    ASSERT_EQ(text.substr(at, text.find('\n', at) - at).find(R"("spanId")"), std::string::npos);
            } else if (!user.empty() && !removed->damaged_others.contains(id)) {
                ASSERT_EQ(std::count(text.begin(), text.end(), '\0'), 0);
                ASSERT_TRUE(left.contains(id));
            }
        }
        for (const auto& [id, user] : left) ASSERT_TRUE(users.contains(id) && user != "user-1");
    }
    EXPECT_GT(refused, 30);
    EXPECT_GT(changed, 60);
}

} // namespace
