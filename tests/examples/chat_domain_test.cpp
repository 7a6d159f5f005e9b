// SPDX-License-Identifier: Apache-2.0
#include "examples/chat/input.hpp"
#include "examples/chat/model.hpp"
#include "examples/chat/retriever.hpp"
#include "examples/chat/tokenizer.hpp"
#include "examples/chat/tools.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace {

const std::filesystem::path examples = MLFLOW_TRACE_EXAMPLES_DIR;

const chat::retriever& help() {
    static const chat::retriever articles{examples / "corpus"};
    return articles;
}

using tokens = std::vector<std::string_view>;

TEST(tokenizer, splits_words_numbers_and_symbols) {
    EXPECT_EQ(chat::tokenize("Pay €2.50, now!"), (tokens{"Pay", "€", "2", ".", "50", ",", "now", "!"}));
    EXPECT_EQ(chat::tokenize("90min e-bike"), (tokens{"90", "min", "e", "-", "bike"}));
    EXPECT_EQ(chat::count_tokens(" \t\r\n\xC2\xA0 "), 0u);
    EXPECT_EQ(chat::count_tokens(""), 0u);
}

TEST(tokenizer, cuts_long_words_between_characters) {
    EXPECT_EQ(chat::tokenize("reservation"), (tokens{"reservat", "ion"}));
    EXPECT_EQ(chat::tokenize("vélovélo", 4), (tokens{"vélo", "vélo"}));
}

TEST(tokenizer, keeps_utf8_characters_whole) {
    EXPECT_EQ(chat::tokenize("鍵🚲ключ"), (tokens{"鍵", "🚲", "ключ"}));
    EXPECT_EQ(chat::tokenize("a\xFF\xE9\x8D"), (tokens{"a", "\xFF", "\xE9", "\x8D"}));
}

