// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/text/json_reader.hpp>

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

// json_differential.py compares is_json_document with Python itself; here are the rules one by one, and the rest.

namespace {

namespace detail = mlflow::trace::detail;
using detail::is_json_document;
using detail::json_find;
using detail::json_find_string;
using namespace std::string_literals;
using namespace std::string_view_literals;

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(json_reader, accepts_what_python_accepts) {
    for (const auto text : {"null"sv,
                            "true"sv,
                            "false"sv,
                            "NaN"sv,
                            "Infinity"sv,
                            "-Infinity"sv,
                            "0"sv,
                            "-0"sv,
                            "-12.50e+07"sv,
                            "1E5"sv,
                            "\"\""sv,
                            R"("\"\\\/\b\f\n\r\t\u00fC")"sv,
                            R"("\ud800")"sv,
                            R"("\udc00\ud800")"sv,
                            "\"\x7F\xC3\xBC\""sv,
                            "[]"sv,
                            "{}"sv,
                            " \t\n\r[ 1 , [ ] , { } ] \t\n\r"sv,
                            R"({ "a" : 1 , "a" : {"b":[{}]} })"sv,
                            "[NaN,-Infinity]"sv})
        EXPECT_TRUE(is_json_document(text)) << text;
}

TEST(json_reader, refuses_what_python_refuses) {
    for (const auto text : {""sv,
                            " "sv,
                            "nul"sv,
                            "nulll"sv,
                            "True"sv,
                            "nan"sv,
                            "-NaN"sv,
                            "+1"sv,
                            "01"sv,
                            "-01"sv,
                            "1."sv,
                            ".5"sv,
                            "1e"sv,
                            "1e+"sv,
                            "-"sv,
                            "--1"sv,
                            "1 2"sv,
                            "\""sv,
                            "\"\\\""sv,
                            "\"\\v\""sv,
                            "\"\\u12\""sv,
                            "\"\\u12g4\""sv,
                            "\"\t\""sv,
                            "\"\0\""sv,
                            "'a'"sv,
                            "["sv,
                            "]"sv,
                            "[1,]"sv,
                            "[,1]"sv,
                            "[1 2]"sv,
                            "[1}"sv,
                            "{"sv,
                            "{\"a\"}"sv,
                            "{\"a\":}"sv,
                            "{\"a\":1,}"sv,
                            "{a:1}"sv,
                            "{1:1}"sv,
                            "{}{}"sv,
                            "\xEF\xBB\xBF{}"sv,
                            "{}\xC2\xA0"sv,
                            "\x0C{}"sv,
                            "1\0"sv,
                            "tr-0123"sv,
                            "user-1042"sv})
        EXPECT_FALSE(is_json_document(text)) << text;
}

TEST(json_reader, is_exact_to_a_depth_of_512_and_on_the_safe_side_beyond) {
    EXPECT_TRUE(is_json_document(nested(512)));
    EXPECT_FALSE(is_json_document(std::string(512, '[')));
    EXPECT_FALSE(is_json_document(nested(512) + "]"));
    EXPECT_TRUE(is_json_document(std::string(513, '[')));
    EXPECT_TRUE(is_json_document(nested(100000)));
}

TEST(json_reader, finds_the_raw_value_at_a_path) {
    constexpr auto document = R"( {"a" : [1, {"b":2}], "b": { "c" : { "d":-1.5 , "e":null} }, "":"empty"} )"sv;
    EXPECT_EQ(json_find(document, {"a"}), R"([1, {"b":2}])");
    EXPECT_EQ(json_find(document, {"b", "c"}), R"({ "d":-1.5 , "e":null})");
    EXPECT_EQ(json_find(document, {"b", "c", "d"}), "-1.5");
    EXPECT_EQ(json_find(document, {"b", "c", "e"}), "null");
    EXPECT_EQ(json_find(document, {""}), R"("empty")");
    EXPECT_EQ(json_find(document, {}), document.substr(1, document.size() - 2));
    EXPECT_EQ(json_find(" 17 ", {}), "17");
}

TEST(json_reader, finds_nothing_where_nothing_is) {
    constexpr auto document = R"({"a":{"b":"c"},"d":[{"e":1}],"f":"{\"g\":1}","empty":{}})"sv;
    EXPECT_EQ(json_find(document, {"b"}), "");
    EXPECT_EQ(json_find(document, {"a", "c"}), "");
    EXPECT_EQ(json_find(document, {"a", "b", "c"}), "");
    EXPECT_EQ(json_find(document, {"d", "e"}), "");
    EXPECT_EQ(json_find(document, {"f", "g"}), "");
    EXPECT_EQ(json_find(document, {"empty", ""}), "");
    EXPECT_EQ(json_find("[]", {"a"}), "");
    EXPECT_EQ(json_find("", {"a"}), "");
    EXPECT_EQ(json_find(R"({"a":1)", {"a"}), "") << "malformed after what was asked for";
    EXPECT_EQ(json_find(R"({"a":1}x)", {"a"}), "");
    EXPECT_EQ(json_find("<html>", {}), "");
}

