// SPDX-License-Identifier: Apache-2.0
// Each transport error, each status and each content type: what follows for the spans that were sent.
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/http/outcome.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using kind = mt::error_kind;
using mt::outcome;

TEST(outcome, of_a_request_without_a_reply_is_to_wait) {
    for (const kind reason : {kind::bad_request, kind::tls, kind::connect, kind::closed, kind::timeout,
                              kind::bad_reply, kind::out_of_memory})
        for (int status = 0; status < 600; ++status)
            EXPECT_EQ(mt::outcome_of(reason, status), outcome::wait) << static_cast<int>(reason) << ' ' << status;
    EXPECT_EQ(mt::outcome_of(kind::other, 0), outcome::divide) << "a reason that nobody knows";
}

TEST(outcome, of_each_status_without_a_body) {
    const std::set<int> at_fault{400, 413, 422};
    for (int status = 100; status < 600; ++status) {
        const auto expected = status >= 200 && status < 300 ? outcome::delivered
                              : at_fault.contains(status)   ? outcome::put_aside
                              : status == 500               ? outcome::divide
                                                            : outcome::wait;
        EXPECT_EQ(mt::outcome_of(mt::http_response{status, {}, {}}), expected) << status;
    }
}

TEST(outcome, of_a_page_is_never_that_the_content_is_surely_at_fault) {
    for (const char* const type : {"text/html", "TEXT/HTML; charset=utf-8", "application/xhtml+xml", ""}) {
        for (int status = 100; status < 600; ++status) {
            const auto expected =
                status == 400 || status == 413 || status == 422 || status == 500 ? outcome::divide : outcome::wait;
            mt::http_response page{status, {}, "<html>Please log in</html>"};
            if (*type) page.headers = {{"Content-Type", type}};
            EXPECT_EQ(mt::outcome_of(page), expected) << status << ' ' << type;
        }
    }
    for (const char* const type : {"", "text/plain", "application/xml", "application/octet-stream"})
        for (const char* const body :
             {"\r\n <!DOCTYPE html>", "\xEF\xBB\xBF<html>", "\n\t<?xml version=\"1.0\"?>", "<Error/>"})
            for (const int status : {400, 413, 422})
                EXPECT_EQ(mt::outcome_of(mt::http_response{status, {{"Content-Type", type}}, body}), outcome::divide)
                    << status << ' ' << type << body;
    // What a receiver itself says.
    for (const char* const type : {"text/plain", "application/json", "application/x-protobuf", ""})
        for (const char* const body : {"", " ", "span <x> is too long", "{\"message\":\"<x>\"}"})
            EXPECT_EQ(mt::outcome_of(mt::http_response{400, {{"Content-Type", type}}, body}), outcome::put_aside)
                << type << body;
    EXPECT_EQ(mt::outcome_of(mt::http_response{400, {{"Content-Type", "application/x-protobuf"}}, "<x"}),
              outcome::put_aside);
}

TEST(outcome, of_an_exporter_is_what_its_flags_say) {
    EXPECT_EQ(mt::outcome_of(mt::export_result{.exported_spans = 1}), outcome::delivered);
    EXPECT_EQ(mt::outcome_of(mt::export_result{.failed_spans = 1, .retryable = true}), outcome::wait);
    EXPECT_EQ(mt::outcome_of(mt::export_result{.failed_spans = 1, .retryable = true, .content_rejected = true}),
              outcome::divide);
    EXPECT_EQ(mt::outcome_of(mt::export_result{.failed_spans = 1, .content_rejected = true}), outcome::put_aside);
    EXPECT_EQ(mt::outcome_of(mt::export_result{.failed_spans = 1}), outcome::divide) << "it does not say";
    EXPECT_EQ(mt::outcome_of(mt::export_result{.exported_spans = 1, .failed_spans = 1, .is_final = true}),
              outcome::delivered);
}

TEST(outcome, survives_the_way_through_an_exporter) {
    for (int status = 0; status < 600; ++status) {
        if (status / 100 == 2) continue;
        const mt::error error = mt::error(kind::other, {}, "m").with_reply(status);
        mt::export_result result;
        mt::detail::add_failure(result, 3, error);
        EXPECT_EQ(mt::outcome_of(result), mt::outcome_of(error)) << status;
        EXPECT_EQ(result.failed_spans, 3U);
    }
}

// ---- What proves that spans were delivered.

mt::http_response ok(std::string type, std::string body) {
    mt::http_response reply{200, {}, std::move(body)};
    if (!type.empty()) reply.headers = {{"content-TYPE", std::move(type)}};
    return reply;
}

const std::string rejects_two("\x0a\x09\x08\x02\x12\x05wrong", 11);
const std::string warns("\x0a\x07\x12\x05wrong", 9);

TEST(export_reply, is_delivered_by_an_empty_body_of_any_type) {
    for (const char* const type : {"", "application/json", "application/x-protobuf", "text/html", "nonsense"})
        EXPECT_EQ(mt::outcome_of(ok(type, "")), outcome::delivered) << type;
}

TEST(export_reply, in_protobuf_says_what_was_rejected) {
    for (const char* const type : {"application/x-protobuf", "Application/X-Protobuf", "application/x-protobuf;v=1",
                                   " application/protobuf ", ""}) {
        const auto told = mt::detail::read_export_reply(ok(type, rejects_two));
        ASSERT_TRUE(told) << type;
        EXPECT_EQ(told->rejected_spans, 2U);
        EXPECT_EQ(told->message, "wrong");
        const auto warning = mt::detail::read_export_reply(ok(type, warns));
        ASSERT_TRUE(warning) << type;
        EXPECT_EQ(warning->rejected_spans, 0U);
        EXPECT_EQ(warning->message, "wrong");
        EXPECT_TRUE(mt::detail::read_export_reply(ok(type, std::string("\x0a\x00", 2))))
            << "an empty partial_success";
    }
}

