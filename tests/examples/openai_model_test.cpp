// SPDX-License-Identifier: Apache-2.0
// The chat server's client of model servers, over sockets that cut what they send.
#include "examples/chat_server/openai.hpp"
#include "model_dialects.hpp"
#include "support/raw_server.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using chat_server::openai_model;
using dialects::dialect;
using dialects::framing;

const std::vector<chat::message> prompt{{"user", "What is the capital?"}};

struct outcome {
    chat::completion answer; // what has come, where there is an error
    std::string pieces;
    std::string error;
    bool is_cancelled = false;
};

outcome ask(const openai_model& model, bool is_streamed, std::stop_token stop = {}) {
    outcome result;
    try {
        result.answer = is_streamed ? model.stream(
                                          prompt, [&](std::string_view piece) { result.pieces += piece; }, stop)
                                    : model.complete(prompt, stop);
    } catch (const chat::broken_answer& error) {
        result.error = error.what();
        result.answer = error.so_far();
        result.is_cancelled = error.is_cancelled();
    }
    return result;
}

void expect(const dialect& one, const outcome& got, bool is_streamed) {
    auto wanted = one.wanted;
    std::string error = one.error;
    if (wanted.text.empty() && !wanted.tool_calls.empty()) error = "called the tool weather";
    if (!one.error.empty()) wanted = {.text = one.so_far};
    EXPECT_EQ(got.error.empty(), error.empty()) << got.error;
    EXPECT_NE(got.error.find(error), std::string::npos) << got.error;
    EXPECT_EQ(got.answer.text, wanted.text);
    EXPECT_EQ(got.pieces, is_streamed ? wanted.text : "");
    if (!one.error.empty()) return;
    EXPECT_EQ(got.answer.input_tokens, wanted.input_tokens);
    EXPECT_EQ(got.answer.output_tokens, wanted.output_tokens);
    EXPECT_EQ(got.answer.finish_reason, wanted.finish_reason);
    EXPECT_EQ(got.answer.reasoning, wanted.reasoning);
    ASSERT_EQ(got.answer.tool_calls.size(), wanted.tool_calls.size());
    for (std::size_t i = 0; i < wanted.tool_calls.size(); ++i) {
        EXPECT_EQ(got.answer.tool_calls[i].name, wanted.tool_calls[i].name);
        EXPECT_EQ(got.answer.tool_calls[i].arguments, wanted.tool_calls[i].arguments);
    }
}

std::vector<dialect> all_dialects() {
    auto all = dialects::good_ones();
    for (auto& one : dialects::bad_ones()) all.push_back(one);
    return all;
}

class openai_model_test : public testing::TestWithParam<dialect> {};
INSTANTIATE_TEST_SUITE_P(of, openai_model_test, testing::ValuesIn(all_dialects()),
                         [](const auto& each) { return each.param.name; });

TEST_P(openai_model_test, gives_the_same_answer_streamed_or_not_wherever_it_is_cut) {
    const dialect& one = GetParam();
    const std::string bytes = dialects::bytes_of(one);
    std::atomic<std::size_t> cut{0};
    const raw::server upstream([&](raw::peer& peer, int) {
        const std::size_t at = cut;
        if (peer.read_request().empty()) return;
        if (at != 0) {
            peer.write(std::string_view(bytes).substr(0, at));
            std::this_thread::sleep_for(200us);
        }
        peer.write(std::string_view(bytes).substr(at));
        if (one.framed == framing::stays_open) peer.wait_for_close();
    });
    const openai_model model({.base_url = upstream.url(), .closing_timeout = 1500ms});
    const bool is_slow = one.name == "stays_open_without_done" || one.name == "stays_open_in_the_last_line" ||
                         one.name == "whole_stays_open"; // each waits for the end of the limit
    const std::size_t step = is_slow ? bytes.size() / 2 + 1 : bytes.size() / 120 + 1;
    for (std::size_t at = 0; at < bytes.size() && !HasFailure(); at += step) {
        SCOPED_TRACE("cut at " + std::to_string(at));
        cut = at;
        const bool is_streamed = at / step % 2 != 0;
        SCOPED_TRACE(is_streamed ? "streamed" : "whole");
        expect(one, ask(model, is_streamed), is_streamed);
    }
}