TEST(tokenizer, refuses_overlong_surrogate_and_cut_off_characters) {
    for (const std::string_view bad :
         {"\xC0\x80", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF5", "\xE9\x8D"})
        EXPECT_FALSE(chat::first_character(bad).valid);
    EXPECT_TRUE(chat::first_character("\xF4\x8F\xBF\xBF").valid);
}

TEST(text, stems_and_joins_words) {
    EXPECT_EQ(chat::topic_words("The prices of e-bikes, priced"), (std::vector<std::string>{"pric", "ebik", "pric"}));
    EXPECT_EQ(chat::topic_words("stopped stop batteries battery 60"),
              (std::vector<std::string>{"stop", "stop", "battery", "battery"}));
}

TEST(text, ends_sentences_only_before_white_space) {
    EXPECT_EQ(chat::sentences("It costs €1.50. Really? Yes"), (tokens{"It costs €1.50.", "Really?", "Yes"}));
    EXPECT_TRUE(chat::sentences(" \n").empty());
}

TEST(retriever, finds_the_article_that_answers) {
    EXPECT_EQ(help().search("What does a year pass cost for students?", 3).at(0).document, "prices-and-passes");
    EXPECT_EQ(help().search("refund reaches my card", 3).at(0).document, "refunds");
    EXPECT_EQ(help().search("Can dogs ride in the cargo box?", 3).at(0).title, "Riding safely");
}

TEST(retriever, returns_at_most_k_the_best_first) {
    const auto all = help().search("bike", help().size());
    const auto two = help().search("bike", 2);
    ASSERT_GT(all.size(), 2u);
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[1].text, all[1].text);
    for (std::size_t i = 1; i < all.size(); ++i) EXPECT_GE(all[i - 1].score, all[i].score);
    EXPECT_GT(all.back().score, 0);
}

TEST(retriever, finds_nothing_for_unknown_words) {
    EXPECT_TRUE(help().search("ロックが開きません 🚲", 3).empty());
    EXPECT_TRUE(help().search("", 3).empty());
}

TEST(retriever, names_a_folder_that_is_missing_or_holds_no_article) {
    const auto empty = std::filesystem::path{testing::TempDir()} / "chat_domain_test_empty";
    std::filesystem::create_directories(empty);
    for (const auto& folder : {empty, empty / "missing"}) {
        try {
            chat::retriever{folder};
            ADD_FAILURE() << "loaded " << folder;
        } catch (const std::runtime_error& error) {
            EXPECT_NE(std::string_view{error.what()}.find(folder.string()), std::string_view::npos) << error.what();
        }
    }
    std::filesystem::remove(empty);
}

std::string ask(std::vector<chat::message>& history, const std::string& text) {
    const auto passages = help().search(chat::standalone_question(history, text), 4);
    const auto result = chat::model{}.complete(chat::make_prompt(passages, history, text));
    history.push_back({"user", text});
    history.push_back({"assistant", result.text});
    return result.text;
}

bool holds(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

TEST(model, answers_from_the_articles) {
    std::vector<chat::message> history;
    EXPECT_TRUE(holds(ask(history, "How do I unlock a bike?"), "scan the QR code"));
    EXPECT_TRUE(holds(ask(history, "Where can I park the bike?"), "service area"));
}

TEST(model, says_so_when_the_articles_hold_no_answer) {
    std::vector<chat::message> history;
    EXPECT_TRUE(holds(ask(history, "What is the capital of France?"), "found nothing"));
    EXPECT_TRUE(holds(ask(history, "ロックが開きません"), "found nothing"));
}

TEST(model, understands_a_follow_up_by_the_turn_before) {
    std::vector<chat::message> history, none;
    ask(history, "What does the year pass cost?");
    EXPECT_TRUE(holds(ask(history, "And for students?"), "half price for the year pass"));
    EXPECT_FALSE(chat::is_follow_up("Where can I park the bike?"));
    EXPECT_EQ(chat::standalone_question(none, "And for students?"), "And for students?");
}

TEST(model, the_turn_before_changes_the_answer_to_the_same_prompt) {
    const std::vector<chat::passage> passages{{"a", "A", "A helmet costs nothing. A basket is free.", 2}};
    const auto prompt = [&](const std::string& former) {
        return chat::make_prompt(passages, {{"user", former}, {"assistant", "Yes."}}, "And for children?");
    };
    const chat::model model;
    EXPECT_TRUE(model.complete(prompt("Is the helmet mine?")).text.starts_with("A helmet"));
    EXPECT_TRUE(model.complete(prompt("Is the basket mine?")).text.starts_with("A basket"));
}

TEST(model, starts_with_the_result_of_the_tool) {
    const auto prompt = chat::make_prompt({}, {}, "What is 1 + 2?", "1 + 2 = 3.");
    EXPECT_EQ(chat::model{}.complete(prompt).text, "1 + 2 = 3.");
}

TEST(model, counts_the_tokens_of_prompt_and_answer) {
    const auto prompt = chat::make_prompt(help().search("helmet", 2), {}, "Do I need a helmet?");
    const auto result = chat::model{}.complete(prompt);
    EXPECT_EQ(result.input_tokens, chat::count_tokens(prompt[0].content) + chat::count_tokens(prompt[1].content));
    EXPECT_EQ(result.output_tokens, chat::count_tokens(result.text));
}

TEST(model, streams_what_it_completes) {
    const auto prompt = chat::make_prompt(help().search("helmet", 2), {}, "Do I need a helmet?");
    std::vector<std::string> chunks;
    const auto streamed = chat::model{}.stream(prompt, [&](std::string_view chunk) { chunks.emplace_back(chunk); });
    std::string joined;
    for (const auto& chunk : chunks) joined += chunk;
    EXPECT_GT(chunks.size(), 3u);
    EXPECT_EQ(joined, streamed.text);
    EXPECT_EQ(streamed.text, chat::model{}.complete(prompt).text);
    EXPECT_GT(streamed.output_tokens, 0u);
}

TEST(model, refuses_what_it_cannot_handle) {
    const chat::model model;
    EXPECT_THROW(model.complete({}), std::invalid_argument);
    EXPECT_THROW(model.complete({{"user", "Hi"}, {"assistant", "Hello"}}), std::invalid_argument);
    EXPECT_THROW(model.complete({{"user", " \n"}}), std::invalid_argument);
    std::string text = "a";
    for (std::size_t i = 1; i < chat::model::context_window; ++i) text += " a";
    EXPECT_NO_THROW(model.complete({{"user", text}}));
    EXPECT_THROW(model.complete({{"user", text + " a"}}), std::length_error);
}

TEST(prompt, remembers_only_the_last_turns) {
    std::vector<chat::message> history;
    for (int turn = 0; turn < 20; ++turn) ask(history, "Where can I park? " + std::to_string(turn));
    const auto prompt = chat::make_prompt({}, history, "And now?");
    ASSERT_EQ(prompt.size(), 10u);
    EXPECT_EQ(prompt[1].content, "Where can I park? 16");
}

std::string tool(std::string_view message) {
    const auto call = chat::choose_tool(message);
    return call ? call->name + "(" + call->argument + ")" : "none";
}

TEST(tools, are_chosen_by_the_message) {
    EXPECT_EQ(tool("What is 12 / (3 - 3)?"), "calculate(12 / (3 - 3))");
    EXPECT_EQ(tool("What is -3 + 5?"), "calculate(-3 + 5)");
    EXPECT_EQ(tool("Calculate 2 * (3 + 4 for me"), "calculate(2 * (3 + 4)");
    EXPECT_EQ(tool("What is 60 km in miles?"), "convert(60 km in miles)");
    EXPECT_EQ(tool("Convert 2.5 miles to km"), "convert(2.5 miles in km)");
    EXPECT_EQ(tool("How much is a 20-minute ride?"), "price(20 minutes on a classic bike)");
    EXPECT_EQ(tool("Price of 1 hour and 20 minutes on an e-bike?"), "price(80 minutes on an e-bike)");
    EXPECT_EQ(tool("What does half an hour on a cargo bike cost?"), "price(30 minutes on a cargo bike)");
    EXPECT_EQ(tool("What does a 25 minute ride cost? And for students? And 40 minutes?"),
              "price(40 minutes on a classic bike for a student)");
}

TEST(tools, are_not_chosen_for_other_messages) {
    for (const std::string_view message :
         {"Is support there 24/7?", "What does pausing a ride for 20 minutes cost?", "How do I unlock a bike?",
          "I rode 60 km", "How much is a day pass?", "It broke on 2026-01-05.", ""})
        EXPECT_EQ(tool(message), "none") << message;
}

TEST(tools, compute) {
    const auto run = [](const char* name, const char* argument) { return chat::run_tool({name, argument}); };
    EXPECT_EQ(run("calculate", "3 * (9.00 + 1.50) / 2"), "3 * (9.00 + 1.50) / 2 = 15.75.");
    EXPECT_EQ(run("convert", "60 km in miles"), "60 km = 37.28 miles.");
    EXPECT_EQ(run("convert", "2.5 miles in km"), "2.5 miles = 4.02 km.");
    EXPECT_EQ(run("price", "25 minutes on an e-bike"),
              "A single ride of 25 minutes on an e-bike costs €7.25: €1.00 to unlock and 25 minutes at €0.25.");
    EXPECT_TRUE(holds(run("price", "12.5 minutes on a classic bike for a student"), "€2.56")); // 13 started minutes
    EXPECT_TRUE(holds(run("price", "600 minutes on a cargo bike"), "€30.00, the most"));
    EXPECT_THROW(run("price", "1441 minutes on a cargo bike"), std::out_of_range);
    EXPECT_THROW(run("price", "a ride"), std::invalid_argument);
    EXPECT_THROW(run("weather", "today"), std::invalid_argument);
}

TEST(tools, charge_what_the_article_on_prices_says) {
    std::ifstream file(examples / "corpus" / "prices-and-passes.md");
    std::stringstream article;
    article << file.rdbuf();
    const std::string text = article.str();
    for (const char* bike : {"classic bike", "e-bike", "cargo bike"}) {
        const std::string article_word = bike == std::string_view{"e-bike"} ? " on an " : " on a ";
        const std::string price = chat::euros(chat::ride{1, bike}.minute_price());
        EXPECT_TRUE(holds(text, price + article_word + bike)) << price << bike;
    }
    EXPECT_EQ((chat::ride{1, "e-bike", true}.minute_price()), 20);
    EXPECT_TRUE(holds(text, "20 percent off the minutes of single rides"));
    EXPECT_TRUE(holds(text, "€30.00 in 24 hours"));
}

TEST(calculator, follows_precedence_signs_and_parentheses) {
    EXPECT_DOUBLE_EQ(chat::calculator::evaluate("1 + 2 * 3 - 8 / 4 / 2"), 6);
    EXPECT_DOUBLE_EQ(chat::calculator::evaluate("-(1 - 4) * --.5"), 1.5);
    EXPECT_DOUBLE_EQ(chat::calculator::evaluate(" 7 "), 7);
}

TEST(calculator, names_the_position_of_a_mistake) {
    const auto fault = [](const std::string& expression) -> std::string {
        try {
            chat::calculator::evaluate(expression);
        } catch (const std::invalid_argument& error) {
            return error.what();
        }
        return "none";
    };
    EXPECT_EQ(fault("12 / * 4"), "expected a number at position 6 of \"12 / * 4\"");
    EXPECT_EQ(fault("(1 + 2"), "expected ')' at position 7 of \"(1 + 2\"");
    EXPECT_EQ(fault("1 2"), "expected an operator at position 3 of \"1 2\"");
    EXPECT_EQ(fault(""), "expected a number at position 1 of \"\"");
    EXPECT_TRUE(fault(std::string(100'000, '(')).starts_with("expected less nesting at position 101"));
}

TEST(calculator, refuses_division_by_zero_and_overflow) {
    EXPECT_THROW(chat::calculator::evaluate("12 / (3 - 3)"), std::domain_error);
    EXPECT_THROW(chat::calculator::evaluate(std::string(400, '9')), std::overflow_error);
    EXPECT_THROW(chat::calculator::evaluate(std::string(300, '9') + "*" + std::string(300, '9')),
                 std::overflow_error);
}

std::string fault_of(std::string_view line) {
    const auto read = chat::read_turn(line);
    const auto* fault = std::get_if<std::string>(&read);
    return fault != nullptr ? *fault : "none";
}

TEST(input, reads_a_request) {
    const auto read = chat::read_turn(
        R"({"user":"o'brien-9","session":null,"request_id":"req-1","message":"\u9375?","stream":true,"other":[1]})");
    const auto& turn = std::get<chat::turn_request>(read);
    EXPECT_EQ(turn.user, "o'brien-9");
    EXPECT_EQ(turn.session, std::nullopt);
    EXPECT_EQ(turn.request_id, "req-1");
    EXPECT_EQ(turn.message, "鍵?");
    EXPECT_TRUE(turn.stream);
}

TEST(input, names_the_key_and_its_fault) {
    EXPECT_EQ(fault_of(R"({"user":"u"})"), "message: missing");
    EXPECT_EQ(fault_of(R"({"message":null})"), "message: missing");
    EXPECT_EQ(fault_of(R"({"message":"m","user":7})"), "user: must be a string, is number");
    EXPECT_EQ(fault_of(R"({"message":["m"]})"), "message: must be a string, is array");
    EXPECT_EQ(fault_of(R"({"message":"m","stream":"yes"})"), "stream: must be a boolean, is string");
    EXPECT_EQ(fault_of(R"({"user":"a","message":"m","user":"b"})"), "user: given twice");
    EXPECT_EQ(fault_of(R"({"message":"m","other":{"a":1,"b":{"a":2}}})"), "none");
    EXPECT_EQ(fault_of(R"(["m"])"), "must be an object, is array");
}

TEST(input, says_where_text_is_not_json_or_not_utf8) {
    EXPECT_TRUE(fault_of("{\"message\":").starts_with("not JSON: parse error at line 1, column 12"));
    EXPECT_TRUE(fault_of("").starts_with("not JSON: "));
    EXPECT_TRUE(fault_of(R"({"message":"\ud800"})").starts_with("not JSON: "));
    EXPECT_TRUE(fault_of(R"({"message":"m"} {})").starts_with("not JSON: "));
    EXPECT_EQ(fault_of("{\"message\":\"\xFF\"}"), "not UTF-8 at byte 13");
}

TEST(conversations, are_many_users_and_sessions_in_time) {
    std::ifstream file(examples / "conversations.jsonl");
    std::set<std::string> users, sessions, requests;
    std::size_t turns = 0, streamed = 0, without_user = 0, without_session = 0;
    for (std::string line; std::getline(file, line); ++turns) {
        ASSERT_EQ(fault_of(line), "none") << line;
        const auto turn = std::get<chat::turn_request>(chat::read_turn(line));
        if (turn.user) users.insert(*turn.user);
        if (turn.session) sessions.insert(*turn.session);
        EXPECT_TRUE(requests.insert(turn.request_id.value_or("")).second) << line;
        if (turn.stream) ++streamed;
        if (!turn.user) ++without_user;
        if (!turn.session) ++without_session;
    }
    EXPECT_GE(turns, 32u);
    EXPECT_GE(users.size(), 5u);
    EXPECT_GE(sessions.size(), 10u);
    EXPECT_GT(streamed, 0u);
    EXPECT_GT(without_user, 0u);
    EXPECT_GT(without_session, 0u);
}

} // namespace