TEST(json_reader, the_last_of_equal_keys_counts) {
    EXPECT_EQ(json_find(R"({"a":{"b":1},"a":{"b":2}})", {"a", "b"}), "2");
    EXPECT_EQ(json_find(R"({"a":{"b":1},"\u0061":3})", {"a"}), "3");
    EXPECT_EQ(json_find(R"({"a":{"b":1},"a":3})", {"a", "b"}), "");
}

TEST(json_reader, keys_are_compared_unescaped) {
    EXPECT_EQ(json_find(R"({"\u0067r\u00fcn\n":1})", {"gr\xC3\xBCn\n"}), "1");
    EXPECT_EQ(json_find(R"({"gr\u00fcn":1})", {"gr"}), "");
    EXPECT_EQ(json_find(R"({"gr":1})", {"gr\xC3\xBCn"}), "");
    EXPECT_EQ(json_find(R"({"a\u0062":1})", {"ax"}), "");
}

TEST(json_reader, looks_no_deeper_than_64_levels) {
    const auto inside = [](std::size_t depth) { return R"({"deep":)" + nested(depth) + R"(,"a":1})"; };
    EXPECT_EQ(json_find(inside(63), {"a"}), "1");
    EXPECT_EQ(json_find(inside(64), {"a"}), "");
    EXPECT_EQ(json_find(inside(100000), {"a"}), "");
}

TEST(json_reader, strings_are_unescaped_into_valid_utf8) {
    const auto text = [](std::string_view raw) {
        return json_find_string("{\"message\":\"" + std::string(raw) + "\"}", {"message"});
    };
    EXPECT_EQ(text(""), "");
    EXPECT_EQ(text("plain"), "plain");
    EXPECT_EQ(text(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
    EXPECT_EQ(text(R"(a\u0000b)"), "a\0b"s);
    EXPECT_EQ(text(R"(\u00FC\u20ac\ud83d\uDE00.)"), "\xC3\xBC\xE2\x82\xAC\xF0\x9F\x98\x80.");
    EXPECT_EQ(text(R"(\ud800)"), "\xEF\xBF\xBD");
    EXPECT_EQ(text(R"(\ud800\ud83d\ude00)"), "\xEF\xBF\xBD\xF0\x9F\x98\x80");
    EXPECT_EQ(text(R"(\ude00\ud83d\n)"), "\xEF\xBF\xBD\xEF\xBF\xBD\n");
    EXPECT_EQ(text(R"(\ud83d\u0041)"), "\xEF\xBF\xBD"
                                       "A");
    EXPECT_EQ(text("a\xFFz\xE2\x82\\n"), "a\xEF\xBF\xBDz\xEF\xBF\xBD\n");
}

TEST(json_reader, only_strings_are_strings) {
    EXPECT_EQ(json_find_string(R"({"experiment":{"experiment_id":"7"}})", {"experiment", "experiment_id"}), "7");
    EXPECT_EQ(json_find_string(R"({"a":7})", {"a"}), std::nullopt);
    EXPECT_EQ(json_find_string(R"({"a":null})", {"a"}), std::nullopt);
    EXPECT_EQ(json_find_string(R"({"a":["b"]})", {"a"}), std::nullopt);
    EXPECT_EQ(json_find_string(R"({"a":"b")", {"a"}), std::nullopt);
    EXPECT_EQ(json_find_string("", {"a"}), std::nullopt);
}

// In memory of its own, so that a sanitizer sees a read past the end.
TEST(json_reader, never_reads_out_of_bounds) {
    const auto document = R"({"a":{"b\u00e9":"\ud83d\ude00\"x"},"c":[true,-1.5e+3,NaN,{"d":null}]})"s;
    std::mt19937 random(1);
    std::size_t found = 0;
    for (int round = 0; round < 20000; ++round) {
        std::string changed = document;
        for (auto changes = random() % 3; changes != 0; --changes)
            changed[random() % changed.size()] = document[random() % document.size()];
        const std::size_t size = round % 4 == 0 ? changed.size() : random() % (changed.size() + 1);
        const std::vector<char> bytes(changed.data(), changed.data() + size);
        const std::string_view text(bytes.data(), bytes.size());
        const auto string = json_find_string(text, {"a", "b\xC3\xA9"});
        if (string) {
            ++found;
            EXPECT_TRUE(is_json_document(text)) << text;
            EXPECT_TRUE(detail::is_valid_utf8(*string)) << text;
        }
    }
    EXPECT_GT(found, 100U);
}

} // namespace
