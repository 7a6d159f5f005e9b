// SPDX-License-Identifier: Apache-2.0
// The chat server by its sockets: what clients send that is right, wrong, late or never ends. Once a thread answers
// each turn, and once a coroutine.
#include "examples/chat_server/application.hpp"
#include "examples/chat_server/coroutines.hpp" // before other headers of Boost.Asio
#include "examples/chat_server/server.hpp"
#include "support/raw_server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace mt = mlflow::trace;
using nlohmann::json;

// What is the same for the tests, whoever answers.
struct service {
    virtual ~service() = default;
    virtual void handle(chat_server::request asked, std::shared_ptr<chat_server::exchange> to) = 0;
    virtual void finish() = 0;
    virtual std::vector<mt::recorded_trace> recorded() = 0;
    virtual mt::span_account account() = 0;
    virtual std::uint64_t refused_values() = 0;
};

template <class Context, template <class> class Pages>
struct service_of : service {
    service_of(const chat_server::served_model& model, std::optional<chat_server::feedback_store> feedback)
        : pages(tracer, {.corpus = MLFLOW_TRACE_EXAMPLES_DIR "/corpus",
                         .model = model,
                         .feedback = std::move(feedback),
                         .rating_timeout = std::chrono::seconds(3)}) {}
    void handle(chat_server::request asked, std::shared_ptr<chat_server::exchange> to) override {
        pages.handle(std::move(asked), std::move(to));
    }
    void finish() override { pages.finish(); }
    std::vector<mt::recorded_trace> recorded() override { return tracer.exporter().take(); }
    mt::span_account account() override { return tracer.account(); }
    std::uint64_t refused_values() override { return tracer.refused_values(); }

    using tracer_type = mt::tracer<chat::schema, Context, mt::memory_exporter>;
    tracer_type tracer;
    Pages<tracer_type> pages;
};
using by_threads = service_of<mt::thread_local_context, chat_server::application>;
using by_coroutines = service_of<mt::coroutine_context, chat_server::coroutine_application>;

enum class variant { threads, coroutines };

// One connection to the server under test. Everything goes over the wire as it is given.
class client {
public:
    explicit client(std::uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        const timeval patience{60, 0};
        ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        EXPECT_EQ(::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    ~client() { ::close(socket_); }

    client& send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) break; // the server refused before it had read everything
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return *this;
    }
    std::string read_to_end() {
        std::string all;
        char bytes[4096];
        for (ssize_t count = 0; (count = ::recv(socket_, bytes, sizeof bytes, 0)) > 0;)
            all.append(bytes, static_cast<std::size_t>(count));
        return all;
    }
    std::string read_until(std::string_view mark) {
        std::string all;
        for (char byte = 0; all.find(mark) == std::string::npos && ::recv(socket_, &byte, 1, 0) == 1;) all += byte;
        return all;
    }

private:
    int socket_;
};

std::string post(std::string_view path, std::string_view headers, std::string_view body) {
    return "POST " + std::string(path) + " HTTP/1.1\r\nHost: test\r\nConnection: close\r\n" + std::string(headers) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}
std::string chat_request(std::string_view headers, std::string_view body = R"({"message":"Where can I park?"})") {
    return post("/chat", "Content-Type: application/json\r\n" + std::string(headers), body);
}

int status_of(const std::string& answer) { return answer.size() > 12 ? std::atoi(answer.c_str() + 9) : 0; }
// The message of the model, as MLflow's page shows it.
json answer_of(mt::recorded_span& model) {
    return json::parse(model.attributes["mlflow.spanOutputs"]).at("choices").at(0).at("message");
}

