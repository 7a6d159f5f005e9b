// SPDX-License-Identifier: Apache-2.0
// The reader of model servers' answers, without any socket: whole, byte by byte, and cut at every place.
#include "examples/chat_server/gzip_body.hpp"
#include "examples/chat_server/model_stream.hpp"
#include "model_dialects.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using chat_server::model_answer;
using dialects::dialect;

struct outcome {
    model_answer answer; // what has come, where there is an error
    std::string pieces;
    std::string error;
};

outcome read(const std::vector<std::string_view>& parts) {
    outcome result;
    chat_server::model_stream reader([&](std::string_view piece) { result.pieces += piece; });
    chat_server::gzip_body plain;
    try {
        for (const auto part : parts)
            plain.write(part, [&](std::string_view bytes) {
                if (!reader.is_done()) reader.write(bytes);
            });
        result.answer = reader.end();
    } catch (const chat_server::model_error& error) {
        result.error = error.what();
        result.answer = reader.so_far();
    }
    return result;
}

void expect(const dialect& one, const outcome& got) {
    if (one.error.empty()) {
        EXPECT_EQ(got.error, "");
        EXPECT_EQ(got.answer.text, one.wanted.text);
        EXPECT_EQ(got.answer.reasoning, one.wanted.reasoning);
        EXPECT_EQ(got.answer.finish_reason, one.wanted.finish_reason);
        EXPECT_EQ(got.answer.input_tokens, one.wanted.input_tokens);
        EXPECT_EQ(got.answer.output_tokens, one.wanted.output_tokens);
        EXPECT_TRUE(got.answer == one.wanted);
        EXPECT_EQ(got.pieces, one.wanted.text);
    } else {
        EXPECT_NE(got.error.find(one.error), std::string::npos) << got.error;
        EXPECT_EQ(got.error.rfind("the model's server ", 0), 0U) << got.error;
        EXPECT_EQ(got.answer.text, one.so_far);
        EXPECT_EQ(got.pieces, one.so_far);
    }
}

std::vector<dialect> bodies() {
    auto all = dialects::good_ones();
    for (auto& one : dialects::bad_ones())
        if (one.status == "200" && one.headers.empty() && one.name != "cut_in_gzip") all.push_back(one);
    return all;
}

class model_stream_test : public testing::TestWithParam<dialect> {};
INSTANTIATE_TEST_SUITE_P(of, model_stream_test, testing::ValuesIn(bodies()),
                         [](const auto& each) { return each.param.name; });

TEST_P(model_stream_test, is_the_same_however_it_is_cut) {
    const dialect& one = GetParam();
    const std::string_view body = one.body;
    {
        SCOPED_TRACE("whole");
        expect(one, read({body}));
    }
    {
        SCOPED_TRACE("byte by byte");
        std::vector<std::string_view> bytes;
        for (std::size_t at = 0; at < body.size(); ++at) bytes.push_back(body.substr(at, 1));
        expect(one, read(bytes));
    }
    const std::size_t step = body.size() / 600 + 1;
    for (std::size_t at = 0; at <= body.size() && !HasFailure(); at += step) {
        SCOPED_TRACE("cut at " + std::to_string(at));
        expect(one, read({body.substr(0, at), body.substr(at)}));
    }
}

TEST(model_stream, passes_each_piece_on_as_it_comes) {
    std::vector<std::string> pieces;
    chat_server::model_stream reader([&](std::string_view piece) { pieces.emplace_back(piece); });
    reader.write("data: " + dialects::said("Ber") + "\n");
    EXPECT_EQ(pieces, std::vector<std::string>{"Ber"});
    reader.write("\ndata: " + dialects::said("lin.") + "\n\n");
    EXPECT_EQ(pieces, (std::vector<std::string>{"Ber", "lin."}));
    EXPECT_FALSE(reader.may_be_whole());
    reader.write("data: " + dialects::stop + "\n\n");
    EXPECT_TRUE(reader.may_be_whole());
    EXPECT_FALSE(reader.is_done());
    reader.write("data: [DONE]\n");
    EXPECT_TRUE(reader.is_done());
}

TEST(model_stream, what_never_ends_is_given_up) {
    const auto fed = [](const std::string& start, const std::string& rest) {
        chat_server::model_stream reader;
        reader.write(start);
        for (std::size_t sent = 0; sent < (std::size_t{64} << 20U); sent += rest.size()) reader.write(rest);
    };
    const std::string part(1 << 20, 'x');
    EXPECT_THROW(fed("data: {\"x\":\"", part), chat_server::model_error);
    EXPECT_THROW(fed("{\"x\":\"", part), chat_server::model_error);
    EXPECT_THROW(fed(": ", part), chat_server::model_error);
    EXPECT_THROW(fed("data: x\n", dialects::events({dialects::said(part)})), chat_server::model_error);
    EXPECT_THROW(fed("", dialects::events({dialects::said(part)})), chat_server::model_error);
}

} // namespace