std::string bytes_of(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// What llama.cpp's and llama-cpp-python's servers sent (tests/mlflow/_model_servers.py), against what OpenAI's own
// client read from the same bytes.
class recorded_server_test : public testing::TestWithParam<std::filesystem::path> {
public:
    static std::vector<std::filesystem::path> files() {
        std::vector<std::filesystem::path> all;
        for (const auto& each :
             std::filesystem::directory_iterator(MLFLOW_TRACE_EXAMPLES_DIR "/../tests/examples/model_servers_corpus"))
            if (each.path().extension() == ".http") all.push_back(each.path());
        std::sort(all.begin(), all.end());
        return all;
    }
};
INSTANTIATE_TEST_SUITE_P(of, recorded_server_test, testing::ValuesIn(recorded_server_test::files()),
                         [](const auto& each) {
                             auto name = each.param.stem().string();
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST_P(recorded_server_test, is_read_as_by_openais_client) {
    const std::string bytes = bytes_of(GetParam());
    auto told = GetParam();
    const auto wanted = nlohmann::json::parse(bytes_of(told.replace_extension(".json")));
    std::atomic<std::size_t> cut{0};
    const raw::server upstream([&](raw::peer& peer, int) {
        const std::size_t at = cut;
        if (peer.read_request().empty()) return;
        peer.write(std::string_view(bytes).substr(0, at));
        std::this_thread::sleep_for(200us);
        peer.write(std::string_view(bytes).substr(at));
    });
    const openai_model model({.base_url = upstream.url()});
    const std::size_t step = bytes.size() / 100 + 1;
    for (std::size_t at = 1; at < bytes.size() && !HasFailure(); at += step) {
        SCOPED_TRACE("cut at " + std::to_string(at));
        cut = at;
        const auto got = ask(model, at / step % 2 != 0);
        if (wanted.contains("status")) {
            const auto status = "answered " + std::to_string(wanted["status"].get<int>());
            EXPECT_NE(got.error.find(status), std::string::npos) << got.error;
        } else if (wanted["text"] == "") { // of a prompt that is too long: a stream with nothing in it
            EXPECT_EQ(got.error, "the model's server sent no answer");
        } else {
            EXPECT_EQ(got.error, "");
            EXPECT_EQ(got.answer.text, wanted["text"].get<std::string>());
            EXPECT_EQ(got.answer.finish_reason, wanted["finish_reason"].get<std::string>());
            EXPECT_EQ(got.answer.input_tokens, wanted["input_tokens"].get<std::size_t>());
            EXPECT_EQ(got.answer.output_tokens, wanted["output_tokens"].get<std::size_t>());
        }
    }
}

// The limit is on the time without a byte: the answer as a whole takes several times as long.
TEST(openai_model, an_answer_may_take_long_and_no_pause_may) {
    const std::string body = dialects::done(dialects::plain_chunks);
    std::atomic<bool> falls_silent{false};
    const raw::server upstream([&](raw::peer& peer, int) {
        peer.read_request();
        peer.write("HTTP/1.1 200 OK\r\n\r\n");
        for (std::size_t at = 0; at < body.size(); at += 60) {
            if (falls_silent && at > 300) return peer.wait_for_close();
            std::this_thread::sleep_for(150ms);
            if (!peer.write(std::string_view(body).substr(at, 60))) return;
        }
    });
    const openai_model model({.base_url = upstream.url(), .silence_timeout = 1s, .closing_timeout = 1s});
    const auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(ask(model, true).answer.text, "Berlin.");
    EXPECT_GT(std::chrono::steady_clock::now() - before, 1s);
    falls_silent = true;
    for (const bool is_streamed : {false, true}) {
        const auto late = ask(model, is_streamed);
        EXPECT_EQ(late.error, "the model's server sent an incomplete response: nothing came for 1000 ms");
        EXPECT_EQ(late.answer.text, "Ber");
    }
}

TEST(openai_model, says_where_no_server_answers) {
    std::string url;
    {
        const raw::listener gone;
        url = gone.url();
    }
    const auto refused = ask(openai_model({.base_url = url}), false).error;
    EXPECT_NE(refused.find("did not answer: Connection refused"), std::string::npos) << refused;

    const raw::server silent([](raw::peer& peer, int) { peer.wait_for_close(); });
    const auto late = ask(openai_model({.base_url = silent.url(), .silence_timeout = 100ms}), true).error;
    EXPECT_NE(late.find("did not answer: nothing came for 100 ms"), std::string::npos) << late;

    const raw::server closing([](raw::peer& peer, int) { peer.read_request(); });
    const auto closed = ask(openai_model({.base_url = closing.url()}), true).error;
    EXPECT_NE(closed.find("did not answer: the connection was closed"), std::string::npos) << closed;

    const raw::server resetting([](raw::peer& peer, int) {
        peer.read_request();
        peer.write("HTTP/1.1 200 OK\r\n\r\ndata: " + dialects::said("Ber") + "\n\n");
        std::this_thread::sleep_for(50ms);
        peer.reset();
    });
    const auto reset = ask(openai_model({.base_url = resetting.url()}), true);
    EXPECT_EQ(reset.error.rfind("the model's server sent an incomplete response", 0), 0U) << reset.error;
    EXPECT_EQ(reset.answer.text, "Ber");

    const raw::server hints([](raw::peer& peer, int) {
        peer.read_request();
        while (peer.write("HTTP/1.1 103 Early Hints\r\n\r\n")) {
        }
    });
    const auto hinted = ask(openai_model({.base_url = hints.url()}), false).error;
    EXPECT_NE(hinted.find("only the status 103"), std::string::npos) << hinted;
}

TEST(openai_model, is_cancelled_at_once_and_keeps_what_has_come) {
    std::promise<void> sent;
    const raw::server upstream([&](raw::peer& peer, int number) {
        peer.read_request();
        if (number == 1) {
            peer.write("HTTP/1.1 200 OK\r\n\r\ndata: " + dialects::said("Ber") + "\n\n");
            sent.set_value();
        }
        peer.wait_for_close();
    });
    const openai_model model({.base_url = upstream.url()});
    for (const bool is_streamed : {false, true}) {
        std::stop_source who;
        auto asking = std::async(std::launch::async, [&] { return ask(model, is_streamed, who.get_token()); });
        if (is_streamed) sent.get_future().wait();
        std::this_thread::sleep_for(100ms);
        who.request_stop();
        const auto got = asking.get();
        EXPECT_TRUE(got.is_cancelled);
        EXPECT_EQ(got.error, "cancelled by the client");
        EXPECT_EQ(got.answer.text, is_streamed ? "Ber" : "");
    }
    std::stop_source gone;
    gone.request_stop();
    EXPECT_TRUE(ask(model, true, gone.get_token()).is_cancelled);
}

} // namespace