std::string body_of(const std::string& answer) {
    const auto end = answer.find("\r\n\r\n");
    return end == std::string::npos ? "" : answer.substr(end + 4);
}
std::string header_of(const std::string& answer, const std::string& name) {
    const auto at = answer.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "(none)";
    const auto begin = at + name.size() + 4;
    return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

class chat_server_test : public testing::TestWithParam<variant> {
protected:
    void start(chat_server::openai_model::options upstream = {},
               std::optional<chat_server::feedback_store> feedback = {}, std::size_t max_connections = 1000) {
        using namespace std::chrono_literals;
        const chat_server::served_model model =
            upstream.base_url.empty() ? chat_server::served_model() : chat_server::served_model(upstream);
        if (GetParam() == variant::threads) service_ = std::make_unique<by_threads>(model, std::move(feedback));
        else service_ = std::make_unique<by_coroutines>(model, std::move(feedback));
        const chat_server::limits limits{.max_header_bytes = 4096, .max_body_bytes = 4096, .request_timeout = 700ms};
        server_.emplace(
            chat_server::server::options{
                .port = 0, .per_client = limits, .max_connections = max_connections, .shutdown_timeout = 60s},
            [this](chat_server::request asked, std::shared_ptr<chat_server::exchange> to) {
                service_->handle(std::move(asked), std::move(to));
            });
        port_ = server_->port();
        running_ = std::async(std::launch::async, [this] { return server_->run(); });
    }
    bool stop() {
        server_->stop();
        const bool all_answered = running_.get();
        service_->finish();
        return all_answered;
    }
    void TearDown() override {
        if (running_.valid()) {
            EXPECT_TRUE(stop());
        }
    }

    std::string ask(std::string_view request) { return client(port_).send(request).read_to_end(); }

    // What was recorded, with the spans that came behind their roots put to them.
    std::vector<mt::recorded_trace> recorded() {
        std::map<std::string, mt::recorded_trace> whole;
        auto parts = service_->recorded();
        for (auto& part : parts)
            if (part.has_root) whole[std::string(part.id.hex().view())] = part;
        for (auto& part : parts)
            if (!part.has_root) {
                auto& spans = whole[std::string(part.id.hex().view())].spans;
                spans.insert(spans.end(), part.spans.begin(), part.spans.end());
            }
        std::vector<mt::recorded_trace> traces;
        for (auto& [id, trace] : whole) traces.push_back(std::move(trace));
        return traces;
    }

    std::unique_ptr<service> service_;
    std::optional<chat_server::server> server_;
    std::future<bool> running_;
    std::uint16_t port_ = 0;
};

INSTANTIATE_TEST_SUITE_P(by, chat_server_test, testing::Values(variant::threads, variant::coroutines),
                         [](const auto& each) { return each.param == variant::threads ? "threads" : "coroutines"; });

TEST_P(chat_server_test, a_turn_is_recorded_for_the_user_and_session_of_its_headers) {
    start();
    const auto answer = ask(chat_request("x-user-id: user-1\r\nX-SESSION-ID: \t s-1 \r\nX-Request-ID: r-1\r\n"));
    EXPECT_EQ(status_of(answer), 200) << answer;
    EXPECT_EQ(header_of(answer, "X-Request-ID"), "r-1");
    EXPECT_EQ(header_of(answer, "X-Session-ID"), "s-1");
    const auto body = json::parse(body_of(answer));
    EXPECT_EQ(body["trace_id"], header_of(answer, "X-Trace-ID"));
    EXPECT_NE(body["response"], "");
    stop();
    const auto traces = recorded();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(traces[0].id.mlflow_id().view(), body["trace_id"].get<std::string>());
    EXPECT_EQ(traces[0].metadata["mlflow.trace.user"], "user-1");
    EXPECT_EQ(traces[0].metadata["mlflow.trace.session"], "s-1");
    EXPECT_EQ(traces[0].client_request_id, "r-1");
    const auto* const background = traces[0].find("note topics"); // work behind the answer, in its trace
    ASSERT_NE(background, nullptr);
    EXPECT_EQ(background->parent, traces[0].root()->id);
}

TEST_P(chat_server_test, what_is_absent_is_anonymous_or_made) {
    start();
    const auto answer = ask(chat_request(""));
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_TRUE(mt::uuid::allows(header_of(answer, "X-Session-ID")));
    EXPECT_TRUE(mt::uuid::allows(header_of(answer, "X-Request-ID")));
    const auto lost = ask(chat_request("X-Request-ID: " + std::string(51, 'r') + "\r\nX-User-ID: None\r\n"));
    EXPECT_EQ(status_of(lost), 200);
    EXPECT_EQ(header_of(lost, "X-Request-ID"), "(none)");
    EXPECT_NE(json::parse(body_of(lost))["warning"].get<std::string>().find("51 characters"), std::string::npos);
    stop();
    auto traces = recorded();
    ASSERT_EQ(traces.size(), 2U);
    if (traces[0].metadata.contains("mlflow.trace.user")) std::swap(traces[0], traces[1]);
    EXPECT_EQ(traces[0].metadata["mlflow.trace.session"], header_of(answer, "X-Session-ID"));
    EXPECT_EQ(traces[0].client_request_id, header_of(answer, "X-Request-ID"));
    EXPECT_FALSE(traces[0].metadata.contains("mlflow.trace.user"));
    EXPECT_EQ(traces[1].metadata["mlflow.trace.user"], "None"); // a name like any other
    EXPECT_EQ(traces[1].client_request_id, "");
}

TEST_P(chat_server_test, bad_requests_are_answered_clearly_and_the_server_goes_on) {
    start();
    const std::string json_type = "Content-Type: application/json\r\n";
    const std::string to_chat = "POST /chat HTTP/1.1\r\nHost: test\r\nConnection: close\r\n" + json_type;
    struct bad {
        std::string request;
        int status;
        std::string_view says;
    };
    const std::vector<bad> all = {
        {chat_request("X-User-ID:\r\n"), 400, "X-User-ID: empty"},
        {chat_request("X-User-ID: " + std::string(251, 'u') + "\r\n"), 400, "X-User-ID: 251 characters, at most 250"},
        {chat_request("X-User-ID: a\xff\r\n"), 400, "X-User-ID: invalid UTF-8 at byte 1"},
        {chat_request("X-User-ID: a\xc2\x85\r\n"), 400, "X-User-ID: control character at byte 1"},
        {chat_request("X-User-ID: a\tb\r\n"), 400, "X-User-ID: control character at byte 1"},
        {chat_request("X-User-ID: a\r\nx-user-id: a\r\n"), 400, "X-User-ID: sent more than once"},
        {chat_request("X-Session-ID: a\r\nX-Session-ID: b\r\n"), 400, "X-Session-ID: sent more than once"},
        {chat_request("X-Request-ID: a\r\nX-Request-ID: b\r\n"), 400, "X-Request-ID: sent more than once"},
        {chat_request(std::string("X-User-ID: a\0b\r\n", 16)), 400, "not an HTTP request"},
        {chat_request("X-User-ID: a\nX-Admin: 1\r\n"), 400, "not an HTTP request"},
        {chat_request("X-User-ID: a\rX-Admin: 1\r\n"), 400, "not an HTTP request"},
        {chat_request("X-User-ID: a\x01\r\n"), 400, "not an HTTP request"},
        {chat_request("X-User-ID : a\r\n"), 400, "not an HTTP request"},
        {chat_request("X User: a\r\n"), 400, "not an HTTP request"},
        {chat_request(": a\r\n"), 400, "not an HTTP request"},
        {chat_request("X-User-ID\r\n"), 400, "not an HTTP request"},
        {chat_request("X-Big: " + std::string(5000, 'x') + "\r\n"), 431, "the header is larger than 4096 bytes"},
        {chat_request("", ""), 400, "not JSON"},
        {chat_request("", "{"), 400, "not JSON"},
        {chat_request("", "[]"), 400, "must be an object"},
        {chat_request("", "{}"), 400, "message: missing"},
        {chat_request("", R"({"message":7})"), 400, "message: must be a string"},
        {chat_request("", R"({"message":""})"), 400, "the user message is empty"},
        {chat_request("", R"({"message":"x","message":"y"})"), 400, "message: given twice"},
        {chat_request("", "{\"message\":\"\xff\"}"), 400, "not UTF-8 at byte 13"},
        {chat_request("", R"({"message":"x","stream":"yes"})"), 400, "stream: must be a boolean"},
        {chat_request("", "{\"message\":\"" + std::string(4096, 'x') + "\"}"), 413,
         "the body is larger than 4096 bytes"},
        {to_chat + "Transfer-Encoding: chunked\r\n\r\n1388\r\n" + std::string(5000, 'x') + "\r\n0\r\n\r\n", 413,
         "the body is larger than 4096 bytes"},
        {to_chat + "Transfer-Encoding: chunked\r\n\r\nno number\r\n", 400, "not an HTTP request"},
        {to_chat + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400, "not an HTTP request"},
        {to_chat + "Content-Length: -1\r\n\r\n", 400, "not an HTTP request"},
        {to_chat + "Content-Length: 100\r\n\r\n{", 408, "did not arrive within 700 ms"},
        {"POST /chat HTTP/1.1\r\nHost: te", 408, "did not arrive within 700 ms"},
        {"POST /chat HTTP/2.0\r\nHost: test\r\n\r\n", 505, "HTTP/1.1"},
        {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "not an HTTP request"}, // somebody speaks TLS
        {post("/chat", "", "{}"), 415, "Content-Type: must be application/json"},
        {post("/chat", "Content-Type: text/plain\r\n", "{}"), 415, "Content-Type: must be application/json"},
        {post("/nowhere", json_type, "{}"), 404, "there is POST /chat"},
        {"GET /chat HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 405, "use POST /chat"},
        {"OPTIONS /chat HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n", 405, "use POST /chat"},
        {"PUT /chat HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}", 405,
         "use POST /chat"},
        {chat_request("", std::string(4000, '[')), 400, "not JSON"},
        {chat_request("", R"({"message":)" + std::string(2000, '[') + std::string(2000, ']') + "}"), 400,
         "message: "},
        {to_chat + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "not an HTTP request"},
        {post("/feedback", json_type, "{}"), 501, "MLFLOW_TRACKING_URI"},
    };
    for (const auto& [request, status, says] : all) {
        const auto answer = ask(request);
        EXPECT_EQ(status_of(answer), status) << request << "\n" << answer;
        const auto body = json::parse(body_of(answer), nullptr, false);
        ASSERT_TRUE(body.is_object()) << request << "\n" << answer;
        const std::string error = body.value("error", "");
        EXPECT_NE(error.find(says), std::string::npos) << request << "\n" << answer;
        EXPECT_EQ(status_of(ask("GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")), 200);
    }
    {
        client gone(port_);
    }
    {
        client gone(port_), half(port_);
        half.send("POST /ch");
    }
    EXPECT_EQ(status_of(ask(chat_request(""))), 200);
}

TEST_P(chat_server_test, connections_are_kept_and_requests_may_follow_at_once) {
    start();
    const std::string health = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n";
    client one(port_);
    one.send(health + health);
    EXPECT_NE(one.read_until("\"ok\"}\n").find("200 OK"), std::string::npos);
    EXPECT_NE(one.read_until("\"ok\"}\n").find("200 OK"), std::string::npos);
    one.send("POST /chat HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
             "Content-Length: 15\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(one.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ(status_of(one.send(R"({"message":"1"})").read_to_end()), 200);
    client old(port_);
    old.send("GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_NE(old.read_until("\"ok\"}\n").find("Connection: keep-alive"), std::string::npos);
}

TEST_P(chat_server_test, requests_of_several_users_on_one_connection_keep_apart) {
    start();
    const auto turn = [](const std::string& headers, const std::string& word) {
        const std::string body = R"({"message":"parking )" + word + "\"}";
        return "POST /chat HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n" + headers +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    };
    const std::string last = "X-Session-ID: s-3\r\nX-Request-ID: r-3\r\nConnection: close\r\n"; // of nobody
    client one(port_);
    const auto answers =
        one.send(turn("X-User-ID: user-1\r\nX-Session-ID: s-1\r\nX-Request-ID: r-1\r\n", "one") +
                 turn("X-User-ID: user-2\r\nX-Session-ID: s-2\r\nX-Request-ID: r-2\r\n", "two") + turn(last, "three"))
            .read_to_end();
    const auto first = answers.find("X-Request-ID: r-1\r\n"), second = answers.find("X-Request-ID: r-2\r\n");
    const auto third = answers.find("X-Request-ID: r-3\r\n");
    EXPECT_TRUE(first < second && second < third && third != std::string::npos) << answers;
    stop();
    const auto traces = recorded();
    ASSERT_EQ(traces.size(), 3U);
    const std::map<std::string, std::string> words{{"1", "one"}, {"2", "two"}, {"3", "three"}};
    for (const auto& trace : traces) {
        const auto id = trace.client_request_id.substr(2);
        EXPECT_EQ(trace.metadata["mlflow.trace.session"], "s-" + id);
        EXPECT_EQ(trace.metadata.contains("mlflow.trace.user"), id != "3");
        if (id != "3") {
            EXPECT_EQ(trace.metadata["mlflow.trace.user"], "user-" + id);
        }
        for (const auto* const name : {"chat", "note topics"}) {
            const auto* const span = trace.find(name);
            ASSERT_NE(span, nullptr) << name;
            EXPECT_NE(span->attributes["mlflow.spanInputs"].find("parking " + words.at(id)), std::string::npos);
        }
    }
}

TEST_P(chat_server_test, an_answer_to_HEAD_has_no_body_that_would_be_read_as_the_next_answer) {
    start();
    client one(port_);
    one.send("HEAD /health HTTP/1.1\r\nHost: test\r\n\r\n"
             "GET /health HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(status_of(one.read_until("\r\n\r\n")), 405);
    EXPECT_EQ(one.read_to_end().rfind("HTTP/1.1 200 OK\r\n", 0), 0U);
}

TEST_P(chat_server_test, a_client_that_leaves_its_stream_costs_no_other) {
    start();
    for (int i = 0; i < 8; ++i) {
        client gone(port_);
        gone.send(chat_request("X-User-ID: user-1\r\n", R"({"message":"Where can I park?","stream":true})"));
        if (i % 2 == 0) gone.read_until("event: delta\n");
    }
    EXPECT_EQ(status_of(ask(chat_request("X-User-ID: user-2\r\n"))), 200);
    EXPECT_TRUE(stop());
    EXPECT_EQ(service_->account().open, 0U);
    int others = 0;
    for (const auto& trace : recorded()) others += trace.metadata["mlflow.trace.user"] == "user-2";
    EXPECT_EQ(others, 1);
}

TEST_P(chat_server_test, many_idle_connections_leave_room_for_others) {
    start();
    std::vector<std::unique_ptr<client>> idle;
    for (int i = 0; i < 300; ++i) idle.push_back(std::make_unique<client>(port_));
    EXPECT_EQ(status_of(ask(chat_request(""))), 200);
    EXPECT_TRUE(stop());
    for (const auto& each : idle) EXPECT_EQ(each->read_to_end(), ""); // closed, with nothing to answer
}

// Idle, and in the middle of a request: where there are no more files to be had, a stranger's connections go first.
TEST_P(chat_server_test, connections_that_send_nothing_make_room_for_those_that_do) {
    start({}, {}, 16);
    std::vector<std::unique_ptr<client>> waiting;
    for (int i = 0; i < 100; ++i) {
        waiting.push_back(std::make_unique<client>(port_));
        if (i % 2 == 0) waiting.back()->send("POST /chat HTTP/1.1\r\nHost: te");
        if (i % 10 == 0) {
            const auto before = std::chrono::steady_clock::now();
            EXPECT_EQ(status_of(ask(chat_request("X-User-ID: user-1\r\n"))), 200) << i;
            EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
        }
    }
    EXPECT_EQ(waiting.front()->read_to_end(), "");
    waiting.clear();
    EXPECT_TRUE(stop());
}

TEST_P(chat_server_test, connections_leave_files_for_all_else) {
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    for (const rlim_t files : {16U, 64U, 192U, 256U}) {
        rlimit few = before;
        few.rlim_cur = files;
        ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &few), 0);
        const auto most = chat_server::server::options{}.max_connections;
        EXPECT_GE(most, 1U);
        EXPECT_LE(most, files - std::min<rlim_t>(files / 2, 96)) << files;
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
}

// An MLflow that stores feedback, or never answers.
struct fake_mlflow {
    std::atomic<bool> hangs{false};
    std::mutex lock;
    std::vector<std::string> stored;
    std::promise<void> is_over;
    std::shared_future<void> end = is_over.get_future().share();
    raw::server server{[this](raw::peer& peer, int) {
        const auto request = peer.read_request();
        if (hangs) return end.wait();
        {
            const std::lock_guard guard(lock);
            stored.push_back(request);
        }
        peer.write(
            raw::reply(200, R"({"assessment":{"assessment_id":"a-1","assessment_name":"helpful","trace_id":"tr-1",
            "source":{"source_type":"HUMAN","source_id":"x"},"feedback":{"value":true}}})"));
    }};
    chat_server::feedback_store store() {
        return chat_server::feedback_store({.tracking_uri = server.url(), .experiment_id = "1"});
    }
};

