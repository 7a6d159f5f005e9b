// SPDX-License-Identifier: Apache-2.0
#include <mlflow/trace/core/error.hpp>
#include <mlflow/trace/core/guarded_export.hpp>
#include <mlflow/trace/http/mlflow_reply.hpp>
#include <mlflow/trace/text/displayed.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using mt::detail::displayed;

constexpr std::string_view mark = "\xEF\xBF\xBD";

// All that may stand in a line for a person.
void expect_plain(std::string_view text) {
    EXPECT_TRUE(mt::detail::is_valid_utf8(text)) << text;
    for (std::size_t at = 0; at < text.size();) {
        const auto step = mt::detail::decode_utf8(text.substr(at));
        EXPECT_FALSE(mt::detail::is_hidden(step.code_point)) << std::hex << step.code_point;
        at += step.length;
    }
}

TEST(displayed, shows_each_code_point_or_a_mark_in_its_place) {
    for (std::uint32_t c = 0; c < 0x110000; ++c) {
        if (c >= 0xD800 && c < 0xE000) continue;
        char bytes[4];
        const std::string text(bytes, mt::detail::encode_utf8(bytes, c));
        const std::string expected = mt::detail::is_control(c)  ? " "
                                     : mt::detail::is_hidden(c) ? std::string(mark)
                                                                : text;
        ASSERT_EQ(displayed(text), expected) << std::hex << c;
    }
    for (const std::uint32_t c : {0x1BU,   0x7FU,    0x85U,    0x9BU,    0x9DU,   0xADU,   0x61CU,  0x200BU,
                                  0x200EU, 0x200FU,  0x2028U,  0x2029U,  0x202AU, 0x202EU, 0x2066U, 0x2069U,
                                  0xFEFFU, 0xE0041U, 0x115FU,  0x1160U,  0x17B4U, 0x17B5U, 0x3164U, 0xFFA0U,
                                  0xFFF0U, 0x1BCA0U, 0x1D173U, 0xE0080U, 0xE0FFFU}) // Unicode's
                                                                                    // Default_Ignorable_Code_Point
        EXPECT_TRUE(mt::detail::is_hidden(c)) << std::hex << c;
    for (const std::uint32_t c : {0x200CU, 0x200DU, 0x34FU, 0x180BU, 0xFE0FU, 0xE0100U, 0xE01EFU, 0x301U, 0x5D0U,
                                  0x627U, 0x1F600U}) // scripts and emoji
        EXPECT_FALSE(mt::detail::is_hidden(c)) << std::hex << c;
}

TEST(displayed, is_valid_whatever_comes) {
    const std::string whole =
        "a\x1b[2J\xC2\x9B\xE2\x80\xAE\xF0\x9F\x98\x80\xff\xC3\xE2\x82\xED\xA0\x80\xF4\x90\x80\x80z";
    for (std::size_t from = 0; from < whole.size(); ++from)
        for (std::size_t size = 0; size <= whole.size() - from; ++size) {
            expect_plain(displayed(whole.substr(from, size)));
            expect_plain(displayed(whole, size));
            EXPECT_TRUE(mt::detail::is_valid_utf8(mt::detail::escaped_json(whole.substr(from, size))));
        }
    EXPECT_EQ(displayed("\xC3\xA4\xC3\xA4", 3), "\xC3\xA4") << "no half character";
}

// What a server, a user's exporter or a name from outside says.
TEST(displayed, is_what_stands_in_error_texts) {
    const std::string evil = "\x1b]0;pwned\x07 \xC2\x9B"
                             "2J \xE2\x80\xAE \xff\nsecond line";
    for (const std::string& body :
         {"{\"message\":\"" + evil + "\"}", evil, std::string("{\"detail\":\"\\u009b\\u202e\\u001b\"}")})
        expect_plain(mt::detail::describe_reply("/t", {500, {}, body}, {}));
    expect_plain(mt::error{mt::error_kind::empty, evil}.message());
    struct saying {
        std::string what;
        mt::export_result export_traces(mt::trace_batch&) const {
            mt::export_result outcome;
            outcome.failed_spans = 1;
            outcome.error = mt::error(mt::error_kind::other, {}, what);
            return outcome;
        }
    };
    saying exporter{evil};
    mt::trace_batch batch;
    expect_plain(mt::detail::guarded_export(exporter, batch).error.message());
}

} // namespace