TEST(export_reply, in_json_says_what_was_rejected) {
    const std::pair<const char*, std::uint64_t> bodies[] = {
        {"{}", 0},
        {" \n{ }\n", 0},
        {R"({"partialSuccess":{}})", 0},
        {R"({"partialSuccess":null})", 0},
        {R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"wrong"}})", 2},
        {R"({"partialSuccess":{"rejectedSpans":2}})", 2},
        {R"({"partial_success":{"rejected_spans":2,"error_message":"wrong"}})", 2},
        {R"({"partial_success":{"rejected_spans":"2"}})", 2},
        {R"({"partialSuccess" : { "errorMessage" : "wrong" , "rejectedSpans" : "2" }})", 2},
        {R"({"partialSuccess":{"rejectedSpans":null,"errorMessage":null}})", 0},
        {R"({"\u0070artialSuccess":{"rejectedSpans":"7"}})", 7},
        {R"({"partialSuccess":{"later":[1,{"a":2}],"rejectedSpans":"2"}})", 2}};
    for (const char* const type : {"application/json", "Application/JSON; charset=UTF-8", "application/json ;a=b"})
        for (const auto& [body, rejected] : bodies) {
            const auto told = mt::detail::read_export_reply(ok(type, body));
            ASSERT_TRUE(told) << type << ' ' << body;
            EXPECT_EQ(told->rejected_spans, rejected) << body;
            EXPECT_EQ(told->message, std::string(body).find("wrong") == std::string::npos ? "" : "wrong") << body;
        }
    EXPECT_TRUE(mt::detail::read_export_reply(ok("", R"({"partialSuccess":{"rejectedSpans":"2"}})")));
}

TEST(export_reply, is_not_anything_else) {
    const std::pair<const char*, std::string> replies[] = {
        {"text/html", "<html>Please log in</html>"},
        {"", "<html>Please log in</html>"},
        {"application/x-protobuf", "<html>Please log in</html>"},
        {"application/json", "<html>Please log in</html>"},
        {"text/plain", "OK"},
        {"text/plain", "{}"},
        {"", "OK"},
        {"", "\n"},
        {"application/json", R"({"error":"not logged in"})"},
        {"application/json", R"({"status":"ok"})"},
        {"", R"({"status":"ok"})"},
        {"application/json", "[]"},
        {"application/json", "null"},
        {"application/json", "true"},
        {"application/json", "\"\""},
        {"application/json", "{"},
        {"application/json", "{} {}"},
        {"application/json", R"({"partialSuccess":[]})"},
        {"application/json", R"({"partialSuccess":"no"})"},
        {"application/json", R"({"partialSuccess":{"rejectedSpans":-1}})"},
        {"application/json", R"({"partialSuccess":{"rejectedSpans":"many"}})"},
        {"application/json", R"({"partialSuccess":{"rejectedSpans":1.5}})"},
        {"application/json", R"({"partialSuccess":{"errorMessage":1}})"},
        {"application/json", rejects_two},
        {"application/x-protobuf", "{}"},
        {"application/x-protobuf", rejects_two.substr(0, 5)},
        {"application/x-protobuf", "\x0a\xff"},
        {"application/x-protobuf", "\x08\x01"},                         // a number in place of the message
        {"application/x-protobuf", "\x12\x01x"},                        // a field that the response does not have
        {"application/x-protobuf", std::string("\x0a\x02\x0a\x00", 4)}, // a text in place of the count
        {"application/x-protobuf", std::string("\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 13)}, // -1
        {"multipart/form-data", "x"},
        {"application/problem+json", "{}"}};
    for (const auto& [type, body] : replies)
        EXPECT_EQ(mt::outcome_of(ok(type, body)), outcome::wait) << type << ": " << body;
}

TEST(export_reply, cut_anywhere_is_no_other_one) {
    const std::string json = R"({"partialSuccess":{"rejectedSpans":"2","errorMessage":"wrong"}})";
    for (std::size_t size = 1; size < json.size(); ++size)
        EXPECT_FALSE(mt::detail::read_export_reply(ok("application/json", json.substr(0, size)))) << size;
    for (std::size_t size = 1; size < rejects_two.size(); ++size)
        EXPECT_FALSE(mt::detail::read_export_reply(ok("application/x-protobuf", rejects_two.substr(0, size))))
            << size;
}

TEST(export_reply, never_rejects_more_spans_than_there_were) {
    const mt::detail::known_secrets none;
    const auto some = mt::detail::partial_success(5, {2, "wrong"}, none);
    EXPECT_EQ(some.exported_spans, 3U);
    EXPECT_EQ(some.failed_spans, 2U);
    EXPECT_EQ(some.error.message(), "the receiver rejected spans: wrong");
    const auto all = mt::detail::partial_success(5, {99, "wrong"}, none);
    EXPECT_EQ(all.exported_spans, 0U);
    EXPECT_EQ(all.failed_spans, 5U);
    EXPECT_FALSE(mt::detail::partial_success(5, {0, "a warning"}, none).error);
}

} // namespace