TEST_P(chat_server_test, only_who_had_the_turn_may_rate_it) {
    fake_mlflow mlflow;
    start({}, mlflow.store());
    const auto rate = [&](const std::string& headers, const json& body) {
        return status_of(ask(post("/feedback", "Content-Type: application/json\r\n" + headers, body.dump())));
    };
    const auto turn = [&](const std::string& headers) { return json::parse(body_of(ask(chat_request(headers)))); };
    const std::string session = "X-Session-ID: s-1\r\n";
    const json victim = turn(session), other = turn(session), known = turn("X-User-ID: user-1\r\n" + session);
    const std::string key = victim["rating_key"], others_key = other["rating_key"];
    EXPECT_EQ(key.size(), 32U);
    EXPECT_NE(key, others_key);
    EXPECT_FALSE(known.contains("rating_key"));
    const std::string id = victim["trace_id"];
    for (const std::string& headers : {std::string(), session, session + "X-User-ID: user-1\r\n"})
        for (const json& guess :
             {json(), json(others_key), json(std::string(32, '0')), json(key.substr(0, 31)), json(7)}) {
            json body{{"trace_id", id}, {"value", false}};
            if (!guess.is_null()) body["rating_key"] = guess;
            EXPECT_GE(rate(headers, body), 400) << headers << body;
        }
    EXPECT_EQ(rate("X-User-ID: user-1\r\n", {{"trace_id", id}, {"value", false}, {"rating_key", key}}), 404);
    EXPECT_EQ(rate(session, {{"trace_id", id}, {"value", false}, {"rating_key", key}, {"about", "session"}}), 403);
    EXPECT_EQ(rate("", {{"trace_id", known["trace_id"]}, {"value", false}, {"rating_key", key}}), 404);
    EXPECT_EQ(rate("X-User-ID: user-2\r\n", {{"trace_id", known["trace_id"]}, {"value", false}}), 404);
    EXPECT_TRUE(mlflow.stored.empty());
    EXPECT_EQ(rate("", {{"trace_id", id}, {"value", true}, {"rating_key", key}}), 200);
    EXPECT_EQ(rate("X-User-ID: user-1\r\n", {{"trace_id", known["trace_id"]}, {"value", true}}), 200);
    EXPECT_EQ(mlflow.stored.size(), 2U);

    // What others will read on a terminal.
    for (const char* const evil : {"\x1b[2J", "a\nb", "\xC2\x9B", "\xE2\x80\xAE", "\xE2\x80\x8B"})
        for (const char* const field : {"name", "rationale", "value"}) {
            json body{{"trace_id", known["trace_id"]}, {"value", true}};
            body[field] = evil;
            EXPECT_EQ(rate("X-User-ID: user-1\r\n", body), 400) << body;
        }
    // And what would take all of a thread's stack.
    const std::string deep = std::string(1'900, '[') + std::string(1'900, ']');
    EXPECT_EQ(status_of(ask(post("/feedback", "Content-Type: application/json\r\nX-User-ID: user-1\r\n",
                                 R"({"trace_id":")" + id + R"(","value":)" + deep + "}"))),
              400);
    EXPECT_EQ(mlflow.stored.size(), 2U);
}

TEST_P(chat_server_test, ratings_that_wait_for_mlflow_hold_nobody_else) {
    using namespace std::chrono_literals;
    fake_mlflow mlflow;
    mlflow.hangs = true;
    start({}, mlflow.store());
    const json turn = json::parse(body_of(ask(chat_request("X-User-ID: user-1\r\n"))));
    const auto rating = post("/feedback", "Content-Type: application/json\r\nX-User-ID: user-1\r\n",
                             json{{"trace_id", turn["trace_id"]}, {"value", true}}.dump());
    std::vector<std::unique_ptr<client>> raters;
    for (int i = 0; i < 32; ++i) {
        raters.push_back(std::make_unique<client>(port_));
        raters.back()->send(rating);
    }
    for (int i = 0; i < 10; ++i) {
        const auto before = std::chrono::steady_clock::now();
        EXPECT_EQ(status_of(ask(chat_request("X-User-ID: user-2\r\n"))), 200);
        EXPECT_LT(std::chrono::steady_clock::now() - before, 2s);
    }
    std::map<int, int> answers;
    for (const auto& each : raters) ++answers[status_of(each->read_to_end())];
    EXPECT_EQ(answers[429], 28) << "more than one user may have under way";
    EXPECT_EQ(answers[502] + answers[503], 4);
    mlflow.hangs = false;
    mlflow.is_over.set_value();
    EXPECT_EQ(status_of(ask(rating)), 200) << "and then they are stored";
}

TEST_P(chat_server_test, answers_are_streamed_with_the_time_to_the_first_token) {
    start();
    const auto answer =
        ask(chat_request("X-User-ID: user-1\r\n", R"({"message":"Where can I park?","stream":true})"));
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_EQ(header_of(answer, "Content-Type"), "text/event-stream");
    std::string pieces;
    json done;
    const std::string events = body_of(answer);
    for (std::size_t at = 0; (at = events.find("event: ", at)) != std::string::npos; ++at) {
        const auto data = json::parse(
            events.substr(events.find("data: ", at) + 6, events.find("\n\n", at) - events.find("data: ", at) - 6));
        if (events.compare(at, 13, "event: delta\n") == 0) pieces += data["delta"].get<std::string>();
        else done = data;
    }
    EXPECT_EQ(done["response"], pieces);
    EXPECT_GT(done["time_to_first_token_ms"].get<double>(), 0);
    EXPECT_EQ(done["trace_id"], header_of(answer, "X-Trace-ID"));
    EXPECT_EQ(status_of(ask(chat_request("", R"({"message":"","stream":true})"))), 400);
    stop();
    for (const auto& trace : recorded()) {
        if (trace.root()->code == mt::status::error) continue;
        EXPECT_EQ(trace.metadata["chat.delivery"], "streamed");
        EXPECT_TRUE(trace.root()->attributes.contains("app.time_to_first_token_ms"));
        const auto& model = *trace.find("complete");
        EXPECT_TRUE(model.attributes.contains("gen_ai.server.time_to_first_token"));
        EXPECT_EQ(model.events.at(0).name, "mlflow.chunk.item.0");
    }
}

TEST_P(chat_server_test, a_model_elsewhere_answers_and_its_usage_is_recorded) {
    std::mutex lock;
    std::vector<std::string> asked;
    const raw::server upstream([&](raw::peer& peer, int number) {
        const auto request = peer.read_request();
        {
            const std::lock_guard guard(lock);
            asked.push_back(request);
        }
        if (number == 0)
            peer.write(raw::reply(200, R"({"choices":[{"message":{"role":"assistant","content":"Berlin."}}],
                "usage":{"prompt_tokens":11,"completion_tokens":3,"total_tokens":14}})"));
        if (number == 1) {
            peer.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
            const std::string events =
                "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n"
                "data: {\"choices\":[{\"delta\":{\"content\":\"Ber\"}}]}\n\n: a comment\n\n"
                "data: {\"choices\":[{\"delta\":{\"content\":\"lin.\"}}]}\r\n\r\n"
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":21,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n";
            for (std::size_t at = 0; at < events.size(); at += 7) {
                const auto part = events.substr(at, 7);
                peer.write("0" + std::to_string(part.size()) + "\r\n" + part + "\r\n");
            }
            peer.write("0\r\n\r\n");
        }
        if (number == 2) peer.write(raw::reply(429, R"({"error":{"message":"slow down"}})"));
        if (number == 3) peer.write(raw::reply(200, "<html>"));
        if (number == 4)
            peer.write("HTTP/1.1 200 OK\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"Ber\"}}]}\n\n");
    });
    start({.base_url = upstream.url() + "/v1", .api_key = "k-1", .model = "m-1"});
    const auto whole = ask(chat_request("X-User-ID: user-0\r\n"));
    EXPECT_EQ(json::parse(body_of(whole))["response"], "Berlin.") << whole;
    const std::string streamed = R"({"message":"Where can I park?","stream":true})";
    const auto pieces = ask(chat_request("X-User-ID: user-1\r\n", streamed));
    EXPECT_NE(pieces.find(R"(data: {"delta":"Ber"})"), std::string::npos) << pieces;
    EXPECT_NE(pieces.find(R"("response":"Berlin.")"), std::string::npos) << pieces;
    const auto busy = ask(chat_request("X-User-ID: user-2\r\n"));
    EXPECT_EQ(status_of(busy), 502);
    EXPECT_NE(busy.find("429"), std::string::npos);
    EXPECT_EQ(status_of(ask(chat_request("X-User-ID: user-3\r\n"))), 502);
    const auto broken = ask(chat_request("X-User-ID: user-4\r\n", streamed));
    EXPECT_NE(broken.find("event: error\n"), std::string::npos) << broken;
    EXPECT_EQ(broken.find("event: done\n"), std::string::npos) << broken;
    stop();
    EXPECT_NE(asked.at(0).find("POST /v1/chat/completions HTTP/1.1\r\n"), std::string::npos);
    EXPECT_NE(asked.at(0).find("Authorization: Bearer k-1\r\n"), std::string::npos);
    EXPECT_EQ(json::parse(asked.at(1).substr(asked.at(1).find("\r\n\r\n")))["stream_options"]["include_usage"], true);
    std::map<std::string, std::string> usage;
    for (const auto& trace : recorded()) {
        const auto& model = *trace.find("complete");
        EXPECT_EQ(model.attributes["mlflow.llm.model"], "m-1");
        const auto user = trace.metadata["mlflow.trace.user"];
        EXPECT_EQ(model.code == mt::status::error, user > "user-1") << user;
        usage[user] = model.attributes["mlflow.chat.tokenUsage"];
    }
    EXPECT_EQ(usage["user-0"], R"({"input_tokens":11,"output_tokens":3,"total_tokens":14})");
    EXPECT_EQ(usage["user-1"], R"({"input_tokens":21,"output_tokens":5,"total_tokens":26})");
}

TEST_P(chat_server_test, a_turn_that_its_client_leaves_is_cancelled_and_recorded_with_what_was_sent) {
    std::promise<void> asked, left_stream, left_whole;
    const raw::server upstream([&](raw::peer& peer, int number) {
        peer.read_request();
        if (number == 0)
            peer.write("HTTP/1.1 200 OK\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"Ber\"}}],"
                       "\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":1}}\n\n");
        else asked.set_value();
        peer.wait_for_close(); // the question is taken back at once
        (number == 0 ? left_stream : left_whole).set_value();
    });
    start({.base_url = upstream.url()});
    {
        client gone(port_);
        gone.send(chat_request("X-User-ID: user-1\r\n", R"({"message":"Where can I park?","stream":true})"));
        EXPECT_NE(gone.read_until(R"({"delta":"Ber"})").find("event: delta\n"), std::string::npos);
    }
    left_stream.get_future().wait();
    {
        client gone(port_);
        gone.send(chat_request("X-User-ID: user-2\r\n"));
        asked.get_future().wait();
    }
    left_whole.get_future().wait();
    EXPECT_TRUE(stop());
    const auto traces = recorded();
    ASSERT_EQ(traces.size(), 2U);
    for (auto trace : traces) {
        const bool is_streamed = trace.metadata["mlflow.trace.user"] == "user-1";
        const std::string sent = is_streamed ? "Ber" : "";
        auto root = *trace.root(), model = *trace.find("complete");
        for (auto* const span : {&root, &model}) {
            EXPECT_EQ(span->code, mt::status::error);
            EXPECT_NE(span->status_message.find("cancelled by the client"), std::string::npos)
                << span->status_message;
        }
        EXPECT_EQ(root.attributes["mlflow.spanOutputs"], json(sent).dump());
        EXPECT_EQ(answer_of(model)["content"], sent);
        EXPECT_EQ(root.attributes["app.cancelled"], "true");
        const std::string tokens = R"({"input_tokens":11,"output_tokens":1,"total_tokens":12})";
        EXPECT_EQ(model.attributes["mlflow.chat.tokenUsage"], is_streamed ? tokens : "");
    }
}

// What arrives while the request is read may make the socket look ready once more, when the answer is under way.
TEST_P(chat_server_test, a_turn_whose_request_comes_in_pieces_is_not_cancelled) {
    const raw::server upstream([](raw::peer& peer, int) {
        peer.read_request();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        peer.write(raw::reply(200, R"({"choices":[{"message":{"content":"Ber"}}]})"));
    });
    start({.base_url = upstream.url()});
    const std::string request = chat_request("X-User-ID: user-1\r\n");
    const std::size_t head = request.find("\r\n\r\n") + 4;
    for (int i = 0; i < 300; ++i) {
        client one(port_);
        one.send(std::string_view(request).substr(0, head));
        for (int spin = 0; spin < i * 20; ++spin) std::atomic_signal_fence(std::memory_order_seq_cst);
        one.send(std::string_view(request).substr(head));
        const std::string answer = one.read_to_end();
        ASSERT_EQ(status_of(answer), 200) << answer;
    }
    EXPECT_TRUE(stop());
}

TEST_P(chat_server_test, what_a_model_elsewhere_says_besides_its_text_is_recorded) {
    const raw::server upstream([](raw::peer& peer, int number) {
        peer.read_request();
        if (number == 0)
            peer.write(raw::reply(200, R"({"error":null,"choices":[{"message":{"content":"Ber","reasoning":"A city."},
                "finish_reason":"length"}],"usage":{"input_tokens":11.0,"output_tokens":3.0}})"));
        if (number == 1)
            peer.write(raw::reply(200, R"({"choices":[{"message":{"content":null,"tool_calls":[{"id":"t-1",
                "function":{"name":"weather","arguments":"{}"}}]},"finish_reason":"tool_calls"}]})"));
        if (number == 2) peer.write(raw::reply(200, R"({"choices":[{"message":{"content":""}}]})"));
        if (number == 3) // closes in the middle
            peer.write("HTTP/1.1 200 OK\r\n\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"Ber\"}}]}\n\n");
    });
    start({.base_url = upstream.url()});
    EXPECT_EQ(json::parse(body_of(ask(chat_request("X-User-ID: user-0\r\n"))))["response"], "Ber");
    const auto called = ask(chat_request("X-User-ID: user-1\r\n"));
    EXPECT_EQ(status_of(called), 502);
    EXPECT_NE(called.find("called the tool weather"), std::string::npos) << called;
    const auto empty = ask(chat_request("X-User-ID: user-2\r\n"));
    EXPECT_EQ(status_of(empty), 502);
    EXPECT_NE(empty.find("sent an empty answer"), std::string::npos) << empty;
    const auto cut = ask(chat_request("X-User-ID: user-3\r\n", R"({"message":"Where?","stream":true})"));
    EXPECT_NE(cut.find("event: error\ndata: {\"error\":\"the model's server sent an incomplete response"),
              std::string::npos)
        << cut;
    EXPECT_EQ(status_of(ask(chat_request("", R"({"message":"Where?","x":1e400})"))), 400);
    stop();
    for (auto& trace : recorded()) {
        auto model = *trace.find("complete");
        const auto user = trace.metadata["mlflow.trace.user"];
        EXPECT_EQ(model.code == mt::status::error, user != "user-0") << user;
        EXPECT_FALSE(trace.root()->attributes.contains("app.cancelled"));
        if (user == "user-0") {
            EXPECT_EQ(model.attributes["gen_ai.response.finish_reasons"], R"(["length"])");
            EXPECT_EQ(model.attributes["app.reasoning"], "A city.");
            EXPECT_EQ(model.attributes["mlflow.chat.tokenUsage"],
                      R"({"input_tokens":11,"output_tokens":3,"total_tokens":14})");
        }
        if (user == "user-1") {
            EXPECT_EQ(answer_of(model)["tool_calls"], json::parse(R"([{"id":"t-1","type":"function",
                "function":{"name":"weather","arguments":"{}"}}])"));
        }
        if (user == "user-3") {
            EXPECT_EQ(answer_of(model)["content"], "Ber");
        }
    }
}

TEST_P(chat_server_test, a_stop_waits_for_the_answers_under_way) {
    std::promise<void> asked, go_on;
    const raw::server upstream([&](raw::peer& peer, int) {
        peer.read_request();
        asked.set_value();
        go_on.get_future().wait();
        peer.write(raw::reply(200, R"({"choices":[{"message":{"content":"late"}}]})"));
    });
    start({.base_url = upstream.url()});
    client idle(port_), waiting(port_);
    waiting.send(chat_request("X-User-ID: user-1\r\n"));
    asked.get_future().wait();
    server_->stop();
    EXPECT_EQ(idle.read_to_end(), ""); // closed at once
    go_on.set_value();
    EXPECT_EQ(json::parse(body_of(waiting.read_to_end()))["response"], "late");
    EXPECT_TRUE(stop());
    const auto traces = recorded();
    ASSERT_EQ(traces.size(), 1U);
    EXPECT_EQ(service_->account().open, 0U);
    EXPECT_EQ(service_->account().exported, service_->account().started);
}

TEST_P(chat_server_test, interleaved_clients_keep_apart) {
    start();
    constexpr int clients = 8, turns = 20;
    std::vector<std::thread> threads;
    for (int c = 0; c < clients; ++c)
        threads.emplace_back([this, c] {
            for (int t = 0; t < turns; ++t) {
                const auto id = std::to_string(c);
                const auto text = ask(chat_request("X-User-ID: user-" + id + "\r\nX-Session-ID: s-" + id +
                                                       "\r\nX-Request-ID: r-" + id + "-" + std::to_string(t) + "\r\n",
                                                   R"({"message":"parking )" + id + "\"}"));
                EXPECT_EQ(header_of(text, "X-Request-ID"), "r-" + id + "-" + std::to_string(t));
            }
        });
    for (auto& thread : threads) thread.join();
    stop();
    const auto traces = recorded();
    EXPECT_EQ(traces.size(), static_cast<std::size_t>(clients * turns));
    std::map<std::string, int> count;
    for (const auto& trace : traces) {
        const auto user = trace.metadata["mlflow.trace.user"];
        const auto id = user.substr(5);
        ++count[user];
        EXPECT_EQ(trace.metadata["mlflow.trace.session"], "s-" + id);
        EXPECT_EQ(trace.client_request_id.rfind("r-" + id + "-", 0), 0U);
        EXPECT_NE(trace.root()->attributes["mlflow.spanInputs"].find("parking " + id), std::string::npos);
        for (const auto* const name : {"retrieve", "complete", "note topics"}) {
            ASSERT_NE(trace.find(name), nullptr) << name;
            EXPECT_EQ(trace.find(name)->parent, trace.root()->id) << name;
        }
        EXPECT_NE(trace.find("note topics")->attributes["mlflow.spanInputs"].find("parking " + id),
                  std::string::npos);
    }
    for (const auto& [user, n] : count) EXPECT_EQ(n, turns) << user;
    EXPECT_EQ(service_->refused_values(), 0U);
}

} // namespace
